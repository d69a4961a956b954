"""What may stand in ``massconvert.toml``; the JSON Schema for editors is made from this (see ``schema``)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from massconvert.errors import InputError, OptionsError
from massconvert.model import Language, Priority
from massconvert.on_complete.permitted import Permitted
from massconvert.on_complete.targets import Target, demand_permitted, parse_targets
from massconvert.options import Options
from massconvert.profiles.criteria import check_search, where_of
from massconvert.profiles.slots import check_crontab

#: A profile's name becomes a part of its batches' names.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$"
ACCOUNT = r"^[A-Za-z0-9_-]{1,40}$"
_VARIABLE = r"^[A-Za-z_][A-Za-z0-9_]*$"
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_SPAN = r"^[0-9]{1,7}(\.[0-9]+)?[smhd]$"
_DAY = 86_400.0


def _seconds(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    text = value.strip()
    if not re.fullmatch(_SPAN, text):
        raise ValueError("must be a span of time like 30s, 15m, 4h or 1d")
    return float(text[:-1]) * _UNITS[text[-1]]


def _zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("must be a time zone like Europe/Berlin or UTC") from None
    return name


def _options(value: dict[str, Any]) -> dict[str, Any]:
    try:
        return Options.parse(value).body()
    except OptionsError as error:
        raise ValueError(error.message) from None


def _targets(value: Any) -> Any:
    try:
        # Whether a queue of ours may be named, the settings of who enqueues say.
        demand_permitted(parse_targets(value), Permitted.parse(tasks="*@*"))
    except InputError as error:
        raise ValueError(error.message.removeprefix("on_complete ").removesuffix(".")) from None
    return value


Span = Annotated[
    float,
    BeforeValidator(
        _seconds,
        json_schema_input_type=Annotated[str, Field(pattern=_SPAN)] | Annotated[float, Field(gt=0)],
    ),
]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, allow_inf_nan=False)


class LeadCriteria(_Table):
    """Which leads: in COQL or in Search's form, one of the two. Leads that are converted already are left out."""

    coql: Annotated[str, AfterValidator(lambda text: (where_of(text), text)[1])] | None = Field(
        None,
        description="The WHERE clause of a COQL query on Leads, or the whole SELECT without ORDER BY and LIMIT. "
        "Finds any number of leads.",
        examples=["Lead_Status = 'Qualified' and Email is not null"],
    )
    search: Annotated[str, AfterValidator(check_search)] | None = Field(
        None,
        description="Criteria in the form of the Search API. Finds 2,000 leads a run at most, and its `equals` finds "
        "what contains the value.",
        examples=["((Lead_Status:equals:Qualified)and(Rating:equals:Active))"],
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> LeadCriteria:
        if (self.coql is None) == (self.search is None):
            raise ValueError("must have one of coql and search")
        return self

    @property
    def form(self) -> Language:
        """The language of `text`."""
        return Language.COQL if self.coql is not None else Language.SEARCH

    @property
    def text(self) -> str:
        """The criteria as they were written."""
        return self.coql or self.search or ""


class Schedule(_Table):
    """When beat runs the profile: by a crontab or every so often, one of the two."""

    crontab: Annotated[str, AfterValidator(check_crontab)] | None = Field(
        None,
        description="Minute, hour, day of the month, month and day of the week; all of them must match.",
        examples=["0 4 * * mon-fri"],
    )
    every: Annotated[Span, Field(ge=10, le=366 * _DAY)] | None = Field(
        None, description="A span of time, counted from 1970-01-01T00:00Z, so that all clocks agree.", examples=["15m"]
    )
    time_zone: Annotated[str, AfterValidator(_zone)] = Field(
        "UTC", description="The crontab's time zone, by its IANA name.", examples=["Europe/Berlin"]
    )
    catch_up: Annotated[Span, Field(ge=0, le=30 * _DAY)] = Field(
        3600.0, description="How late a run may still begin that beat or the workers missed.", examples=["1h"]
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Schedule:
        if (self.crontab is None) == (self.every is None):
            raise ValueError("must have one of crontab and every")
        return self


class Limits(_Table):
    """How much a run may take, and whether its leads overtake others."""

    max_leads: int | None = Field(
        None, ge=1, le=10_000_000, description="The most leads of a run; the next run goes on where it stopped."
    )
    priority: Literal["bulk", "interactive"] = Field("bulk", description="Interactive leads overtake bulk.")


class Account(_Table):
    """Another organisation: its own credentials, limits and part of the ledger. Secrets are never in this file.

    They come from ZOHO_CLIENT_ID__NAME, ZOHO_CLIENT_SECRET__NAME and ZOHO_REFRESH_TOKEN__NAME (the account's name in
    capitals, - as _), or from the variables that the ``…_env`` keys name.
    """

    data_center: Literal["us", "eu", "in", "au", "cn", "jp", "ca", "sa"] = Field(
        "us", description="Where the organisation lives."
    )
    accounts_url: str | None = Field(None, description="Overrides the accounts server, for the simulator or a proxy.")
    api_domain: str | None = Field(None, description="Overrides the API's address, likewise.")
    concurrency: int | None = Field(None, ge=1, le=100, description="Calls at once; without it the edition decides.")
    calls_per_minute: int | None = Field(None, ge=1, le=100_000)
    credits_reserve: int | None = Field(None, ge=0, le=10_000_000)
    window: int | None = Field(None, ge=1, le=10_000, description="Chunks that may wait to be sent.")
    max_jobs: int | None = Field(None, ge=1, le=100_000, description="Jobs that may be open at Zoho.")
    client_id_env: Annotated[str, Field(pattern=_VARIABLE)] | None = Field(
        None, description="The environment variable that holds the client id."
    )
    client_secret_env: Annotated[str, Field(pattern=_VARIABLE)] | None = Field(
        None, description="The environment variable that holds the client secret."
    )
    refresh_token_env: Annotated[str, Field(pattern=_VARIABLE)] | None = Field(
        None, description="The environment variable that holds the refresh token."
    )

    def table(self) -> dict[str, Any]:
        """What is given, by the variable that it stands for."""
        given = self.model_dump(exclude_none=True, exclude={key for key, _ in _HELD_BY.items()})
        return {_VARIABLES[key]: value for key, value in given.items()}

    def held_by(self) -> dict[str, str]:
        """Each credential's variable, where another one than the usual holds it."""
        return {name: getattr(self, key) for key, name in _HELD_BY.items() if getattr(self, key)}


#: What each key stands for.
_VARIABLES = {
    "data_center": "ZOHO_DATA_CENTER",
    "accounts_url": "ZOHO_ACCOUNTS_URL",
    "api_domain": "ZOHO_API_DOMAIN",
    "concurrency": "ZOHO_CONCURRENCY",
    "calls_per_minute": "MASSCONVERT_CALLS_PER_MINUTE",
    "credits_reserve": "MASSCONVERT_CREDITS_RESERVE",
    "window": "MASSCONVERT_WINDOW",
    "max_jobs": "MASSCONVERT_MAX_JOBS",
}
_HELD_BY = {
    "client_id_env": "ZOHO_CLIENT_ID",
    "client_secret_env": "ZOHO_CLIENT_SECRET",
    "refresh_token_env": "ZOHO_REFRESH_TOKEN",
}


class Profile(_Table):
    """A named conversion: what to convert into, which leads, when, how many."""

    description: str = Field("", max_length=1000)
    account: str | None = Field(None, description="The account whose leads these are; without it, the environment's.")
    enabled: bool = Field(True, description="Whether beat runs it by its schedule; it can be run by hand either way.")
    options: Annotated[dict[str, Any], AfterValidator(_options)] = Field(
        default_factory=dict, description="The body of the Mass Convert Lead API without ids, as in an options file."
    )
    criteria: LeadCriteria | None = None
    schedule: Schedule | None = None
    limits: Limits = Limits()
    on_complete: Annotated[str | dict[str, Any] | list[str | dict[str, Any]] | None, AfterValidator(_targets)] = Field(
        None,
        description="Whom to call when a batch of it has finished: a Celery task, a web hook, or a list of these.",
        examples=["shop.converted@shop", "https://shop.example.com/converted"],
    )

    @model_validator(mode="after")
    def _scheduled_with_criteria(self) -> Profile:
        if self.schedule and not self.criteria:
            raise ValueError("has a schedule but no criteria: it would not know which leads")
        return self

    @property
    def priority(self) -> Priority:
        """The priority of its batches."""
        return Priority(self.limits.priority)

    @property
    def targets(self) -> tuple[Target, ...]:
        """Whom its batches call when they have finished."""
        return parse_targets(self.on_complete)


class Config(_Table):
    """The whole file."""

    accounts: dict[Annotated[str, Field(pattern=ACCOUNT)], Account] = Field(default_factory=dict)
    profiles: dict[Annotated[str, Field(pattern=NAME)], Profile] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _accounts_that_are_there(self) -> Config:
        for name, profile in self.profiles.items():
            if profile.account is not None and profile.account not in self.accounts:
                raise ValueError(f"profiles.{name}.account names {profile.account}, and there is no such account")
        suffixes = [name.upper().replace("-", "_") for name in self.accounts]
        if len(set(suffixes)) < len(suffixes):
            raise ValueError("has two accounts whose variables would have the same names")
        return self
