"""Options as values: Python's form of Zoho's body, frozen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import BaseModel, ConfigDict, Field

from massconvert.errors import OptionsError
from massconvert.model import OnMatch
from massconvert.options.check import DEAL_FIELDS, KEYS, BodyCheck, zoho_names
from massconvert.options.extras import EXTRAS, MATCH, ON_MATCH, PREFLIGHT
from massconvert.options.text import read_text

Reference: TypeAlias = Mapping[str, Any]


class Deal(BaseModel):
    """The deal that each lead is converted with; ``extra`` has further fields of the Deals module, by API name.

    ``closing_date`` is a date, ``"2026-12-24"``, or ``"+30d"``: days from the moment the payload is built, in UTC.
    Raises OptionsError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: str
    stage: str
    closing_date: str
    pipeline: Any = None
    amount: Any = None
    extra: dict[str, Any] = Field(default_factory=dict)

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            name: str,
            stage: str,
            closing_date: date | str,
            pipeline: str | None = None,
            amount: float | Decimal | None = None,
            extra: Mapping[str, Any] | None = None,
        ) -> None: ...

    else:

        def __init__(self, /, **given: Any) -> None:
            check = BodyCheck()
            fields = check.deal("$.Deals", zoho_names(check, given))
            check.demand()
            super().__init__(**fields)

    def body(self) -> dict[str, Any]:
        """The deal under Zoho's names."""
        own = {api: getattr(self, ours) for api, ours in DEAL_FIELDS.items()}
        body: dict[str, Any] = _copy({**{api: value for api, value in own.items() if value is not None}, **self.extra})
        return body


class Options(BaseModel):
    """What to convert into; without ``deal``, leads are converted without a deal. Raises OptionsError.

    ``assign_to`` takes a user's e-mail address, full name or id, ``portal_user_type`` a portal user type's name or id,
    either alone or as ``{"id": …}`` with what else is to be sent; modules are API names, alone or as ``{"api_name": …,
    "id": …}``. Names are looked up in the organisation before anything is sent (docs/options.md). ``preflight`` is not
    Zoho's but ours: the leads are read first, and those that cannot be converted end before any payload. So are
    ``on_match`` ("create", "link" or "hold") and ``match``: what is done with leads that match a contact or an account
    that is there, and by what they do (docs/duplicates.md).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    deal: Deal | None = None
    assign_to: dict[str, Any] | None = None
    portal_user_type: dict[str, Any] | None = None
    related_modules: tuple[dict[str, Any], ...] = ()
    carry_over_tags: tuple[dict[str, Any], ...] = ()
    move_attachments_to: dict[str, Any] | None = None
    apply_assignment_threshold: bool | None = None
    preflight: bool = False
    on_match: str = OnMatch.CREATE.value
    match: tuple[str | dict[str, str], ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self,
            *,
            deal: Deal | Mapping[str, Any] | None = None,
            assign_to: str | int | Reference | None = None,
            portal_user_type: str | int | Reference | None = None,
            related_modules: Sequence[str | Reference] | None = None,
            carry_over_tags: Sequence[str | Reference] | None = None,
            move_attachments_to: str | Reference | None = None,
            apply_assignment_threshold: bool | None = None,
            preflight: bool = False,
            on_match: str = "create",
            match: Sequence[str] | None = None,
        ) -> None: ...

    else:

        def __init__(self, /, **given: Any) -> None:
            given = {key: value.body() if isinstance(value, Deal) else value for key, value in given.items()}
            check = BodyCheck()
            fields = check.options(given)
            check.demand()
            deal = fields.pop("deal", None)
            super().__init__(deal=Deal.model_construct(**deal) if deal else None, **fields)

    @classmethod
    def parse(cls, value: Options | Mapping[str, Any] | str | None) -> Options:
        """Options from the API's JSON (a mapping or a text), from ``Options``, or none at all.

        Raises OptionsError, which names each wrong place by its path.
        """
        if isinstance(value, Options):
            return value
        if isinstance(value, str):
            value = read_text(value, "The options are ")
        if value is None:
            return cls()
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise OptionsError("The options must be a JSON object.", path="$", hint="Nothing was enqueued.")
        return cls(**value)

    @property
    def warnings(self) -> tuple[str, ...]:
        """What is allowed but probably not meant."""
        if self.assign_to is None:
            return ("assign_to is missing, so no owner is given. Zoho's page calls it mandatory; Zoho decides.",)
        return ()

    def body(self) -> dict[str, Any]:
        """Zoho's body without ``ids``; ``Closing_Date`` may still be relative (see `resolve_body`), and a reference
        without ``id`` is a name that must still be looked up (see `resolve_names`). What is ours stands under ``$``.
        """
        body: dict[str, Any] = {"Deals": self.deal.body()} if self.deal else {}
        for key in KEYS:
            value = getattr(self, key)
            if value is not None and value != ():
                body[key] = _copy(value)
        ours: dict[str, Any] = {PREFLIGHT: True} if self.preflight else {}
        if self.on_match != OnMatch.CREATE.value:
            ours |= {ON_MATCH: self.on_match} | ({MATCH: _copy(self.match)} if self.match else {})
        return body | ({EXTRAS: ours} if ours else {})


def _copy(value: Any) -> Any:
    """A copy that shares nothing with a frozen value, in JSON's own types."""
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list | tuple) else value
