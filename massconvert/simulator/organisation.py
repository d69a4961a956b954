"""What Zoho CRM does, apart from any socket: who is let in, what goes wrong, what a test may ask.

`Organisation` takes the time from a clock that is handed in and chance from a `random.Random`, so that a simulation
can drive it. Jobs move when a call comes, to where the clock says that they are. A call has three moments, so that a
server can let time pass between them: `arrive`, `answer`, `leave`; `handle` is all three at once.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any

from massconvert.simulator import behaviour, catalogue
from massconvert.simulator.accounts import Accounts, Credentials
from massconvert.simulator.api import Api
from massconvert.simulator.converting import Converting, Wanted
from massconvert.simulator.faults import ACCOUNTS, HEAVY, QUERY, Faults, Verdict
from massconvert.simulator.fields import SOURCES
from massconvert.simulator.jobs import Jobs
from massconvert.simulator.leads import Leads
from massconvert.simulator.limits import Limits
from massconvert.simulator.messages import Fate, RefusedError, Request, Response, SimulatorError
from massconvert.simulator.reading import Reading
from massconvert.simulator.records import Records
from massconvert.simulator.routes import Found, Visit, find, ids_of, records_in
from massconvert.simulator.rules import Rules
from massconvert.simulator.single import Single
from massconvert.simulator.special import CONVERTED_ELSEWHERE, special_of
from massconvert.simulator.writing import Writing

#: A call that writes more records is a heavy one.
MOST_LIGHT = 10


@dataclass
class Call:
    """A call between its arrival and its end. ``wait`` are seconds to let pass before it is worked on."""

    request: Request
    found: Found
    verdict: Verdict
    wait: float
    refusal: Response | None = None
    inside: bool = False
    heavy: bool = False
    struck: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Answered:
    """A call that has been answered, for a listener: nothing in it is a secret."""

    at: float
    name: str
    leads: int
    said: str
    struck: tuple[str, ...]


class Organisation:
    """A Zoho CRM with ``leads`` invented ids, of which ``unknown`` do not exist and ``converted`` are so already.

    ``clock`` gives Unix seconds; ``faults`` is a fault script, see the module of that name. Without ``credentials``
    any are taken. Thread-safe. Raises SimulatorError for a wrong script or impossible numbers of leads.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random: Random,
        leads: int = 100,
        unknown: int = 0,
        converted: int = 0,
        rules: Rules | None = None,
        faults: Any = (),
        credentials: Credentials | None = None,
    ) -> None:
        rules = rules or Rules()
        self._clock = clock
        self._lock = threading.Lock()
        self._leads = Leads(leads, unknown, converted, random)
        users = {user["id"]: user["full_name"] for user in catalogue.users(rules.more_users)}
        self._records = Records(self._leads, users)
        converting = Converting(self._records, rules)
        for lead in self._leads.converted_before:
            converting.convert(lead, clock() - 86_400.0, Wanted())
        self._jobs = Jobs(self._leads, converting, rules, random)
        self._accounts = Accounts(rules, random, credentials)
        self._limits = Limits(rules)
        self._calls: Counter[str] = Counter()
        reading = Reading(rules, self._records)
        single = Single(rules, self._records, self._jobs, converting)
        script = Faults(faults, Random(random.random()))
        writing = Writing(rules, self._records)
        self._api = Api(rules, self._records, self._jobs, self._accounts, script, reading, single, writing)
        self._obeying: tuple[Any, ...] = (
            converting,
            self._jobs,
            self._accounts,
            self._limits,
            reading,
            single,
            writing,
            self._api,
        )
        #: Is told of each call once it has been answered.
        self.listener: Callable[[Answered], None] | None = None

    # --- a call -------------------------------------------------------------------------------------------

    def handle(self, request: Request) -> Response:
        """Answer a call at once; ``delay`` of the answer is what it would have waited."""
        call = self.arrive(request)
        try:
            response = self.answer(call)
        finally:
            self.leave(call)
        return replace(response, delay=response.delay + call.wait)

    def arrive(self, request: Request) -> Call:
        """A call comes: it is counted, and its faults are drawn. Every call wants its ``leave``."""
        found = find(request)
        counts, records = found.name not in ACCOUNTS, records_in(request, found.name)
        heavy = found.name in HEAVY or records > MOST_LIGHT
        with self._lock:
            self._calls[found.name] += 1
            try:
                if counts:
                    self._limits.enter(found.name, self._clock(), heavy=heavy, records=records)
            except RefusedError as error:
                return Call(request, found, Verdict(), 0.0, refusal=error.response())
            before = self._api.faults.fired() if self.listener else Counter()
            verdict = self._api.faults.on_call(found.name, ids_of(request, found.name))
            call = Call(request, found, verdict, verdict.wait_before, inside=counts, heavy=heavy)
            call.struck += self._struck_since(before)
            return call

    def answer(self, call: Call) -> Response:
        """Work on a call: its effect, unless a fault comes before it, and what is answered."""
        with self._lock:
            before = self._api.faults.fired() if self.listener else Counter()
            response = call.refusal or self._work(call)
            call.struck += self._struck_since(before)
            if call.found.name not in ACCOUNTS and response.arrives:
                response.headers |= self._limits.headers(response.status)
            response.delay += call.verdict.wait_after
        if self.listener:
            self.listener(_answered(call, response, self._clock()))
        return response

    def leave(self, call: Call) -> None:
        """A call ends, before its answer goes out: a client that has it may call again without being over a limit."""
        with self._lock:
            if call.inside:
                call.inside = False
                self._limits.leave(heavy=call.heavy)

    def _struck_since(self, before: Counter[str]) -> list[str]:
        return list(self._api.faults.fired() - before) if self.listener else []

    def _work(self, call: Call) -> Response:
        now, verdict = self._clock(), call.verdict
        self._jobs.advance(now)
        if verdict.expire_before:
            self._accounts.expire()
        if verdict.before:
            return verdict.before
        response = self._api.answer(Visit(call.request, call.found, now, verdict.stale, verdict.hidden, verdict.blank))
        if call.found.name == QUERY and isinstance(response.body, dict):
            self._limits.found(QUERY, len(response.body.get("data", ())), now)
        if verdict.expire_after:
            self._accounts.expire()
        lost = verdict.after
        if lost is None:
            return response
        return lost if lost.fate is Fate.SENT else replace(response, fate=lost.fate, seconds=lost.seconds)

    # --- what a test asks, and does -----------------------------------------------------------------------

    def lead_ids(self) -> list[str]:
        """All ids, those of leads that do not exist too."""
        return list(self._leads.all_ids)

    def rows(self, fields: Sequence[str]) -> list[list[str]]:
        """These fields of all leads, in the order of `lead_ids`; blank of one that does not exist."""
        with self._lock:
            found = map(self._leads.get, self._leads.all_ids)
            return [[str(lead.value(name) or "") if lead else "" for name in fields] for lead in found]

    def truth(self) -> dict[str, dict[str, Any]]:
        """What became of each lead that exists, by id, as of now: see `Lead` for the words."""
        with self._lock:
            self._jobs.advance(self._clock())
            return {
                lead.id: {
                    "converted": lead.converted_at is not None,
                    "converted_at": lead.converted_at,
                    "contact_id": lead.contact_id or None,
                    "account_id": lead.account_id or None,
                    "deal_id": lead.deal_id or None,
                    "deal": self._records.written("Deals", lead.deal_id),
                    "submissions": lead.submissions,
                    "conversions": lead.conversions,
                    "overlaps": lead.overlaps,
                }
                for lead in self._leads
            }

    def records(self, module: str) -> dict[str, dict[str, Any]]:
        """All records of Contacts, Accounts or Deals by id: their fields, which lead ``made`` them, which ``leads``
        were converted into them."""
        with self._lock:
            self._jobs.advance(self._clock())
            return self._records.report(module)

    def put_records(self, module: str, rows: Any) -> None:
        """Somebody makes contacts, accounts or deals, or others in the place of those with the same ``id``.

        Raises SimulatorError, and makes none, where one is wrong.
        """
        with self._lock:
            self._records.put(module, rows, self._clock())

    def know(self, lead_ids: Sequence[str]) -> None:
        """These leads are customers already: each has a contact of its own, in an account of its company."""
        with self._lock:
            for lead in filter(None, map(self._leads.get, lead_ids)):
                values = {name: lead.value(source) for name, source in SOURCES["Contacts"].items()}
                account, contact = self._records.new_id(), self._records.new_id()
                named = {"id": account, "Account_Name": lead.value("Company")}
                self._records.put("Accounts", [named], self._clock())
                self._records.put("Contacts", [{**values, "id": contact, "Account_Name": account}], self._clock())

    def give_leads(self, wanted: Any) -> None:
        """Somebody writes fields of leads, by id; one that does not exist is made. Raises SimulatorError."""
        if not isinstance(wanted, dict) or not all(isinstance(values, dict) for values in wanted.values()):
            raise SimulatorError("an object of lead ids and their fields is wanted")
        with self._lock:
            for lead_id, values in wanted.items():
                self._leads.add(str(lead_id)).give(values)

    def hide(self, ids: Any) -> None:
        """The user sees none of these records any more, and all others. Raises SimulatorError."""
        if not isinstance(ids, list):
            raise SimulatorError("a list of record ids is wanted")
        with self._lock:
            self._records.hidden = frozenset(map(str, ids))

    def behaviour(self) -> dict[str, Any]:
        """How the organisation behaves, as a profile has it."""
        with self._lock:
            return behaviour.told(self._api.rules)

    def set_behaviour(self, wanted: Any) -> None:
        """Change how it behaves. Raises SimulatorError, and changes nothing, if ``wanted`` is wrong."""
        changes = behaviour.checked(wanted)
        with self._lock:
            for part in self._obeying:
                part.rules = replace(part.rules, **changes)

    def calls(self) -> Counter[str]:
        """How many calls came, by name; those refused over a limit are among them."""
        with self._lock:
            return Counter(self._calls)

    def load(self) -> dict[str, int]:
        """The most calls (``highest``) and mass convert posts at once, calls refused over a limit, credits used."""
        with self._lock:
            return self._limits.report()

    def set_limits(self, wanted: Any) -> None:
        """Change limits while calls are made, see `limits.CHANGEABLE`. Raises SimulatorError if ``wanted`` is wrong."""
        with self._lock:
            self._limits.change(wanted)

    def fired(self) -> Counter[str]:
        """How often each fault rule has fired, by its name; those that have not are not in it."""
        with self._lock:
            return self._api.faults.fired()

    def faults(self) -> list[dict[str, Any]]:
        """The fault rules as they were set, each with its ``name`` and how often it has ``fired``."""
        with self._lock:
            return self._api.faults.report()

    def set_faults(self, script: Any) -> None:
        """Replace the fault script. Raises SimulatorError, and keeps the old one, if the new one is wrong."""
        with self._lock:
            self._api.faults = Faults(script, self._api.faults.random)

    def next_job_end(self) -> float | None:
        """When the next job ends, in Unix seconds; a simulation may go there at once."""
        with self._lock:
            return self._jobs.next_end()

    def now(self) -> float:
        """Unix seconds, as this Zoho has them."""
        return self._clock()

    def add_lead(self, lead_id: str) -> None:
        """Somebody makes a lead of this id; one that is there already stays as it is."""
        with self._lock:
            self._leads.add(lead_id)

    def delete_lead(self, lead_id: str) -> None:
        """Somebody deletes a lead."""
        with self._lock:
            self._jobs.advance(self._clock())
            self._leads.delete(lead_id)

    def convert_by_hand(self, lead_id: str) -> None:
        """Somebody converts a lead in Zoho's own pages. Raises KeyError if it does not exist."""
        with self._lock:
            self._jobs.advance(self._clock())
            self._by_hand(lead_id)

    def _by_hand(self, lead_id: str) -> None:
        lead = self._leads.get(lead_id)
        if lead is None:
            raise KeyError(lead_id)
        self._jobs.converting.convert(lead, self._clock(), Wanted())

    def lock_lead(self, lead_id: str) -> None:
        """A process locks a lead. Raises KeyError if it does not exist."""
        with self._lock:
            self._jobs.advance(self._clock())
            self._leads.lock(lead_id)

    def make_special(self, lead_id: str, kind: Any) -> None:
        """Make a lead one of a special kind, see the module of that name; ``None`` makes it plain again.

        Raises KeyError if it does not exist, SimulatorError for an unknown kind.
        """
        special = None if kind is None else special_of(kind)
        with self._lock:
            self._jobs.advance(self._clock())
            self._leads.make_special(lead_id, special)
            if kind == CONVERTED_ELSEWHERE:
                self._by_hand(lead_id)

    def expire_tokens(self) -> None:
        """Somebody revokes all access tokens."""
        with self._lock:
            self._accounts.expire()


def _answered(call: Call, response: Response, now: float) -> Answered:
    name = call.found.name
    if call.found.route is None:
        name = f"{call.request.method} {call.request.path}"
    body = response.body if isinstance(response.body, dict) else {}
    code = body.get("code") or body.get("error") or ""
    fate = "" if response.fate is Fate.SENT else response.fate.value
    status = str(response.status) if response.status else ""
    said = " ".join(filter(None, (status, str(code), fate)))
    leads = len([lead_id for lead_id in ids_of(call.request, call.found.name) if lead_id])
    return Answered(now, name, leads, said, tuple(dict.fromkeys(call.struck)))
