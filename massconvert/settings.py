"""Every setting, from the environment and a ``.env`` file in the working directory; the real environment wins.

docs/settings.md lists them all (a test holds it to this file). What is wrong is told by the variable's name, and no
secret is in any message.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tempfile
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

from dotenv import dotenv_values
from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from massconvert.addresses import (
    CELERY_SENTINEL,
    NO_BROKER,
    check_broker_url,
    check_redis_url,
    check_service,
    for_celery,
    group_of,
    in_quotes,
    sentinels_of_celery,
)
from massconvert.contract import DEFAULT_ACCOUNT
from massconvert.errors import SettingsError
from massconvert.on_complete.permitted import HOSTS_SETTING, TASKS_SETTING, Permitted
from massconvert.values import (
    DataCenter,
    Folder,
    LogFormat,
    LogLevel,
    LongSecret,
    ZohoSecret,
    ZohoText,
    ZohoUrl,
    fold,
    text_of,
)
from massconvert.words.next_command import next_command

#: Variables that hold a secret, or a URL that may: their values are in no message.
SECRETS = frozenset(
    {
        "ZOHO_CLIENT_SECRET",
        "ZOHO_REFRESH_TOKEN",
        "REDIS_URL",
        "CELERY_BROKER_URL",
        "ZOHO_ACCOUNTS_URL",
        "ZOHO_API_DOMAIN",
        "MASSCONVERT_WEBHOOK_SECRET",
        "MASSCONVERT_DASHBOARD_TOKEN",
        HOSTS_SETTING,  # lists, in which anything may stand
        TASKS_SETTING,
    }
)
#: A value longer than this is not repeated either: it may be a secret on the wrong line.
_SHOWN = 24
_REDIS = ("redis://", "rediss://", "unix://")
#: What names an organisation, or belongs to one: a named account never takes it over from the environment's own.
OWN = frozenset(
    {
        "ZOHO_CLIENT_ID",
        "ZOHO_CLIENT_SECRET",
        "ZOHO_REFRESH_TOKEN",
        "ZOHO_DATA_CENTER",
        "ZOHO_ACCOUNTS_URL",
        "ZOHO_API_DOMAIN",
        "ZOHO_CONCURRENCY",
        "MASSCONVERT_ACCOUNT",
        "MASSCONVERT_WINDOW",
        "MASSCONVERT_MAX_JOBS",
        "MASSCONVERT_CREDITS_RESERVE",
        "MASSCONVERT_CALLS_PER_MINUTE",
    }
)
CREDENTIALS = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")
#: What Kubernetes sets in each container for each service of the namespace, here one called ``massconvert…``:
#: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_KUBERNETES = re.compile(
    "_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT$|_PORT_[0-9]+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$"
)
#: Names that people try, and ours.
_MISNAMED = {"ZOHO_REGION": "ZOHO_DATA_CENTER", "ZOHO_DC": "ZOHO_DATA_CENTER", "BROKER_URL": "CELERY_BROKER_URL"}


def state_dir_of(environ: Mapping[str, str]) -> Path:
    """Where a program keeps its own data on this platform, for the user whose environment this is."""
    # Not Path.home(): it raises where there is none.
    home = environ.get("HOME") or os.path.expanduser("~")
    if not Path(home).is_absolute():  # a container's user without a home
        return Path(tempfile.gettempdir()) / "massconvert"
    if sys.platform == "darwin":
        return Path(home) / "Library" / "Application Support" / "massconvert"
    if sys.platform == "win32":
        return Path(environ.get("LOCALAPPDATA") or home) / "massconvert"
    given = environ.get("XDG_STATE_HOME", "")
    # The XDG specification: a relative path is to be ignored.
    return (Path(given) if Path(given).is_absolute() else Path(home) / ".local" / "state") / "massconvert"


class Settings(BaseSettings):
    """Every setting, checked. Times are in seconds unless the name says otherwise.

    Takes what it is given, by field or by variable name, and reads nothing by itself: see `load_settings`. Raises
    SettingsError that names each wrong variable. Safe to print: neither secrets nor URLs with passwords are shown.
    """

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", populate_by_name=True, hide_input_in_errors=True, allow_inf_nan=False
    )

    redis_url: Annotated[str, AfterValidator(check_redis_url)] = Field(
        "redis://127.0.0.1:6379/0", alias="REDIS_URL", repr=False
    )
    celery_broker_url: Annotated[str, AfterValidator(check_broker_url)] = Field(
        "", alias="CELERY_BROKER_URL", repr=False
    )
    sentinel_service: Annotated[str, AfterValidator(check_service)] = Field(
        "", alias="MASSCONVERT_SENTINEL_SERVICE", repr=False
    )
    quorum_queues: bool = Field(False, alias="MASSCONVERT_QUORUM_QUEUES")
    zoho_client_id: ZohoText = Field("", alias="ZOHO_CLIENT_ID")
    zoho_client_secret: ZohoSecret = Field(SecretStr(""), alias="ZOHO_CLIENT_SECRET")
    zoho_refresh_token: ZohoSecret = Field(SecretStr(""), alias="ZOHO_REFRESH_TOKEN")
    zoho_data_center: DataCenter = Field("us", alias="ZOHO_DATA_CENTER")
    zoho_api_version: Annotated[str, fold("lower")] = Field(
        "v8", alias="ZOHO_API_VERSION", pattern=r"^v[0-9]+(\.[0-9]+)?$"
    )
    zoho_accounts_url: ZohoUrl | None = Field(None, alias="ZOHO_ACCOUNTS_URL", repr=False)
    zoho_api_domain: ZohoUrl | None = Field(None, alias="ZOHO_API_DOMAIN", repr=False)
    zoho_concurrency: int | None = Field(None, alias="ZOHO_CONCURRENCY", ge=1, le=100)
    account: str = Field(DEFAULT_ACCOUNT, alias="MASSCONVERT_ACCOUNT", pattern=r"^[A-Za-z0-9_-]{1,40}$")
    linger: float = Field(2.0, alias="MASSCONVERT_LINGER", ge=0, le=60)
    at_once: bool = Field(True, alias="MASSCONVERT_FIRST_AT_ONCE")
    retention_days: float = Field(30.0, alias="MASSCONVERT_RETENTION_DAYS", ge=1, le=3650)
    give_up_hours: float = Field(24.0, alias="MASSCONVERT_GIVE_UP_HOURS", gt=0, le=720)
    window: int | None = Field(None, alias="MASSCONVERT_WINDOW", ge=1, le=10_000)
    max_jobs: int = Field(200, alias="MASSCONVERT_MAX_JOBS", ge=1, le=100_000)
    job_wait: float = Field(60.0, alias="MASSCONVERT_JOB_WAIT", ge=0.1, le=3600)
    connect_timeout: float = Field(5.0, alias="MASSCONVERT_CONNECT_TIMEOUT", gt=0, le=60)
    call_deadline: float = Field(30.0, alias="MASSCONVERT_CALL_DEADLINE", ge=1, le=120)
    unreachable_after: float = Field(60.0, alias="MASSCONVERT_UNREACHABLE_AFTER", ge=5, le=86_400)
    permit_wait: float = Field(5.0, alias="MASSCONVERT_PERMIT_WAIT", ge=0, le=30)
    credits_reserve: int = Field(500, alias="MASSCONVERT_CREDITS_RESERVE", ge=0, le=10_000_000)
    calls_per_minute: int | None = Field(None, alias="MASSCONVERT_CALLS_PER_MINUTE", ge=1, le=100_000)
    sweep_interval: float = Field(15.0, alias="MASSCONVERT_SWEEP_INTERVAL", ge=1, le=600)
    min_replicas: int | None = Field(None, alias="MASSCONVERT_MIN_REPLICAS", ge=0, le=100)
    doubt_hours: float = Field(24.0, alias="MASSCONVERT_DOUBT_HOURS", ge=0, le=720)
    profile_failures: int = Field(3, alias="MASSCONVERT_PROFILE_FAILURES", ge=0, le=1000)
    config_file: Folder = Field(default_factory=lambda: Path("massconvert.toml").absolute(), alias="MASSCONVERT_CONFIG")
    log_level: LogLevel = Field("INFO", alias="MASSCONVERT_LOG_LEVEL")
    log_format: LogFormat = Field("line", alias="MASSCONVERT_LOG_FORMAT")
    traces: bool = Field(False, alias="MASSCONVERT_TRACES")
    metrics_port: int | None = Field(None, alias="MASSCONVERT_METRICS_PORT", ge=0, le=65_535)
    metrics_host: str = Field("127.0.0.1", alias="MASSCONVERT_METRICS_HOST", min_length=1, repr=False)
    state_dir: Folder = Field(default_factory=lambda: state_dir_of(os.environ), alias="MASSCONVERT_STATE_DIR")
    heartbeat_file: Folder | None = Field(None, alias="MASSCONVERT_HEARTBEAT_FILE")
    events: int | None = Field(None, alias="MASSCONVERT_EVENTS", ge=0, le=10_000_000)
    webhook_secret: LongSecret = Field(SecretStr(""), alias="MASSCONVERT_WEBHOOK_SECRET")
    dashboard_token: LongSecret = Field(SecretStr(""), alias="MASSCONVERT_DASHBOARD_TOKEN")
    webhook_allow: Annotated[str, AfterValidator(lambda text: (Permitted.parse(hosts=text), text)[1])] = Field(
        "", alias=HOSTS_SETTING, repr=False
    )
    on_complete_tasks: Annotated[str, AfterValidator(lambda text: (Permitted.parse(tasks=text), text)[1])] = Field(
        "", alias=TASKS_SETTING, repr=False
    )
    #: The variables that the credentials were looked for in.
    credential_names: tuple[str, ...] = CREDENTIALS
    #: Warnings about variables that are probably misspelt; for a command to print.
    hints: tuple[str, ...] = ()

    def __init__(self, **values: Any) -> None:
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise _settings_error(error, values) from None
        if self.celery_broker_url.startswith(CELERY_SENTINEL) and not self.sentinel_service:
            raise SettingsError(
                "CELERY_BROKER_URL names Sentinels, and MASSCONVERT_SENTINEL_SERVICE is not set.",
                hint="Set it to what the Sentinels call the service: the first word after `sentinel monitor`.",
            )

    @field_validator("*", mode="before")
    @classmethod
    def _unquoted(cls, value: Any) -> Any:
        """No setting has quotes of its own around it."""
        if in_quotes(text_of(value).strip()):
            raise ValueError("is in quotes: write it without them (docker --env-file keeps what a shell takes away)")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003 - pydantic-settings calls this by keyword
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - as above
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what is handed in: the environment is an argument of `load_settings`, not a fact of the machine."""
        return (init_settings,)

    @property
    def redis_url_given(self) -> bool:
        """Whether REDIS_URL was set, or is the default."""
        return "redis_url" in self.model_fields_set

    @property
    def broker_url(self) -> str:
        """Celery's broker: CELERY_BROKER_URL, or the ledger's Redis as Celery writes such a URL.

        `massconvert.broker` tells Celery what Sentinels are. Raises SettingsError where the ledger's is a Cluster.
        """
        urls = self.celery_broker_url or self.redis_url
        if urls.startswith(CELERY_SENTINEL):
            return sentinels_of_celery(urls, self.sentinel_service)
        group = group_of(urls)
        if group and not group.service:
            raise SettingsError(
                f"CELERY_BROKER_URL is not set, and REDIS_URL names a Redis Cluster, which {NO_BROKER}.",
                hint="Set CELERY_BROKER_URL, like redis://host:6379/0 or amqp://user:password@host//",
            )
        return ";".join(for_celery(url) if url.startswith(_REDIS) else url for url in urls.split(";"))

    @property
    def permitted(self) -> Permitted:
        """Whom a message may have called."""
        return Permitted.parse(self.on_complete_tasks, self.webhook_allow)

    @property
    def credentials_digest(self) -> str:
        """A name for the credentials, and where they are sent, that tells nothing about them; blank without them."""
        secrets = (self.zoho_client_secret.get_secret_value(), self.zoho_refresh_token.get_secret_value())
        if not all((self.zoho_client_id, *secrets)):
            return ""
        places = (self.zoho_data_center, self.zoho_accounts_url or "", self.zoho_api_domain or "")
        return hashlib.sha256(json.dumps([*places, self.zoho_client_id, *secrets]).encode()).hexdigest()[:16]

    def require_zoho(self) -> None:
        """Raise SettingsError when a credential is missing, naming all that are."""
        secrets = (self.zoho_client_secret.get_secret_value(), self.zoho_refresh_token.get_secret_value())
        given = zip(self.credential_names, (self.zoho_client_id, *secrets), strict=True)
        missing = [name for name, value in given if not value.strip()]
        if missing:
            raise SettingsError(
                f"Not set: {', '.join(missing)}.",
                hint=f"To get them: {next_command('login', account=self.account)}; or set them in the environment or "
                f"in .env. To try it without a Zoho account: {next_command('demo', account=DEFAULT_ACCOUNT)}",
            )


