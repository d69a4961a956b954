"""A grant code becomes credentials: where it is asked, what is told where it is refused, and what .env holds then."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

import pytest
from pydantic import SecretStr

from massconvert.cli.dotenv_file import in_the_way, write_dotenv
from massconvert.doctor.scopes import ALL, NARROW, SCOPES, not_granted
from massconvert.doctor.whose import findings_of, refused_entirely, whose
from massconvert.model import NotSent, PerhapsAccepted, Refused, Unsent
from massconvert.settings import read_dotenv
from massconvert.zoho.answers import Body
from massconvert.zoho.datacenters import DATA_CENTERS, data_center_of
from massconvert.zoho.grants import revoke
from massconvert.zoho.login import Login, SelfClient, in_words, log_in, places
from massconvert.zoho.transport import Reply, Transport

CLIENT = SelfClient("1000.FAKE", SecretStr("fake-secret"), SecretStr("1000.fake-code"))
GRANTED = {"access_token": "a", "refresh_token": "r", "api_domain": "https://www.zohoapis.eu", "expires_in": 3600}
NOW = 1_795_514_400.0


class Servers:
    """Zoho's accounts servers: each host's answer, ``invalid_client`` for the others."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[str] = []
        self.forms: list[dict[str, list[str]]] = []

    def exchange(self, method: str, url: str, *, headers: Any, body: bytes) -> Reply | NotSent | PerhapsAccepted:
        assert method == "POST"
        assert headers["Content-Type"] == "application/x-www-form-urlencoded"
        assert "?" not in url  # a URL ends in logs
        center = data_center_of(urlsplit(url).netloc) or urlsplit(url).netloc
        self.asked.append(center)
        self.forms.append(parse_qs(body.decode()))
        answer = self.answers.get(center, {"error": "invalid_client"})
        return Reply(200, {}, json.dumps(answer).encode()) if isinstance(answer, dict) else answer


def asked(servers: Servers, data_center: str = "", accounts_url: str | None = None) -> Login | NotSent:
    return log_in(cast("Transport", servers), CLIENT, places(data_center, accounts_url, None), named=bool(data_center))


# --- where the code is asked ------------------------------------------------------------------------------


def test_the_code_goes_to_each_data_centre_once_until_one_takes_it() -> None:
    servers = Servers(au=GRANTED)
    found = asked(servers)
    assert isinstance(found, Login)
    assert servers.asked == ["us", "eu", "in", "au"]
    assert found.place.data_center == "au"
    assert found.grant.refresh_token.get_secret_value() == "r"
    assert servers.forms[0] == {
        "code": ["1000.fake-code"],
        "client_id": ["1000.FAKE"],
        "client_secret": ["fake-secret"],
        "grant_type": ["authorization_code"],
    }


def test_the_named_data_centre_is_asked_first_and_need_not_be_right() -> None:
    servers = Servers(eu=GRANTED)
    found = asked(servers, "jp")
    assert isinstance(found, Login)
    assert found.place.data_center == "eu"
    assert servers.asked == ["jp", "us", "eu"]


def test_a_client_that_nobody_knows_costs_one_request_a_data_centre() -> None:
    servers = Servers()
    found = asked(servers)
    assert isinstance(found, NotSent)
    assert sorted(servers.asked) == sorted(DATA_CENTERS)
    assert "us, eu, in" in in_words(found, places("", None, None))[0]


def test_a_code_that_the_named_data_centre_refuses_is_asked_nowhere_else() -> None:
    servers = Servers(eu={"error": "invalid_code"})
    found = asked(servers, "eu")
    assert isinstance(found, NotSent)
    assert servers.asked == ["eu"]


def test_a_client_known_at_two_data_centres_finds_the_one_of_its_code() -> None:
    servers = Servers(us={"error": "invalid_code"}, ca=GRANTED)
    assert isinstance(asked(servers), Login)
    servers = Servers(us={"error": "invalid_code"})
    found = asked(servers)
    assert isinstance(found, NotSent)
    assert found.code == "invalid_code"
    assert len(servers.asked) == len(DATA_CENTERS)


@pytest.mark.parametrize("error", ["invalid_client_secret", "access_denied", "Access Denied", "unauthorized_client"])
def test_what_is_no_question_of_the_place_ends_the_search(error: str) -> None:
    servers = Servers(us={"error": error})
    assert isinstance(asked(servers), NotSent)
    assert servers.asked == ["us"]


def test_a_server_that_is_silent_does_not_hide_the_one_that_knows_the_code() -> None:
    servers = Servers(us=NotSent(Unsent.CONNECT, "no route"), eu=GRANTED)
    assert isinstance(asked(servers), Login)
    nobody = Servers(**dict.fromkeys(DATA_CENTERS, NotSent(Unsent.CONNECT, "no route")))
    found = asked(nobody)
    assert isinstance(found, NotSent)
    what, fix = in_words(found, places("", None, None))
    assert "no route" in what
    assert "may still be good" in fix


