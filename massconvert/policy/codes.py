"""What Zoho's refusals mean: one table of its codes, for every call that we make.

A code is about *leads* of the payload, about the *options* that all of them share, about the *organisation* (its
edition, its limits, the user, the token's scopes), or about nothing that it tells (`UNEXPLAINED`: only a look at the
leads, and halving, can say whom it means). What an answer names is stronger than its code: a place in the ids is about
that lead, a place in the options is about the options, whatever the code.

``source`` says how sure a row is. *documented*: on Zoho's pages or in its description of the API. *seen*: in public
code or notes that met the live service. *inferred*: documented for a sibling call, and to be expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from massconvert.model import Code, Refused


class Meaning(Enum):
    """What a definite refusal means, whichever call it answers."""

    LEADS = "some of the leads"
    OPTIONS = "the options"
    UNEXPLAINED = "something that it does not tell"
    TOO_MANY = "too many leads"
    NOT_ALLOWED = "the organisation, the user or the credentials"
    TOKEN = "the access token"  # noqa: S105 - a meaning, not a secret
    THROTTLED = "a limit"
    UNCLEAR = "nothing that can be believed"


class Retry(Enum):
    """What `massconvert retry` does about leads that ended with a code."""

    WHEN_FIXED = "takes them, once somebody has fixed the lead"
    FIXED_OPTIONS = "takes them, with fixed options"
    NO_NEED = "has nothing to take: no lead ends with it"
    LATER = "takes them, as they are: nothing needs to be fixed, but some time may have to pass"
    NO_USE = "takes them, and they fail once more: Zoho does not have them"
    NEW_INPUT = "does not take them: what was given was no lead id"


@dataclass(frozen=True)
class ZohoCode:
    """A code of Zoho's: what it means, in words for people, how sure that is, and what `massconvert retry` does.

    ``calls`` are those that answer with it, as far as is known. ``fix`` is what a person does, where the organisation
    pauses for it: at once, or for a refused token after an hour.
    """

    meaning: Meaning
    words: str
    calls: str
    source: str
    fix: str = ""

    @property
    def retry(self) -> Retry:
        """What `massconvert retry` does about leads that ended with it."""
        return _RETRIES.get(self.meaning, Retry.NO_NEED)


_RETRIES = {
    Meaning.LEADS: Retry.WHEN_FIXED,
    Meaning.UNEXPLAINED: Retry.WHEN_FIXED,
    Meaning.TOO_MANY: Retry.WHEN_FIXED,
    Meaning.OPTIONS: Retry.FIXED_OPTIONS,
}
#: The same for the codes of our own with which leads fail.
_OURS = {
    Code.NOT_FOUND: Retry.NO_USE,
    Code.INVALID_ID: Retry.NEW_INPUT,
    Code.UNKNOWN_NAME: Retry.FIXED_OPTIONS,
    Code.LOCKED: Retry.LATER,
    Code.NOT_CONVERTED: Retry.LATER,
    Code.GAVE_UP: Retry.LATER,
}

#: What the codes of our own mean, in words for people.
OUR_WORDS: dict[str, str] = {
    Code.NOT_FOUND: "Zoho has no such lead, or does not show it to this user",
    Code.INVALID_ID: "what was given is no lead id",
    Code.NOT_CONVERTED: "Zoho's jobs ended without converting the lead",
    Code.NOT_VISIBLE: "it was sent, and Zoho does not show it any more: it may be converted",
    Code.STATE_UNKNOWN: "Zoho does not say whether it is converted: it may be",
    Code.LOCKED: "Zoho has locked the lead (an approval, or a process that is under way); it was not sent",
    Code.GAVE_UP: "Zoho gave no usable answer for too long; the lead is not converted",
    Code.UNKNOWN_NAME: "a name in the options is not in Zoho",
    Code.MATCH_FOUND: "Zoho has contacts or accounts that the lead may belong to; it was not converted",
    Code.MATCH_UNCLEAR: "nobody can ask Zoho whether it has a contact or account for the lead; it was not converted",
}

_D, _S, _I = "documented", "seen", "inferred"
_POST, _ALL = "mass convert", "every call"
_CHECK_URL = "Check ZOHO_API_VERSION and ZOHO_API_DOMAIN"
_FREE = "Have somebody free room in Zoho (Setup > Data administration > Storage)"
_BUY = "Have somebody look at the organisation's edition and licences (Setup > Billing)"
_TOKENS = (
    "Check that the refresh token is this organisation's (a sandbox has its own) and that ZOHO_API_DOMAIN is, restart "
    "the workers with the right ones"
)
_GIVE = "Give the user of the refresh token permission to {}"

#: Zoho's error codes. `INVALID_DATA` is told apart by what it names, see `meaning`.
CODES: dict[str, ZohoCode] = {
    # --- a lead
    "INVALID_DATA": ZohoCode(Meaning.LEADS, "a value is wrong", _ALL, _D),
    "ID_ALREADY_CONVERTED": ZohoCode(Meaning.LEADS, "the lead is converted already", "convert", _D),
    "CONVERTED_RECORD": ZohoCode(Meaning.LEADS, "the lead is converted already", "updates", _D),
    "NOT_APPROVED": ZohoCode(Meaning.LEADS, "the lead waits for approval", "convert", _D),
    "NOT_REVIEWED": ZohoCode(Meaning.LEADS, "the lead waits for review", "convert", _D),
    "RECORD_LOCKED": ZohoCode(
        Meaning.LEADS, "the lead is locked, being merged, or its image is being checked", "convert, updates", _D
    ),
    "RECORD_IN_BLUEPRINT": ZohoCode(Meaning.LEADS, "a blueprint owns the record's stage", "updates", _S),
    "DUPLICATE_DATA": ZohoCode(
        Meaning.LEADS, "a field that must be unique has the value of another record", "convert, updates", _D
    ),
    "DATA_MISMATCH": ZohoCode(Meaning.LEADS, "the lead does not match the record to link to", "convert", _D),
    "MULTIPLE_OR_MULTI_ERRORS": ZohoCode(Meaning.UNEXPLAINED, "several errors at once", "updates", _D),
    # --- the options
    "MANDATORY_NOT_FOUND": ZohoCode(Meaning.OPTIONS, "a mandatory key is missing", _POST, _D),
    "EXPECTED_FIELD_MISSING": ZohoCode(Meaning.OPTIONS, "one of several keys is missing", _POST, _D),
    "AMBIGUITY_DURING_PROCESSING": ZohoCode(Meaning.OPTIONS, "two keys contradict each other", _POST, _D),
    "MAPPING_MISMATCH": ZohoCode(
        Meaning.OPTIONS, "a value does not go with another, as a stage with a pipeline", _POST, _D
    ),
    # --- neither that it tells
    "CANNOT_PERFORM_ACTION": ZohoCode(Meaning.UNEXPLAINED, "Zoho cannot do it", "convert", _D),
    "NOT_ALLOWED": ZohoCode(Meaning.UNEXPLAINED, "Zoho does not allow it", "mass convert, convert", _D),
    "REQUIRED_PARAM_MISSING": ZohoCode(Meaning.UNEXPLAINED, "a parameter of the call is missing", "status, reads", _D),
    "EXPECTED_PARAM_MISSING": ZohoCode(Meaning.UNEXPLAINED, "a parameter of the call is missing", "search", _D),
    # --- the criteria of a profile
    "SYNTAX_ERROR": ZohoCode(Meaning.OPTIONS, "the query cannot be read", "queries", _D),
    "INVALID_QUERY": ZohoCode(Meaning.OPTIONS, "the query names an unknown field or module", "queries", _D),
    "DUPLICATE_ALIAS": ZohoCode(Meaning.OPTIONS, "the query has a name twice", "queries", _D),
    "INVALID_ALIAS": ZohoCode(Meaning.OPTIONS, "the query has a name that cannot be one", "queries", _D),
    # --- too many
    "RECORD_LIMIT_EXCEEDED": ZohoCode(Meaning.TOO_MANY, "more leads than Zoho takes (up to version 6)", _POST, _D),
    "LIMIT_EXCEEDED": ZohoCode(Meaning.TOO_MANY, "more than Zoho takes at once", "mass convert, reads, queries", _D),
    # --- the organisation
    "NO_PERMISSION": ZohoCode(
        Meaning.NOT_ALLOWED, "the user lacks a permission", _ALL, _D, _GIVE.format("convert leads")
    ),
    "AUTHORIZATION_FAILED": ZohoCode(
        Meaning.NOT_ALLOWED, "the user may not do this", _ALL, _D, _GIVE.format("convert leads and to use the API")
    ),
    "OAUTH_SCOPE_MISMATCH": ZohoCode(
        Meaning.NOT_ALLOWED,
        "the refresh token lacks a scope",
        _ALL,
        _D,
        "Make a new refresh token with the scopes ZohoCRM.mass_convert.leads.CREATE, "
        "ZohoCRM.mass_convert.leads.READ and ZohoCRM.modules.leads.READ; to link leads also "
        "ZohoCRM.modules.leads.CREATE",
    ),
    "API_NOT_SUPPORTED": ZohoCode(
        Meaning.NOT_ALLOWED,
        "this version, edition or environment (a sandbox, for example) does not have the call",
        _ALL,
        _D,
        "Check ZOHO_API_VERSION, and whether this is a sandbox",
    ),
    "FEATURE_NOT_SUPPORTED": ZohoCode(Meaning.NOT_ALLOWED, "the edition does not have it", _ALL, _D, _BUY),
    "LICENSE_LIMIT_EXCEEDED": ZohoCode(Meaning.NOT_ALLOWED, "the licences are used up", _ALL, _D, _BUY),
    "LIMIT_REACHED": ZohoCode(Meaning.NOT_ALLOWED, "the organisation has no room for more records", _POST, _I, _FREE),
    "STORAGE_SPACE_EXCEEDED": ZohoCode(Meaning.NOT_ALLOWED, "the organisation's storage is full", _POST, _I, _FREE),
    "INVALID_MODULE": ZohoCode(
        Meaning.NOT_ALLOWED,
        "the module Leads is not there for this user",
        _ALL,
        _D,
        "Let the profile of the refresh token's user see the module Leads",
    ),
    "INVALID_URL_PATTERN": ZohoCode(Meaning.NOT_ALLOWED, "there is no such call", _ALL, _D, _CHECK_URL),
    "INVALID_REQUEST_METHOD": ZohoCode(Meaning.NOT_ALLOWED, "there is no such call", _ALL, _D, _CHECK_URL),
    # --- the access token, limits, and what says nothing
    "INVALID_TOKEN": ZohoCode(
        Meaning.TOKEN, "the access token has ended, or is another organisation's", _ALL, _D, _TOKENS
    ),
    "AUTHENTICATION_FAILURE": ZohoCode(Meaning.TOKEN, "the access token is refused", _ALL, _D, _TOKENS),
    "INVALID_OAUTHTOKEN": ZohoCode(Meaning.TOKEN, "the access token is refused", _ALL, _D, _TOKENS),
    "TOO_MANY_REQUESTS": ZohoCode(Meaning.THROTTLED, "over a limit of calls", _ALL, _D),
    "ALREADY_SCHEDULED": ZohoCode(Meaning.UNCLEAR, "Zoho is at work on it already", _POST, _I),
    "ALREADY_MODIFIED": ZohoCode(Meaning.UNCLEAR, "somebody has changed the record meanwhile", "updates", _D),
    "INTERNAL_ERROR": ZohoCode(Meaning.UNCLEAR, "Zoho failed, perhaps after it did the work", _ALL, _D),
}

#: Zoho's error codes and what each means.
MEANINGS: dict[str, Meaning] = {code: row.meaning for code, row in CODES.items()}
#: Of a refused access token; a new one may help.
TOKEN_CODES = frozenset(code for code, means in MEANINGS.items() if means is Meaning.TOKEN)

#: The codes with which Zoho says itself that a lead is converted.
SAY_CONVERTED = frozenset({"ID_ALREADY_CONVERTED", "CONVERTED_RECORD"})

#: What a refusal means by its HTTP status, where its code is not in `CODES`. Errors come with 200 to 207 as well.
STATUS_MEANINGS: dict[int, Meaning] = {
    **dict.fromkeys((200, 201, 202, 207, 400, 409, 412, 422, 423), Meaning.UNEXPLAINED),
    408: Meaning.UNCLEAR,
    413: Meaning.TOO_MANY,
    414: Meaning.TOO_MANY,
    425: Meaning.UNCLEAR,
    429: Meaning.THROTTLED,
}

#: What to do about a pause, by Zoho's code; what is said of it ends with `massconvert.words.next_command.then_resume`.
HINTS: dict[str, str] = {
    **{code: row.fix for code, row in CODES.items() if row.fix},
    "": "Fix what Zoho names",
}
CREDENTIALS_HINT = (
    "Check ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN and ZOHO_DATA_CENTER, restart the workers with "
    "the right ones"
)
_TOKENS_HINT = (
    "Zoho gives 10 access tokens in 10 minutes for a refresh token: find what else uses this one, give each program a "
    "refresh token of its own"
)
#: Where access tokens are used up, by what Zoho says, and by our own count.
TOKEN_HINTS = {"ACCESS_DENIED": _TOKENS_HINT, "TOKENS_USED": _TOKENS_HINT}

#: The switches of a profile (Setup > Profiles) as ``details.permissions`` names them, and what each lets a user do.
PERMISSIONS: dict[str, str] = {
    "Crm_Implied_Mass_Convert_Leads": "convert leads",
    "Crm_Implied_Convert_Leads": "convert leads",
    "Crm_Implied_View_Leads": "view leads",
    "Crm_Implied_Edit_Potentials": "edit deals",
    "Crm_Implied_Api_Access": "use the API",
}

#: The keys of a payload, without ``ids``. Zoho says ``assignee`` for ``assign_to``, too.
_OPTIONS = (
    *("Deals", "assign_to", "assignee", "related_modules", "carry_over_tags", "move_attachments_to"),
    *("portal_user_type", "apply_assignment_threshold"),
)
_OPTION_PLACE = re.compile(rf"\$?\.?(?:{'|'.join(_OPTIONS)})(?![A-Za-z0-9_])")
#: A place among the leads: ``$.ids[3]``, ``$.ids[3].x``, and ``$.data[3]`` where Zoho speaks of records.
_LEAD_PLACE = re.compile(r"\$?\.?(?:ids|data)\.?\[([0-9]{1,6})\]")
#: A contact or an account that a lead was to be linked to, and the words with which Zoho says that it does not match.
_RECORD_PLACE = re.compile(r"(?:^|[.\]])(?:Contacts|Accounts)(?![A-Za-z0-9_])")
_MISMATCH = re.compile(r"(?:Account|Contact).*(?:doesn't|does not) match|mismatch", re.IGNORECASE)
_IDS_PLACE = re.compile(r"\$?\.?ids(?![A-Za-z0-9_])")


def meaning(answer: Refused) -> Meaning:
    """Say what a definite refusal means: by status 429, by the place it names, by its code, else by its status."""
    if answer.status == 429:
        return Meaning.THROTTLED
    code = answer.code.upper()
    row = CODES.get(code)
    if row is not None:
        means = row.meaning
    elif code.startswith("LICENSE"):
        means = Meaning.NOT_ALLOWED
    else:
        means = STATUS_MEANINGS.get(answer.status, Meaning.NOT_ALLOWED)
    if code == "INVALID_DATA":
        return _of_invalid_data(answer)
    if means in _YIELD_TO_LEADS and any(map(_LEAD_PLACE.match, answer.paths)):
        return Meaning.LEADS
    about_options = bool(answer.paths) and all(map(_OPTION_PLACE.match, answer.paths))
    return Meaning.OPTIONS if means in _YIELD_TO_OPTIONS and about_options else means


#: What gives way to a place in the ids or in the options that the answer names.
_YIELD_TO_LEADS = frozenset({Meaning.OPTIONS, Meaning.UNEXPLAINED, Meaning.NOT_ALLOWED})
_YIELD_TO_OPTIONS = frozenset({Meaning.UNEXPLAINED, Meaning.NOT_ALLOWED, Meaning.TOO_MANY})


def _of_invalid_data(answer: Refused) -> Meaning:
    """What is wrong with the data: the length of the list of ids, leads in it, or the options, by what is named."""
    paths = answer.paths
    if any(map(_LEAD_PLACE.match, paths)):
        return Meaning.LEADS
    about_ids = any(map(_IDS_PLACE.match, paths))
    if about_ids and ("maximum_length" in answer.details or "limit" in answer.details):
        return Meaning.TOO_MANY
    if about_ids or not paths:
        return Meaning.LEADS
    return Meaning.OPTIONS if any(map(_OPTION_PLACE.match, paths)) else Meaning.UNEXPLAINED


def says_mismatch(answer: Refused) -> bool:
    """Whether the conversion of a single lead is refused for the record that it was to be linked to."""
    names = [*answer.paths, str(answer.details.get("api_name", ""))]
    about_record = any(_RECORD_PLACE.search(name) for name in names)
    code = answer.code.upper()
    told = code == "INVALID_DATA" and (about_record or _MISMATCH.search(answer.message))
    return code == "DATA_MISMATCH" or bool(told)


def named_leads(leads: tuple[str, ...], paths: Iterable[str], ids: Iterable[str] = ()) -> tuple[str, ...]:
    """Find the leads that a refusal names, by paths like ``$.ids[3]`` or by their ids, in payload order.

    An id that is not one of ``leads`` is another record's. A ``resource_path_index`` counts the parts of the address,
    so it names nobody here.
    """
    places = {int(found[1]) for path in paths if (found := _LEAD_PLACE.match(path))}
    named = frozenset(ids)
    return tuple(lead for place, lead in enumerate(leads) if place in places or lead in named)


def about_ids_of_a_read(answer: Refused) -> bool:
    """Whether a read is refused for its ids: there are too many, they are too long together, or one of them is none."""
    means = meaning(answer)
    named = bool(answer.ids) or any(_IDS_PLACE.match(path) for path in answer.paths)
    return means is Meaning.TOO_MANY or (means is Meaning.LEADS and named)


def retry_of(code: str) -> Retry:
    """What `massconvert retry` does about leads that failed with a code, Zoho's or ours.

    Where a code is in no table, or its leads end with it only when they are named, it is about the lead.
    """
    row = CODES.get(code.upper())
    found = _OURS.get(code) or (row.retry if row else Retry.WHEN_FIXED)
    return Retry.WHEN_FIXED if found is Retry.NO_NEED else found


def words_of(code: str) -> str:
    """What a code means, Zoho's or ours, for people; empty for one that is not known."""
    row = CODES.get(code.upper())
    return OUR_WORDS.get(code) or (row.words if row else "")


