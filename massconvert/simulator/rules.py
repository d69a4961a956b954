"""How the simulated organisation behaves where Zoho leaves a choice, or where a test wants one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from massconvert.simulator.messages import SimulatorError

#: Simultaneous calls, per organisation and connected app, by edition.
CONCURRENCY = {"free": 5, "standard": 10, "professional": 15, "enterprise": 20, "ultimate": 25}

#: The first version whose code for too many leads is LIMIT_EXCEEDED.
LIMIT_EXCEEDED_FROM = 7

SCOPES = frozenset(
    {
        "ZohoCRM.mass_convert.leads.CREATE",
        "ZohoCRM.mass_convert.leads.READ",
        "ZohoCRM.modules.leads.READ",
        "ZohoCRM.users.READ",
        "ZohoCRM.org.READ",
        "ZohoCRM.settings.modules.READ",
        "ZohoCRM.settings.fields.READ",
        "ZohoCRM.settings.layouts.READ",
        "ZohoCRM.settings.pipeline.READ",
        "ZohoCRM.settings.clientportal.READ",
        "ZohoCRM.modules.deals.UPDATE",
        "ZohoCRM.coql.READ",
        "ZohoSearch.securesearch.READ",
    }
)


@dataclass(frozen=True)
class Rules:
    """Every choice about an organisation. Durations are seconds, ``None`` is no limit.

    Raises SimulatorError for an unknown edition.
    """

    # Jobs: one takes job_seconds + its leads * job_seconds_per_lead + a draw up to job_jitter.
    job_seconds: float = 1.0
    job_seconds_per_lead: float = 0.0
    job_jitter: float = 0.0
    scheduled_share: float = 0.2  # of a job's time, in which its status is "scheduled"
    status_case: Literal["upper", "lower", "title"] = "upper"  # the page's sample has COMPLETED, its text completed

    # Payloads. Which bad leads a refusal names is open; so is whether the options or the leads are looked at first.
    names_bad_leads: Literal["first", "all", "none"] = "first"
    leads_first: bool = False
    most_leads: int = 50
    too_many_code: Literal["RECORD_LIMIT_EXCEEDED", "LIMIT_EXCEEDED", ""] = ""  # as the version has it
    accepted_status: int = 200  # the newest description has 202
    most_id_characters: int | None = None  # of ``ids`` in a read: 1,024 in the newest description, if that is enforced
    pipelines: bool = False  # enabled for Deals: the key is mandatory then
    assign_to_mandatory: bool = False  # the page says so, its sample and the description do not
    takes_any_options: bool = False  # users, stages and modules of somebody else's organisation: none is looked up
    may_convert: bool = True  # the user's permission
    may_edit_deals: bool = True

    # The organisation.
    kind: Literal["sandbox", "developer", "production"] = "sandbox"  # nothing is lost in a simulator
    trial_days: float | None = None  # until its trial ends, less than 0 where it is over; else it has been paid for
    more_users: int = 0  # besides the three of the catalogue, all active
    mandatory_deal_fields: frozenset[str] = frozenset()  # of the layout Standard, besides those of the module

    # Limits.
    edition: str = "enterprise"
    concurrency: int | None = None  # overrides the edition's
    heavy_concurrency: int = 10  # the sub-limit, which mass convert posts share
    credits: int | None = None  # of a rolling day

    # Tokens.
    token_seconds: int = 3600
    tokens_in_ten_minutes: int | None = 10
    live_tokens: int = 15
    too_many_tokens_status: int = 200  # seen with 400 too
    scopes: frozenset[str] = SCOPES

    def __post_init__(self) -> None:
        if self.edition not in CONCURRENCY:
            raise SimulatorError(f"{self.edition!r} is no edition; there are {', '.join(CONCURRENCY)}")

    def of_version(self, version: int) -> Rules:
        """These rules, with what a version of the API decides."""
        code: Literal["RECORD_LIMIT_EXCEEDED", "LIMIT_EXCEEDED"]
        code = "LIMIT_EXCEEDED" if version >= LIMIT_EXCEEDED_FROM else "RECORD_LIMIT_EXCEEDED"
        return self if self.too_many_code else replace(self, too_many_code=code)

    @property
    def calls_at_once(self) -> int:
        """The limit of simultaneous calls that holds."""
        return self.concurrency if self.concurrency is not None else CONCURRENCY[self.edition]