def test_an_address_given_by_hand_is_the_only_one() -> None:
    servers = Servers()
    found = asked(servers, accounts_url="http://127.0.0.1:18099")
    assert isinstance(found, NotSent)
    assert servers.asked == ["127.0.0.1:18099"]
    assert in_words(found, places("", "http://127.0.0.1:18099", None))[0].endswith("does not know the client id.")


@pytest.mark.parametrize(
    ("error", "what", "fix"),
    [
        ("invalid_code", "used before, or its minutes are over", "Generate Code"),
        ("invalid_grant", "used before, or its minutes are over", "Generate Code"),
        ("invalid_client_secret", "not that of this client id", "Client Secret"),
        ("Access Denied", "too many tokens", "Wait 10 minutes"),
        ("unauthorized_client", "does not let this client", "self client"),
    ],
)
def test_each_refusal_is_told_in_two_lines(error: str, what: str, fix: str) -> None:
    found = asked(Servers(eu={"error": error}), "eu")
    assert isinstance(found, NotSent)
    told = in_words(found, places("eu", None, None))
    assert what in told[0]
    assert fix in told[1]
    assert "\n" not in "".join(told)


def test_no_secret_is_in_what_is_told() -> None:
    for error in ("invalid_code", "invalid_client_secret", "strange"):
        found = asked(Servers(eu={"error": error}), "eu")
        assert isinstance(found, NotSent)
        told = " ".join((*in_words(found, places("eu", None, None)), repr(CLIENT), repr(found)))
        assert "fake-secret" not in told
        assert "fake-code" not in told


@pytest.mark.parametrize(
    ("text", "center"),
    [
        *((name, name) for name in DATA_CENTERS),
        ("EU", "eu"),
        ("crm.zoho.eu", "eu"),
        ("https://crm.zoho.com/crm/org123/tab/Leads", "us"),
        ("crm.zoho.com.au", "au"),
        ("https://accounts.zoho.com.cn", "cn"),
        ("crm.zohocloud.ca", "ca"),
        ("api-console.zoho.in", "in"),
        ("crm.zoho.example", ""),
        ("notzoho.eu", ""),
        ("", ""),
        ("[", ""),
    ],
)
def test_a_data_centre_is_known_by_its_name_and_by_the_address_of_the_crm(text: str, center: str) -> None:
    assert data_center_of(text) == center


def test_a_token_is_revoked_in_the_body_of_a_post() -> None:
    servers = Servers(us={"status": "success"})
    place = places("us", None, None)[0]
    assert revoke(cast("Transport", servers), SecretStr("r"), place.hosts) == ""
    assert servers.forms == [{"token": ["r"]}]
    servers.answers = {"us": {"error": "invalid_token"}}
    assert revoke(cast("Transport", servers), SecretStr("r"), place.hosts) == "invalid_token"


# --- the scopes -------------------------------------------------------------------------------------------


def test_the_least_that_converts_is_what_the_doctor_calls_needed_and_the_organisation() -> None:
    assert set(NARROW) == {scope.name for scope in SCOPES if scope.needed} | {"ZohoCRM.org.READ"}
    assert len(ALL) == len(set(ALL)) == len(SCOPES)


@pytest.mark.parametrize("separator", [" ", ","])
def test_a_scope_that_was_left_out_is_seen_in_the_answer(separator: str) -> None:
    assert not_granted("") == []
    assert not_granted(separator.join(ALL)) == []
    assert [scope.name for scope in not_granted(separator.join(ALL[1:]))] == [ALL[0]]
    wide = "ZohoCRM.modules.ALL ZohoCRM.settings.ALL"
    assert "ZohoCRM.modules.leads.READ" not in {scope.name for scope in not_granted(wide)}


# --- whose they are ---------------------------------------------------------------------------------------


def an_org(**licence: Any) -> Body:
    return Body({"org": [{"id": "7", "company_name": "Example Ltd", "type": "sandbox", "license_details": licence}]})


def test_an_organisation_is_told_with_its_user() -> None:
    user = Body({"users": [{"full_name": "Ann Archer", "email": "ann@example.com", "profile": {"name": "Sales"}}]})
    found = whose(an_org(paid=True, paid_type="enterprise", paid_expiry="2030-01-01T00:00:00+01:00"), user)
    assert (found.edition, found.user, found.email, found.profile) == (
        "enterprise",
        "Ann Archer",
        "ann@example.com",
        "Sales",
    )
    assert [finding.what for finding in findings_of(found, NOW)] == [
        "Example Ltd (sandbox, edition enterprise); the user is Ann Archer."
    ]