def variables() -> dict[str, str]:
    """Every variable that is read: its name → the name of its field."""
    return {field.alias: name for name, field in Settings.model_fields.items() if field.alias}


def load_settings(environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env")) -> Settings:
    """The settings of ``environ`` (default: the process' own) over those of the file ``dotenv``, if it is there.

    A variable that is set but blank counts as not set, and also hides the one in the file. Raises SettingsError that
    names each wrong variable; no secret is in its message.
    """
    known = variables()
    merged = {**read_dotenv(dotenv), **(os.environ if environ is None else environ)}
    given = _present(merged, {name: name for name in known})
    given.setdefault("MASSCONVERT_STATE_DIR", str(state_dir_of(merged)))
    return Settings(**given, hints=_hints(merged, known))


def load_account(
    account: str,
    table: Mapping[str, Any],
    held_by: Mapping[str, str],
    environ: Mapping[str, str] | None = None,
    dotenv: Path | None = Path(".env"),
) -> Settings:
    """The settings of a named account: this machine's, over them its ``table``, over that its own variables.

    ``table`` is by variable name. An account's own variable ends in its name: ``ZOHO_REFRESH_TOKEN__EMEA`` is emea's;
    ``held_by`` names another one for some. Raises SettingsError that names each wrong one.
    """
    merged = {**read_dotenv(dotenv), **(os.environ if environ is None else environ)}
    suffix = f"__{account.upper().replace('-', '_')}"
    own = {name: held_by.get(name, name + suffix) for name in variables()}
    shared = {name: name for name in own if name not in OWN}
    its_own = _present(merged, own)
    given = {**_present(merged, shared), **table, **its_own}
    given.setdefault("MASSCONVERT_STATE_DIR", str(state_dir_of(merged)))
    names = tuple(own[name] for name in CREDENTIALS)
    try:
        return Settings(**{**given, "MASSCONVERT_ACCOUNT": account}, credential_names=names)
    except SettingsError as error:  # each line begins with the name of a setting
        told = (
            re.sub("^[A-Z_]+", lambda found: own[found[0]] if found[0] in its_own else found[0], line)
            for line in error.message.splitlines()
        )
        raise SettingsError("\n".join(told), hint=error.hint) from None


def _present(merged: Mapping[str, str], sources: Mapping[str, str]) -> dict[str, str]:
    """What is set and not blank of ``sources``: a setting's name → the variable that holds it."""
    return {name: merged[source].strip() for name, source in sources.items() if merged.get(source, "").strip()}


def read_dotenv(path: Path | None) -> dict[str, str]:
    """What stands in a ``.env`` file; nothing where there is none. Raises SettingsError when it cannot be read."""
    if path is None or not path.is_file():
        return {}
    try:
        # utf-8-sig: Windows' editors put a mark in front that would become a part of the first name.
        return {name: value for name, value in dotenv_values(path, encoding="utf-8-sig").items() if value is not None}
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8.", hint="Save it as UTF-8 text.") from None


def _settings_error(error: ValidationError, values: Mapping[str, Any]) -> SettingsError:
    return SettingsError("\n".join(_problem(item, values) for item in error.errors(include_input=False)))


def _problem(item: Any, values: Mapping[str, Any]) -> str:
    field = Settings.model_fields.get(str(item["loc"][0]))
    name = str(field.alias if field and field.alias else item["loc"][0])
    if item["type"] == "extra_forbidden":
        near = get_close_matches(name, [*Settings.model_fields, *variables()], n=1)
        return f"{name} is not a setting{f'; did you mean {near[0]}?' if near else '.'}"
    value = str(values.get(name, values.get(variables().get(name, ""), "")))
    shown = f" is {value!r}, but" if name not in SECRETS and len(value) <= _SHOWN and not in_quotes(value) else ""
    return f"{name}{shown} {_demand(name, item)}."


def _demand(name: str, item: Any) -> str:
    if item["type"] == "value_error":
        return str(item["ctx"]["error"])
    if item["type"] == "literal_error":
        return f"must be one of {str(item['ctx']['expected']).replace(' or ', ', ')}".replace("'", "")
    if name == "ZOHO_API_VERSION":
        return "must be written like v8"
    if name == "MASSCONVERT_ACCOUNT":
        return "must be 1 to 40 letters, digits, - or _"
    if bounds := "yes or no" if item["type"] == "bool_parsing" else _bounds(name):
        return f"must be {bounds}"
    return f"cannot be used: {str(item['msg'])[:1].lower()}{str(item['msg'])[1:]}"


def _bounds(name: str) -> str:
    """The range of a number's field in words; blank for other fields."""
    field = Settings.model_fields[variables()[name]]
    limits = {key: getattr(rule, key) for rule in field.metadata for key in ("ge", "gt", "le") if hasattr(rule, key)}
    if not limits:
        return ""
    kind = "a whole number" if field.annotation in (int, int | None) else "a number"
    lowest = f"from {limits['ge']}" if "ge" in limits else f"above {limits['gt']} and up"
    return f"{kind} {lowest} to {limits['le']}"


def _hints(merged: Mapping[str, str], known: Mapping[str, str]) -> tuple[str, ...]:
    found = [
        f"{name} is set but not read; {f'{ours} is used' if merged.get(ours) else f'the variable is {ours}'}."
        for name, ours in _MISNAMED.items()
        if name in merged
    ]
    for name in sorted(merged.keys() - known.keys() - _MISNAMED.keys()):
        if name.partition("__")[0] in known:  # a named account's
            continue
        if _KUBERNETES.search(name):
            continue
        ours = name.startswith("MASSCONVERT_")
        # Other programs have ZOHO_ variables of their own; only what is nearly one of ours is a slip.
        if ours or name.startswith("ZOHO_"):
            bare = name.removeprefix("MASSCONVERT_")
            near = [bare] if bare in known else get_close_matches(name, known, n=1, cutoff=0.6 if ours else 0.9)
            meant = f"; did you mean {near[0]}?" if near else "."
            if near or ours:
                found.append(f"{name} is set but is not a setting{meant}")
    return tuple(found)
