"""Settings: the environment over .env over defaults; what is wrong is told by name, and secrets are not told at all."""

from __future__ import annotations

import re
import ssl
import traceback
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kombu import Connection

from massconvert.errors import SettingsError
from massconvert.settings import Settings, load_settings, state_dir_of, variables
from massconvert.zoho.datacenters import DATA_CENTERS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "settings.md"
SECRET = "hunter2-not-a-real-secret"


def load(**environ: str) -> Settings:
    """The settings of an environment with nothing else in it."""
    return load_settings(environ, dotenv=None)


def refusal(**environ: str) -> str:
    """What is said against these settings."""
    with pytest.raises(SettingsError) as caught:
        load(**environ)
    return str(caught.value)


def page_rows() -> dict[str, str]:
    """Each variable of the page and its default, as written."""
    rows = re.findall(r"^\| `([A-Z_]+)` \| ([^|]+) \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    return {name: default.strip() for name, default in rows}


# --- sources ---


def test_without_anything_the_defaults_of_the_contract_hold() -> None:
    settings = load()
    assert settings.redis_url == settings.broker_url == "redis://127.0.0.1:6379/0"
    assert (settings.zoho_data_center, settings.zoho_api_version) == ("us", "v8")
    assert (settings.zoho_accounts_url, settings.zoho_api_domain, settings.zoho_concurrency) == (None, None, None)
    assert (settings.account, settings.linger, settings.retention_days) == ("default", 2.0, 30.0)
    assert (settings.give_up_hours, settings.max_jobs, settings.window) == (24.0, 200, None)
    assert not settings.redis_url_given


def test_the_environment_wins_over_the_dotenv_file(tmp_path: Path) -> None:
    file = tmp_path / ".env"
    file.write_text("ZOHO_DATA_CENTER=eu\nMASSCONVERT_LINGER='3'\n# a comment\nZOHO_CLIENT_ID\n")
    settings = load_settings({"ZOHO_DATA_CENTER": "in"}, file)
    assert (settings.zoho_data_center, settings.linger) == ("in", 3.0)


def test_the_dotenv_file_of_the_working_directory_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("MASSCONVERT_ACCOUNT=acme\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MASSCONVERT_ACCOUNT", raising=False)
    assert load_settings().account == "acme"
    monkeypatch.setenv("MASSCONVERT_ACCOUNT", "other")
    assert load_settings().account == "other"


def test_a_byte_order_mark_does_not_hide_the_first_variable(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("ZOHO_DATA_CENTER=eu\n", encoding="utf-8-sig")
    assert load_settings({}, tmp_path / ".env").zoho_data_center == "eu"


def test_a_dotenv_file_in_another_encoding_is_named(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes("ZOHO_CLIENT_ID=ü\n".encode("latin-1"))
    with pytest.raises(SettingsError, match=r"\.env is not UTF-8"):
        load_settings({}, tmp_path / ".env")


def test_a_blank_variable_counts_as_not_set_and_hides_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("REDIS_URL=redis://elsewhere/0\n")
    settings = load_settings({"REDIS_URL": " ", "ZOHO_CONCURRENCY": ""}, tmp_path / ".env")
    assert settings.redis_url == "redis://127.0.0.1:6379/0"
    assert not settings.redis_url_given


def test_nothing_of_the_machine_leaks_into_a_given_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOHO_CLIENT_ID", "of the machine")
    monkeypatch.setenv("MASSCONVERT_LINGER", "not even a number")
    assert load().zoho_client_id == Settings().zoho_client_id == ""


def test_values_are_trimmed_and_words_take_any_case() -> None:
    settings = load(
        ZOHO_DATA_CENTER=" EU ", ZOHO_API_VERSION="V7", MASSCONVERT_LOG_LEVEL="debug", MASSCONVERT_WINDOW="7 "
    )
    assert (settings.zoho_data_center, settings.zoho_api_version) == ("eu", "v7")
    assert (settings.log_level, settings.window) == ("DEBUG", 7)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load().linger = 3.0  # type: ignore[misc]  # that it cannot be set is what is tested


def test_every_data_centre_that_the_wire_knows_is_accepted() -> None:
    assert [load(ZOHO_DATA_CENTER=name).zoho_data_center for name in DATA_CENTERS] == list(DATA_CENTERS)


# --- what is wrong ---


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MASSCONVERT_LINGER", "61", "is '61', but must be a number from 0 to 60"),
        ("MASSCONVERT_LINGER", "-1", "a number from 0 to 60"),
        ("MASSCONVERT_FIRST_AT_ONCE", "perhaps", "is 'perhaps', but must be yes or no"),
        ("MASSCONVERT_LINGER", "nan", "a number from 0 to 60"),
        ("ZOHO_CONCURRENCY", "0", "must be a whole number from 1 to 100"),
        ("ZOHO_CONCURRENCY", "101", "must be a whole number from 1 to 100"),
        ("ZOHO_CONCURRENCY", "ten", "is 'ten', but must be a whole number"),
        ("MASSCONVERT_RETENTION_DAYS", "0", "a number from 1 to"),
        ("MASSCONVERT_GIVE_UP_HOURS", "0", "a number above 0 and up to 720"),
        ("ZOHO_DATA_CENTER", "mars", "must be one of us, eu, in, au, cn, jp, ca, sa, uk, ae"),
        ("ZOHO_API_VERSION", "8", "must be written like v8"),
        ("MASSCONVERT_ACCOUNT", "a:b", "must be 1 to 40 letters, digits, - or _"),
        ("MASSCONVERT_LOG_LEVEL", "LOUD", "must be one of DEBUG, INFO, WARNING, ERROR"),
        ("REDIS_URL", "localhost:6379", "must begin with redis://, rediss:// (TLS) or unix://"),
        ("REDIS_URL", "http://localhost", "must begin with redis://"),
        ("REDIS_URL", "redis://", "names no host"),
        ("REDIS_URL", "unix://", "names no socket"),
        ("REDIS_URL", "redis://localhost/zero", "must end in the number of a database"),
        ("REDIS_URL", "redis://localhost:port/0", "has no usable host and port"),
        ("CELERY_BROKER_URL", "localhost", "must be a URL: write it like redis://"),
        ("ZOHO_ACCOUNTS_URL", "ftp://accounts.zoho.eu", "must be a URL like https://"),
        ("ZOHO_ACCOUNTS_URL", "https:/accounts.zoho.eu", "must be a URL like https://"),
        ("ZOHO_ACCOUNTS_URL", "https//accounts.zoho.eu", "must be a URL like https://"),
        ("ZOHO_ACCOUNTS_URL", "https://accounts.zoho.eu;x", "must be a URL like https://"),
        ("ZOHO_API_DOMAIN", "eu", "or https://www.zohoapis.eu"),
        ("MASSCONVERT_STATE_DIR", "~nobody-of-that-name/x", "must be an absolute path"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_told_by_its_variable_with_what_is_right(name: str, value: str, said: str) -> None:
    text = refusal(**{name: value})
    assert text.startswith(f"{name} ")
    assert said in text
    assert "\n" not in text


def test_all_that_is_wrong_is_told_at_once_a_line_each() -> None:
    lines = refusal(MASSCONVERT_LINGER="x", ZOHO_CONCURRENCY="x", ZOHO_DATA_CENTER="x").splitlines()
    assert sorted(line.split()[0] for line in lines) == ["MASSCONVERT_LINGER", "ZOHO_CONCURRENCY", "ZOHO_DATA_CENTER"]


def test_a_setting_that_python_misspells_is_named_with_the_nearest() -> None:
    with pytest.raises(SettingsError, match="lingr is not a setting; did you mean linger"):
        Settings(lingr=3)


@pytest.mark.parametrize(
    "bounds", [(0, 60, "MASSCONVERT_LINGER"), (1, 100, "ZOHO_CONCURRENCY"), (1, 600, "MASSCONVERT_SWEEP_INTERVAL")]
)
def test_both_ends_of_a_range_belong_to_it(bounds: tuple[int, int, str]) -> None:
    low, high, name = bounds
    assert [getattr(load(**{name: str(n)}), variables()[name]) for n in (low, high)] == [low, high]


# --- secrets ---


#: These take nearly any text, are shown, and are no secret.
SHOWN = {
    "ZOHO_CLIENT_ID",
    "MASSCONVERT_STATE_DIR",
    "MASSCONVERT_HEARTBEAT_FILE",
    "MASSCONVERT_CONFIG",
    "MASSCONVERT_ACCOUNT",
}


def told_of(**environ: str) -> str:
    """All that these settings can put into a log: their repr, or the refusal with its traceback."""
    try:
        settings = load(**environ)
    except SettingsError as error:
        # A reporter of errors may show what was raised before as well.
        return "".join(traceback.format_exception(error)) + str(error.__context__)
    return f"{settings!r} {settings} {settings.hints}"


@pytest.mark.parametrize("name", sorted(variables().keys() - SHOWN))
@pytest.mark.parametrize(
    "value", [SECRET, f"redis://:{SECRET}@h:xx/0", f"http://u:{SECRET}@[h/", f"redis://:{SECRET}@h/0"]
)
def test_no_message_and_no_repr_repeats_a_secret_wherever_it_was_put(name: str, value: str) -> None:
    assert SECRET not in told_of(**{name: value})


@given(st.text(max_size=200).map(lambda text: f"hush{text}".strip()))
def test_whatever_a_redis_url_is_it_is_never_repeated(text: str) -> None:
    assert text not in told_of(REDIS_URL=f"redis://:{text}@host/0", CELERY_BROKER_URL=f"amqp://{text}@host")


def test_what_a_worker_lacks_is_named_all_at_once_and_a_producer_needs_none_of_it() -> None:
    settings = load(ZOHO_CLIENT_ID="1000.FAKE")
    with pytest.raises(SettingsError) as caught:
        settings.require_zoho()
    assert str(caught.value).startswith("Not set: ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN.")
    load(ZOHO_CLIENT_ID="1000.FAKE", ZOHO_CLIENT_SECRET=SECRET, ZOHO_REFRESH_TOKEN=SECRET).require_zoho()


# --- hints ---


@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({"ZOHO_REGION": "eu"}, "ZOHO_REGION is set but not read; the variable is ZOHO_DATA_CENTER."),
        ({"ZOHO_DC": "eu", "ZOHO_DATA_CENTER": "eu"}, "ZOHO_DC is set but not read; ZOHO_DATA_CENTER is used."),
        ({"MASSCONVERT_LINGR": "1"}, "MASSCONVERT_LINGR is set but is not a setting; did you mean MASSCONVERT_LINGER?"),
        ({"MASSCONVERT_QQQQQQQQQQQQQQQQQQQ": "1"}, "MASSCONVERT_QQQQQQQQQQQQQQQQQQQ is set but is not a setting."),
        (
            {"MASSCONVERT_REDIS_URL": "redis://h"},
            "MASSCONVERT_REDIS_URL is set but is not a setting; did you mean REDIS_URL?",
        ),
        ({"ZOHO_DATACENTER": "eu"}, "ZOHO_DATACENTER is set but is not a setting; did you mean ZOHO_DATA_CENTER?"),
    ],
)
def test_a_variable_that_looks_misspelt_is_hinted_at_and_not_printed(
    environ: dict[str, str], said: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert load(**environ).hints == (said,)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "name",
    [
        "MASSCONVERT_PORT",
        "MASSCONVERT_SERVICE_HOST",
        "MASSCONVERT_SERVICE_PORT",
        "MASSCONVERT_SERVICE_PORT_HTTP",
        "MASSCONVERT_PORT_80_TCP",
        "MASSCONVERT_PORT_80_TCP_ADDR",
        "MASSCONVERT_PORT_80_TCP_PORT",
        "MASSCONVERT_PORT_80_TCP_PROTO",
        "MASSCONVERT_REDIS_PORT_6379_TCP",
        "MASSCONVERT_WORKER_SERVICE_PORT_METRICS_2",
        "ZOHO_CLIENT_PORT_53_UDP_ADDR",
    ],
)
def test_what_kubernetes_sets_for_a_service_of_our_name_is_no_misspelt_setting(name: str) -> None:
    assert load(**{name: "tcp://10.0.0.9:80"}).hints == ()


def test_values_that_still_have_their_quotes_are_named_and_not_shown() -> None:
    text = refusal(ZOHO_CLIENT_SECRET=f'"{SECRET}"', REDIS_URL=f"'redis://:{SECRET}@h/0'", MASSCONVERT_LINGER='"2"')
    for name in ("MASSCONVERT_LINGER", "REDIS_URL", "ZOHO_CLIENT_SECRET"):
        assert f"{name} is in quotes: write it without them" in text
    assert SECRET not in text


@pytest.mark.parametrize("name", ["redis_url", "CELERY_BROKER_URL", "zoho_refresh_token", "MASSCONVERT_ACCOUNT"])
def test_quotes_are_told_of_what_python_hands_in_too(name: str) -> None:
    with pytest.raises(SettingsError, match="is in quotes"):
        Settings(**{name: "'redis://h/0'"})


@pytest.mark.parametrize("name", ["ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"])
@pytest.mark.parametrize(
    "value",
    [
        '"1000.hunter2" # prod',  # what `docker --env-file` makes of a line that a shell would read otherwise
        "1000.hunter2 # prod",
        '1000.hunter2"',
        "<1000.hunter2>",  # copied with its place-holder
        "${hunter2}",
        "1000.hunter2,",
        "1000.hunter2\u00a0x",
        "1000.hunter2\u200b",  # copied from a page
        "1000.hunter2\nZOHO_DATA_CENTER=eu",
    ],
)
def test_what_stands_in_no_credential_of_zohos_is_told_and_not_shown(name: str, value: str) -> None:
    text = refusal(**{name: value})
    assert text.startswith(name)
    assert "has a character in it that no credential of Zoho's has, like a blank, a quote or a bracket" in text
    assert "hunter2" not in text or name == "ZOHO_CLIENT_ID"


def test_variables_of_other_programs_are_left_alone() -> None:
    assert load(ZOHO_ORG_ID="1", PATH="/bin", REDIS_HOST="h").hints == ()


# --- the broker ---


@pytest.mark.parametrize(
    ("url", "broker"),
    [
        ("redis://h:1/2", "redis://h:1/2"),
        ("redis://u:p%2F@[::1]:1/2", "redis://u:p%2F@[::1]:1/2"),
        ("redis://h/0?protocol=3&db=4", "redis://h/4"),
        ("rediss://:p@h:1/2", "rediss://:p@h:1/2?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=none&ssl_ca_path=/", "rediss://h/0?ssl_cert_reqs=none&ssl_ca_path=%2F"),
        ("unix:///run/redis.sock", "redis+socket:///run/redis.sock"),
        ("unix://u:p@/run/redis.sock?db=3", "redis+socket://u:p@/run/redis.sock?virtual_host=3"),
        ("unix:///run/redis.sock?password=p/", "redis+socket://:p%2F@/run/redis.sock"),
    ],
)  # fmt: skip
def test_the_ledgers_redis_is_the_broker_in_celerys_own_words(url: str, broker: str) -> None:
    settings = load(REDIS_URL=url)
    assert settings.redis_url == url
    assert settings.broker_url == broker
    Connection(broker)  # which refuses a query key that it does not know


def test_a_broker_with_tls_is_not_trusted_without_its_certificate() -> None:
    broker = Connection(load(REDIS_URL="rediss://h:6380/0").broker_url)
    assert broker.ssl["ssl_cert_reqs"] is ssl.CERT_REQUIRED


def test_a_broker_of_its_own_is_used_as_given() -> None:
    assert load(CELERY_BROKER_URL="amqp://u:p@h//").broker_url == "amqp://u:p@h//"
    several = "redis://a/0;redis://b/0"
    assert load(CELERY_BROKER_URL=several).broker_url == several


# --- the state directory ---


@pytest.mark.parametrize(
    ("environ", "folder"),
    [
        ({"HOME": "/home/ann"}, "/home/ann/.local/state/massconvert"),
        ({"HOME": "/home/ann", "XDG_STATE_HOME": "/data"}, "/data/massconvert"),
        ({"HOME": "/home/ann", "XDG_STATE_HOME": "relative"}, "/home/ann/.local/state/massconvert"),
    ],
)
def test_state_is_kept_where_the_users_programs_keep_it(
    environ: dict[str, str], folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    assert state_dir_of(environ) == load(**environ).state_dir == Path(folder)


def test_a_user_without_a_home_has_a_state_directory_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.path.expanduser", lambda path: path)
    assert state_dir_of({}).is_absolute()


def test_a_state_directory_may_be_given_from_the_home() -> None:
    assert load(MASSCONVERT_STATE_DIR="~/mc").state_dir == Path.home() / "mc"


# --- the page ---


def test_the_page_lists_every_variable_and_no_other() -> None:
    assert set(page_rows()) == set(variables())


def test_every_field_but_the_hints_has_a_variable() -> None:
    assert set(Settings.model_fields) - set(variables().values()) == {"hints", "credential_names"}


def test_the_page_and_the_settings_agree_on_the_defaults() -> None:
    in_words: dict[str, Any] = {}
    for name, field in variables().items():
        default, written = Settings.model_fields[field].default, page_rows()[name]
        if written.startswith("`") and name != "CELERY_BROKER_URL":
            assert written == f"`{default}`", name
        else:
            in_words[name] = default
    # What has no value of its own is described.
    in_words.pop("MASSCONVERT_STATE_DIR")
    in_words.pop("MASSCONVERT_CONFIG")
    assert not any(getattr(value, "get_secret_value", lambda v=value: v)() for value in in_words.values())


@pytest.mark.parametrize(
    "field", ["linger", "retention_days", "give_up_hours", "max_jobs", "call_deadline", "sweep_interval"]
)
def test_the_page_tells_the_upper_end_of_each_range(field: str) -> None:
    rules = Settings.model_fields[field].metadata
    highest = next(rule.le for rule in rules if hasattr(rule, "le"))
    row = next(
        line for line in PAGE.read_text(encoding="utf-8").splitlines() if f"MASSCONVERT_{field.upper()}`" in line
    )
    assert re.search(rf"\b{highest}\b", row)


@pytest.mark.parametrize(
    "name",
    [
        *("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN"),
        *("ZOHO_DATA_CENTER", "ZOHO_ACCOUNTS_URL", "ZOHO_API_DOMAIN"),
    ],
)
@pytest.mark.parametrize("quotes", ['""', "''", "``", "\u201c\u201d", "\u201e\u201c", "\u00ab\u00bb"])
def test_a_value_that_still_has_its_quotes_is_told(name: str, quotes: str) -> None:
    """`docker --env-file` keeps them."""
    with pytest.raises(SettingsError) as caught:
        load(**{name: f"{quotes[0]}1000.hunter2{quotes[1]}"})
    assert name in str(caught.value)
    assert "is in quotes" in str(caught.value)
    assert "hunter2" not in str(caught.value)
