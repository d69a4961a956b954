"""How the simulated organisation behaves where Zoho leaves a choice, or where a test wants one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from massconvert.simulator.behaviour import Behaviour
from massconvert.simulator.fields import FIELDS, MADE
from massconvert.simulator.messages import SimulatorError

#: Simultaneous calls, per organisation and connected app, by edition.
CONCURRENCY = {"free": 5, "standard": 10, "professional": 15, "enterprise": 20, "ultimate": 25}

#: The first version whose code for too many leads is LIMIT_EXCEEDED.
LIMIT_EXCEEDED_FROM = 7

_MODULES = ("leads", "contacts", "accounts", "deals")
_DEEDS = {"READ": "View", "CREATE": "Create", "UPDATE": "Edit", "DELETE": "Delete"}
#: What the calls of a conversion need.
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
#: What all the other calls need: those of single conversions, of matching, and of a rehearsal.
MORE_SCOPES = (
    frozenset(f"ZohoCRM.modules.{module}.{deed}" for module in _MODULES for deed in _DEEDS)
    | {"ZohoCRM.settings.recycle_bin.READ", "ZohoCRM.settings.recycle_bin.DELETE", "ZohoCRM.composite_requests.CUSTOM"}
) - SCOPES
ALL_SCOPES = SCOPES | MORE_SCOPES
#: What a profile of the user may forbid, as ``details.permissions`` of NO_PERMISSION name it.
API_ACCESS, MASS_CONVERT, CONVERT = (
    "Crm_Implied_Api_Access",
    "Crm_Implied_Mass_Convert_Leads",
    "Crm_Implied_Convert_Leads",
)


def permission(module: str, deed: str) -> str:
    """The permission for READ, CREATE, UPDATE or DELETE of a module; deals are Potentials there."""
    return f"Crm_Implied_{_DEEDS[deed]}_{module.replace('Deals', 'Potentials')}"


PERMISSIONS = frozenset(
    {API_ACCESS, MASS_CONVERT, CONVERT} | {permission(module.title(), deed) for module in _MODULES for deed in _DEEDS}
)
#: Fields that may be unique.
_TEXTS = frozenset(f"{module}.{each.name}" for module in MADE for each in FIELDS[module] if each.json_type == "string")


@dataclass(frozen=True)
class Rules(Behaviour):
    """Every choice about an organisation: how it behaves, and these. Durations are seconds, ``None`` is no limit.

    Raises SimulatorError for an unknown edition, unique field or permission.
    """

    pipelines: bool = False  # enabled for Deals: the key is mandatory then
    takes_any_options: bool = False  # users, stages and modules of somebody else's organisation: none is looked up
    may_convert: bool = True  # the user's permission
    without_permissions: frozenset[str] = frozenset()  # what else the user's profile forbids, see `PERMISSIONS`
    unique_fields: frozenset[str] = frozenset()  # such as Contacts.Email

    # The organisation.
    kind: Literal["sandbox", "developer", "production"] = "sandbox"  # nothing is lost in a simulator
    trial_days: float | None = None  # until its trial ends, less than 0 where it is over; else it has been paid for
    more_users: int = 0  # in addition to the three of the catalogue, all active
    mandatory_deal_fields: frozenset[str] = frozenset()  # of the layout Standard, in addition to those of the module

    # Limits.
    edition: str = "enterprise"
    credits: int | None = None  # of a rolling day

    # Tokens.
    token_seconds: int = 3600
    tokens_in_ten_minutes: int | None = 10
    live_tokens: int = 15
    too_many_tokens_status: int = 200  # seen with 400 too
    scopes: frozenset[str] = ALL_SCOPES

    def __post_init__(self) -> None:
        if self.edition not in CONCURRENCY:
            raise SimulatorError(f"{self.edition!r} is no edition; there are {', '.join(CONCURRENCY)}")
        for named, known, wanted in (
            (self.unique_fields, _TEXTS, "a field that can be unique"),
            (self.without_permissions, PERMISSIONS, "a permission"),
        ):
            if wrong := sorted(named - known):
                raise SimulatorError(f"{wrong[0]!r} is not {wanted}; these are: {', '.join(sorted(known))}")

    def of_version(self, version: int) -> Rules:
        """These rules, with what a version of the API decides."""
        code: Literal["RECORD_LIMIT_EXCEEDED", "LIMIT_EXCEEDED"]
        code = "LIMIT_EXCEEDED" if version >= LIMIT_EXCEEDED_FROM else "RECORD_LIMIT_EXCEEDED"
        return self if self.too_many_code else replace(self, too_many_code=code)

    def forbidden(self, permission: str) -> str:
        """Which permission the user lacks for a call that needs this one; nothing if none."""
        forbidden = self.without_permissions | (frozenset() if self.may_convert else {MASS_CONVERT})
        return next((each for each in (API_ACCESS, permission) if each in forbidden), "")

    @property
    def calls_at_once(self) -> int:
        """The limit of simultaneous calls that holds."""
        return self.concurrency if self.concurrency is not None else CONCURRENCY[self.edition]