def reason_of(answer: Refused) -> str:
    """Why the organisation pauses: Zoho's words, and the switches of the profile that it names."""
    said = answer.message or words_of(answer.code) or "no message"
    switches = permissions_of(answer)
    named = f" ({', '.join(switches)})" if switches else ""
    return f"Zoho answered {answer.status} {answer.code}: {said}{named}"


def hint_of(answer: Refused) -> str:
    """What a person does about a pause, by the permission that is missing, else by the code."""
    switches = permissions_of(answer)
    lower = answer.message.lower()
    if "edition" in lower or "licen" in lower or answer.code.upper().startswith("LICENSE"):
        return _BUY
    if not switches and answer.code.upper() == "NO_PERMISSION" and "api" in lower.split():
        switches = ("Crm_Implied_Api_Access",)
    if switches:
        deeds = dict.fromkeys(PERMISSIONS.get(name, "do this") for name in switches)
        return _GIVE.format(f"{' and to '.join(deeds)} (the profile's {', '.join(switches)})")
    return HINTS.get(answer.code.upper(), HINTS[""])


def permissions_of(answer: Refused) -> tuple[str, ...]:
    """The switches of a profile that ``details`` names as missing: at most five."""
    named = answer.details.get("permissions")
    names = named if isinstance(named, list | tuple) else [named]
    return tuple(name[:100] for name in names if isinstance(name, str) and name)[:5]
