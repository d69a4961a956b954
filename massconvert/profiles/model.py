"""What may stand in ``massconvert.toml``; the JSON Schema for editors is made from this (see ``schema``)."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from massconvert.errors import OptionsError
from massconvert.model import Priority
from massconvert.options import Options
from massconvert.policy import Form
from massconvert.profiles.criteria import check_search, where_of
from massconvert.profiles.slots import check_crontab

#: A profile's name becomes a part of its batches' names.
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,59}$"
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
    def form(self) -> Form:
        """The language of `text`."""
        return Form.COQL if self.coql is not None else Form.SEARCH

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
        None, ge=1, le=10_000_000, description="So many leads a run at most; the next run goes on where it stopped."
    )
    priority: Literal["bulk", "interactive"] = Field("bulk", description="Interactive leads overtake bulk.")


class Profile(_Table):
    """A named conversion: what to convert into, which leads, when, how many."""

    description: str = Field("", max_length=1000)
    enabled: bool = Field(True, description="Whether beat runs it by its schedule; it can be run by hand either way.")
    options: Annotated[dict[str, Any], AfterValidator(_options)] = Field(
        default_factory=dict, description="The body of the Mass Convert Lead API without ids, as in an options file."
    )
    criteria: LeadCriteria | None = None
    schedule: Schedule | None = None
    limits: Limits = Limits()

    @model_validator(mode="after")
    def _scheduled_with_criteria(self) -> Profile:
        if self.schedule and not self.criteria:
            raise ValueError("has a schedule but no criteria: it would not know which leads")
        return self

    @property
    def priority(self) -> Priority:
        """The priority of its batches."""
        return Priority(self.limits.priority)


class Config(_Table):
    """The whole file."""

    profiles: dict[Annotated[str, Field(pattern=NAME)], Profile] = Field(default_factory=dict)
