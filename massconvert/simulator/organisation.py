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

from massconvert.simulator.accounts import Accounts, Credentials
from massconvert.simulator.api import Api, Visit
from massconvert.simulator.faults import ACCOUNTS, HEAVY, Faults, Verdict
from massconvert.simulator.jobs import Jobs
from massconvert.simulator.leads import Leads, field_value
from massconvert.simulator.limits import Limits
from massconvert.simulator.messages import Fate, RefusedError, Request, Response
from massconvert.simulator.routes import Found, find, ids_of
from massconvert.simulator.rules import Rules
from massconvert.simulator.special import CONVERTED_ELSEWHERE, special_of


@dataclass
class Call:
    """A call between its arrival and its end. ``wait`` are seconds to let pass before it is worked on."""

    request: Request
    found: Found
    verdict: Verdict
    wait: float
    refusal: Response | None = None
    inside: bool = False
    struck: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Answered:
    """A call that has been answered, for whoever listens: nothing in it is a secret."""

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
        self._leads = Leads(leads, unknown, converted, random, clock())
        self._jobs = Jobs(self._leads, rules, random)
        self._accounts = Accounts(rules, random, credentials)
        self._limits = Limits(rules)
        self._calls: Counter[str] = Counter()
        script = Faults(faults, Random(random.random()))
        self._api = Api(rules, self._leads, self._jobs, self._accounts, script)
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
        with self._lock:
            self._calls[found.name] += 1
            try:
                if found.name not in ACCOUNTS:
                    self._limits.enter(self._clock(), heavy=found.name in HEAVY)
            except RefusedError as error:
                return Call(request, found, Verdict(), 0.0, refusal=error.response())
            before = self._api.faults.fired() if self.listener else Counter()
            verdict = self._api.faults.on_call(found.name, ids_of(request, found.name))
            call = Call(request, found, verdict, verdict.wait_before, inside=found.name not in ACCOUNTS)
            call.struck += self._struck_since(before)
            return call

    def answer(self, call: Call) -> Response:
        """Work on a call: its effect, unless a fault comes before it, and what is answered."""
        with self._lock:
            before = self._api.faults.fired() if self.listener else Counter()
            response = call.refusal or self._work(call)
            call.struck += self._struck_since(before)
            if call.found.name not in ACCOUNTS and response.arrives:
                response.headers |= self._limits.headers()
            response.delay += call.verdict.wait_after
        if self.listener:
            self.listener(_answered(call, response, self._clock()))
        return response

    def leave(self, call: Call) -> None:
        """A call ends, before its answer goes out: a client that has it may call again without being over a limit."""
        with self._lock:
            if call.inside:
                call.inside = False
                self._limits.leave(heavy=call.found.name in HEAVY)

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
            now, found = self._clock(), {lead.id: lead for lead in self._leads}
            return [
                [str(field_value(found[lead_id], name, now)) if lead_id in found else "" for name in fields]
                for lead_id in self._leads.all_ids
            ]

    def truth(self) -> dict[str, dict[str, Any]]:
        """What became of each lead that exists, by id, as of now: see `Lead` for the words."""
        with self._lock:
            self._jobs.advance(self._clock())
            return self._leads.truth()

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
            self._leads.convert_by_hand(lead_id, self._clock())

    def lock_lead(self, lead_id: str) -> None:
        """A process locks a lead. Raises KeyError if it does not exist."""
        with self._lock:
            self._jobs.advance(self._clock())
            self._leads.lock(lead_id)

    def make_special(self, lead_id: str, kind: Any) -> None:
        """Make a lead one of a special kind, see the module of that name; ``None`` makes it plain again.

        Raises KeyError if it does not exist, SimulatorError for what is no kind.
        """
        special = None if kind is None else special_of(kind)
        with self._lock:
            now = self._clock()
            self._jobs.advance(now)
            self._leads.make_special(lead_id, special)
            if kind == CONVERTED_ELSEWHERE:
                self._leads.convert_by_hand(lead_id, now)

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
