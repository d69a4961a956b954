"""One rehearsal: make the records, ask the questions in their order. The caller cleans up, whatever happens."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import ceil
from typing import Any

from massconvert.errors import InputError, ZohoError
from massconvert.model import Call
from massconvert.policy.cost import POST_CREDITS, READ_CREDITS, STATUS_CREDITS
from massconvert.rehearsal.cast import FIFTY, NotMadeError, make
from massconvert.rehearsal.cleaning import Cleaned
from massconvert.rehearsal.deal import find_options
from massconvert.rehearsal.job_questions import JOB_QUESTIONS
from massconvert.rehearsal.lead_questions import LEAD_QUESTIONS
from massconvert.rehearsal.limit_questions import LIMIT_QUESTIONS
from massconvert.rehearsal.match_questions import MATCH_QUESTIONS
from massconvert.rehearsal.question import NOT_SEEN, UNKNOWN, Point, Question, Seen, anything
from massconvert.rehearsal.stage import Stage
from massconvert.rehearsal.wire import ACCOUNTS, CONTACTS, DEALS, LEADS, Wire

#: The mass convert of Zoho begins with this version of its API.
FIRST_VERSION = 4
#: The last question is the clean-up itself.
CLEAN_UP = Question(
    18,
    "Can all of it be deleted?",
    (
        Point("delete_converted", "a converted lead", UNKNOWN, anything, ""),
        Point("left_behind", "records that are left", "0", lambda value, _version: value == 0, "They stay in the CRM."),
    ),
    lambda _stage: {},
    calls={Call.QUERY: 8, Call.UPDATE: 8, Call.READ: 4},
)
_IN_ORDER = (3, 4, 5, 1, 2, 6, 7, 8, 9, 10, 11, 12, 13, 15, 16, 14, 17)
_ALL = {question.number: question for question in (*JOB_QUESTIONS, *LEAD_QUESTIONS, *MATCH_QUESTIONS, *LIMIT_QUESTIONS)}
#: All, in the order in which they are asked.
QUESTIONS: tuple[Question, ...] = (*(_ALL[number] for number in _IN_ORDER), CLEAN_UP)

#: What the rehearsal needs in addition to conversions: the scope, a call that shows whether it is there and changes
#: nothing, since no record has the id 1 and a list without rows makes none.
SCOPES: dict[str, tuple[str, str]] = {
    "ZohoCRM.modules.leads.CREATE": ("POST", LEADS),
    "ZohoCRM.modules.leads.DELETE": ("DELETE", LEADS),
    "ZohoCRM.modules.contacts.CREATE": ("POST", CONTACTS),
    "ZohoCRM.modules.contacts.READ": ("GET", CONTACTS),
    "ZohoCRM.modules.contacts.DELETE": ("DELETE", CONTACTS),
    "ZohoCRM.modules.accounts.CREATE": ("POST", ACCOUNTS),
    "ZohoCRM.modules.accounts.READ": ("GET", ACCOUNTS),
    "ZohoCRM.modules.accounts.DELETE": ("DELETE", ACCOUNTS),
    "ZohoCRM.modules.deals.READ": ("GET", DEALS),
    "ZohoCRM.modules.deals.DELETE": ("DELETE", DEALS),
}
#: What it can do without: it says then what it has not seen, or left in the recycle bin.
OPTIONAL_SCOPES = ("ZohoCRM.composite_requests.CUSTOM", "ZohoCRM.settings.recycle_bin.DELETE")
#: Credits of a call of each kind, as far as Zoho documents them.
_CREDITS = {
    Call.POST: POST_CREDITS,
    Call.STATUS: STATUS_CREDITS,
    Call.READ: READ_CREDITS,
    Call.QUERY: 1,
    Call.UPDATE: 5,
}
_PROBES: Mapping[str, Mapping[str, str]] = {
    "POST": {},
    "GET": {"ids": "1", "fields": "id"},
    "DELETE": {"ids": "1", "wf_trigger": "false"},
}


def chosen(only: Collection[int] = ()) -> tuple[Question, ...]:
    """The questions of these numbers and those that they build on; all of them without any. Raises InputError."""
    known = {question.number for question in QUESTIONS}
    wrong = sorted(set(only) - known)
    if wrong:
        raise InputError(
            f"There is no question {', '.join(map(str, wrong))}.",
            hint=f"There are 1 to {max(known)}: --dry-run shows them.",
        )
    wanted = set(only) or known
    for question in reversed(QUESTIONS):
        if question.number in wanted:
            wanted |= set(question.after)
    wanted.add(CLEAN_UP.number)
    return tuple(question for question in QUESTIONS if question.number in wanted)


def records(questions: Collection[Question], *, fifty: bool = False) -> list[str]:
    """The records that these questions use, by name."""
    used = dict.fromkeys(name for question in questions for name in question.uses)
    return [*used, *(FIFTY if fifty else ())]


def costs(questions: Collection[Question], *, fifty: bool = False) -> tuple[int, int]:
    """About how many calls a run makes, and how many credits it costs."""
    number = len(records(questions, fifty=fifty))
    by_kind = {kind: sum(question.calls.get(kind, 0) for question in questions) for kind in Call}
    fixed = len(SCOPES) + 10  # the guard, and what a deal is made of
    calls = sum(by_kind.values()) + fixed + 3
    cost = sum(_CREDITS.get(kind, 1) * count for kind, count in by_kind.items()) + fixed + 3 * ceil(number / 10)
    return calls, cost


def demand_scopes(wire: Wire, *, shown_by: str) -> None:
    """Raise ZohoError, which names them, where the token is without scopes that making or deleting needs.

    ``shown_by`` is the command that shows all of them.
    """
    missing = []
    for scope, (method, module) in SCOPES.items():
        query = _PROBES[method]
        body: Mapping[str, Any] | None = {"data": [], "trigger": []} if method == "POST" else None
        if wire.call("guard", Call.READ, method, module, query, body).code == "OAUTH_SCOPE_MISMATCH":
            missing.append(scope)
    if missing:
        raise ZohoError(
            f"A rehearsal needs scopes that the refresh token is without: {', '.join(missing)}.",
            hint=f"Nothing was made. Get a token with them; for the line to paste: {shown_by}",
            code="OAUTH_SCOPE_MISMATCH",
        )


class Rehearsal:
    """Asks questions on a stage. ``told`` has what each has seen so far; ``listener`` hears of each as it begins."""

    def __init__(
        self, stage: Stage, questions: Sequence[Question], listener: Callable[[Question], object] = lambda _: None
    ) -> None:
        self.stage, self.questions, self._listener = stage, questions, listener
        self.told: dict[int, Seen] = {}

    def make(self) -> None:
        """Make the records, and find out what deals are made of. Raises ZohoError where no record could be made."""
        stage = self.stage
        find_options(stage)
        names = records(self.questions, fifty=stage.fifty)
        make(stage.cast, stage.wire, names)
        if names and not stage.cast.ids:
            raise ZohoError(f"Zoho makes no lead: {next(iter(stage.cast.refused.values()), 'it does not say why')}.")

    def ask(self) -> None:
        """Ask them all. A question that cannot be asked says why; only what stops all calls ends it."""
        for question in self.questions:
            if question is CLEAN_UP:
                continue
            self._listener(question)
            with self.stage.asking(question.key):
                self.told[question.number] = self._seen(question)

    def _seen(self, question: Question) -> Seen:
        try:
            return question.ask(self.stage)
        except NotMadeError as error:
            why = str(error)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
            why = f"an answer that is not understood ({type(error).__name__}: {error})"
        return {point.name: f"{NOT_SEEN}: {why}" for point in question.points}

    def note_clean_up(self, cleaned: Cleaned) -> None:
        """What the clean-up has shown."""
        self.told[CLEAN_UP.number] = {
            "delete_converted": cleaned.converted_lead or f"{NOT_SEEN}: no lead was converted",
            "left_behind": len(cleaned.left),
        }