@pytest.mark.parametrize(
    ("licence", "told"),
    [
        ({"paid": False, "paid_type": "enterprise", "trial_expiry": "2026-11-01T00:00:00Z"}, "trial ended"),
        ({"paid": False, "paid_type": "enterprise", "trial_expiry": "2026-11-30T00:00:00+00:00"}, "trial ends"),
        ({"paid": False, "paid_type": "enterprise", "trial_expiry": "2027-11-30"}, ""),
        ({"paid": False, "paid_type": "free", "trial_expiry": "2020-01-01"}, ""),
        ({"paid": True, "paid_type": "enterprise", "trial_expiry": "2020-01-01", "paid_expiry": "2027-01-01"}, ""),
        ({"paid": True, "paid_type": "enterprise", "paid_expiry": "2026-11-01"}, "licence ended"),
        ({"paid": False, "paid_type": "enterprise", "trial_expiry": "soon"}, ""),
        ({}, ""),
    ],
)
def test_the_end_of_a_trial_is_told_in_time(licence: dict[str, Any], told: str) -> None:
    warnings = [finding.what for finding in findings_of(whose(an_org(**licence)), NOW) if finding.check == "licence"]
    assert bool(warnings) == bool(told)
    assert all(told in warning for warning in warnings)


@pytest.mark.parametrize("junk", [Body({}), Body({"org": []}), Body({"org": [3]}), Body({"users": [3]})])
def test_an_answer_that_tells_nothing_is_no_error(junk: Body) -> None:
    assert isinstance(whose(junk, junk).organisation, str)


def test_a_call_that_is_refused_with_a_good_token_names_addresses_and_the_profile() -> None:
    told = refused_entirely(Refused(403, "NO_PERMISSION", "no"))
    assert told
    assert "Allowed IPs" in told[1]
    assert refused_entirely(Refused(401, "OAUTH_SCOPE_MISMATCH", "")) is None
    assert refused_entirely(Body({})) is None


# --- .env -------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


VALUES = {"ZOHO_CLIENT_ID": "1000.A", "ZOHO_REFRESH_TOKEN": "1000.b-c_d"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "ZOHO_CLIENT_ID=1000.A\nZOHO_REFRESH_TOKEN=1000.b-c_d\n"),
        ("# mine\nREDIS_URL=x", "# mine\nREDIS_URL=x\nZOHO_CLIENT_ID=1000.A\nZOHO_REFRESH_TOKEN=1000.b-c_d\n"),
        ("ZOHO_CLIENT_ID=\nA='1\n2'\n", "ZOHO_CLIENT_ID=1000.A\nA='1\n2'\nZOHO_REFRESH_TOKEN=1000.b-c_d\n"),
        (
            "export ZOHO_CLIENT_ID=old # why\nZOHO_CLIENT_ID=older\n\nZ=1\n",
            "export ZOHO_CLIENT_ID=1000.A\n\nZ=1\nZOHO_REFRESH_TOKEN=1000.b-c_d\n",
        ),
        ("what is this\nB=2\n", "what is this\nB=2\nZOHO_CLIENT_ID=1000.A\nZOHO_REFRESH_TOKEN=1000.b-c_d\n"),
    ],
)
def test_the_file_keeps_all_its_other_lines(folder: Path, before: str, after: str) -> None:
    (folder / ".env").write_text(before)
    (folder / ".env").chmod(0o644)
    write_dotenv(VALUES)
    assert (folder / ".env").read_text() == after
    assert stat.S_IMODE((folder / ".env").stat().st_mode) == 0o600
    assert read_dotenv(Path(".env")).items() >= VALUES.items()
    assert [path.name for path in folder.iterdir()] == [".env"]


def test_a_file_that_is_a_link_stays_one(folder: Path) -> None:
    (folder / "real").write_text("A=1\n")
    (folder / ".env").symlink_to("real")
    write_dotenv(VALUES)
    assert (folder / ".env").is_symlink()
    assert "A=1" in (folder / "real").read_text()


def test_only_other_values_are_in_the_way(folder: Path) -> None:
    assert in_the_way(VALUES) == []
    (folder / ".env").write_text("ZOHO_CLIENT_ID=1000.A\nZOHO_REFRESH_TOKEN=another\nREDIS_URL=x\n")
    assert in_the_way(VALUES) == ["ZOHO_REFRESH_TOKEN"]
    (folder / ".env").write_text("ZOHO_CLIENT_ID=\n")
    assert in_the_way(VALUES) == []


def test_a_write_that_fails_leaves_the_file_as_it_was(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / ".env").write_text("A=1\n")

    def fail(*_: object) -> None:
        raise OSError("no")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(Exception, match="cannot be written"):
        write_dotenv(VALUES)
    assert (folder / ".env").read_text() == "A=1\n"
    assert [path.name for path in folder.iterdir()] == [".env"]
