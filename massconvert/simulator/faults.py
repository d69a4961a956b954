"""Fault scripts: data that say which calls go wrong, how, and whether before or after they took effect.

A script is a list of rules, each an object:

    {"method": "POST mass_convert", "when": "after", "do": "status", "status": 500, "times": 2}

says that the first two mass convert posts are carried out, and answered with 500: "carried out, answer lost".

=========  ==============================================================================================
method     whose calls: a name of ``METHODS``, or ``*`` for every one but those about tokens
do         what happens, see below
when       ``before`` (default) or ``after`` the effect
ids        only calls about one of these leads
skip       matching calls that go by first (default 0)
times      so often at most (default: without end)
rate       with this probability (default 1)
name       what ``fired`` calls it (default: its number and what it does)
=========  ==============================================================================================

What ``do`` may be, with its own keys (* is mandatory); durations are seconds:

- ``status``: *status, and perhaps code, message, details, headers, body (text, instead of Zoho's error JSON)
- ``garbage``: a body that is not JSON; perhaps status (200) and body
- ``reset`` (a TCP reset), ``drop`` (the connection is closed without an answer), ``cut`` (closed half-way through it)
- ``hang``: *seconds of silence, then a drop; ``trickle``: the answer comes in pieces over *seconds
- ``latency``: *seconds longer, and the call counts as running all the while
- ``expire_tokens``: all access tokens end, so that the call is answered 401, unless it comes ``after``
- ``stale`` (GET Leads): the answer is *seconds old; ``hides``: it does not show the leads *ids, as if another user had
  them; ``blanks``: it does not say of them whether they are converted (null)

and, for ``POST mass_convert`` that is accepted, what happens to its job:

- ``job_fails``: it ends as failed and converts nothing, or all but ``leads`` (a number) or ``ids``
- ``job_partial``: it completes, but does not convert ``leads`` (a number) or ``ids`` (one of the two is mandatory)
- ``job_never_ends``; ``job_slow``: *seconds longer; ``job_unknown``: the status call does not know it, perhaps for
  for ``seconds`` only

The accounts server is told what to say with ``POST token``: ``{"method": "POST token", "do": "status", "status": 200,
"body": "{\\"error\\": \\"unauthorized_client\\"}"}``; leads of special kinds are in the module ``special``.

Rules are asked in their order. The first that answers for Zoho (status, garbage, reset, …) ends the search; latency,
tokens, what reads show, and job faults add up. ``fired`` tells how often each did, so that a test can prove that its
fault struck.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from massconvert.simulator.jobs import JobFault
from massconvert.simulator.messages import METHODS, Fate, Response, SimulatorError, envelope

POST, READ, TOKEN, REVOKE = "POST mass_convert", "GET Leads", "POST token", "POST revoke"
CONVERT, OPTIONS, COMPOSITE = "POST convert", "GET conversion_options", "POST composite"
#: Calls of the accounts server, which no limit of the organisation counts.
ACCOUNTS = frozenset({TOKEN, REVOKE})
QUERY, SEARCH = "POST coql", "GET search"
#: Calls under the organisation's sub-limit; those that write more than ten records are too.
HEAVY = frozenset({POST, CONVERT, QUERY})

_FATES = {"reset": Fate.RESET, "drop": Fate.DROP, "hang": Fate.HANG, "cut": Fate.CUT, "trickle": Fate.TRICKLE}
_ANSWERS = frozenset({"status", "garbage", *_FATES})
#: Their effect is at one moment only, so ``when`` has nothing to choose.
_AFTER_ONLY = frozenset({"cut", "trickle"})

_Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_object(value: Any) -> bool:
    return isinstance(value, dict)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_seconds(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_rate(value: Any) -> bool:
    return _is_seconds(value) and value <= 1


def _is_status(value: Any) -> bool:
    return _is_count(value) and 200 <= value <= 599


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(item, str) and item.isdigit() for item in value)


_CHECKS: dict[str, tuple[_Check, str]] = {
    "method": (lambda value: value in METHODS or value == "*", f"one of {', '.join(METHODS)}, *"),
    "when": (lambda value: value in ("before", "after"), "before or after"),
    "name": (_is_text, "text"),
    "ids": (_is_ids, "a list of lead ids, as text"),
    "skip": (_is_count, "a count"),
    "times": (_is_count, "a count"),
    "rate": (_is_rate, "between 0 and 1"),
    "status": (_is_status, "an HTTP status from 200 to 599"),
    "code": (_is_text, "text"),
    "message": (_is_text, "text"),
    "body": (_is_text, "text"),
    "details": (_is_object, "an object"),
    "headers": (
        lambda value: _is_object(value) and all(isinstance(text, str) and "\n" not in text for text in value.values()),
        "an object of texts",
    ),
    "seconds": (_is_seconds, "seconds"),
    "leads": (_is_count, "a count"),
}
_COMMON = frozenset({"method", "do", "when", "name", "ids", "skip", "times", "rate"})
#: The keys of each fault: those it must have, those it may have.
_KEYS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "status": (frozenset({"status"}), frozenset({"code", "message", "details", "headers", "body"})),
    "garbage": (frozenset(), frozenset({"status", "body"})),
    "reset": (frozenset(), frozenset()),
    "drop": (frozenset(), frozenset()),
    "cut": (frozenset(), frozenset()),
    "hang": (frozenset({"seconds"}), frozenset()),
    "trickle": (frozenset({"seconds"}), frozenset()),
    "latency": (frozenset({"seconds"}), frozenset()),
    "expire_tokens": (frozenset(), frozenset()),
    "stale": (frozenset({"seconds"}), frozenset()),
    "hides": (frozenset({"ids"}), frozenset()),
    "blanks": (frozenset({"ids"}), frozenset()),
    "job_fails": (frozenset(), frozenset({"leads"})),
    "job_partial": (frozenset(), frozenset({"leads"})),
    "job_never_ends": (frozenset(), frozenset()),
    "job_slow": (frozenset({"seconds"}), frozenset()),
    "job_unknown": (frozenset(), frozenset({"seconds"})),
}


@dataclass
class _Rule:
    name: str
    words: Mapping[str, Any]
    matched: int = 0
    fired: int = 0

    @property
    def do(self) -> str:
        return str(self.words["do"])

    @property
    def before(self) -> bool:
        return self.do not in _AFTER_ONLY and self.words.get("when", "before") == "before"

    def strikes(self, method: str, ids: Sequence[str], random: Random) -> bool:
        """Whether this call is to go wrong; counts it."""
        wanted = self.words["method"]
        if not (wanted == method or (wanted == "*" and method not in ACCOUNTS)):
            return False
        if "ids" in self.words and set(ids).isdisjoint(self.words["ids"]):
            return False
        self.matched += 1
        if self.matched <= self.words.get("skip", 0) or self.fired >= self.words.get("times", math.inf):
            return False
        if random.random() >= self.words.get("rate", 1):
            return False
        self.fired += 1
        return True

    def answer(self) -> Response:
        """What is answered instead of Zoho's own words, or becomes of them."""
        words = self.words
        if self.do in _FATES:
            return Response(0, fate=_FATES[self.do], seconds=float(words.get("seconds", 0.0)))
        if self.do == "garbage":
            return Response(
                words.get("status", 200), words.get("body", "<html>Bad gateway</html>").encode(), dict(_HTML)
            )
        headers = dict(words.get("headers", {}))
        if "body" in words:
            return Response(words["status"], words["body"].encode(), {**_HTML, **headers})
        code, message = _WORDS.get(words["status"], ("INTERNAL_ERROR", "Internal Server Error"))
        text = envelope(words.get("code", code), words.get("message", message), words.get("details"))
        return Response(words["status"], text, headers)


_HTML = {"Content-Type": "text/html"}
_WORDS = {
    400: ("INVALID_DATA", "invalid data"),
    401: ("INVALID_TOKEN", "invalid oauth token"),
    402: ("FEATURE_NOT_SUPPORTED", "feature not available in your edition"),
    403: ("NO_PERMISSION", "permission denied"),
    404: ("INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one"),
    429: ("TOO_MANY_REQUESTS", "Please try again after some time."),
}


@dataclass
class Verdict:
    """What is to go wrong with a call. ``before`` and ``after`` are answers instead of Zoho's own."""

    before: Response | None = None
    after: Response | None = None
    wait_before: float = 0.0
    wait_after: float = 0.0
    expire_before: bool = False
    expire_after: bool = False
    stale: float = 0.0
    hidden: frozenset[str] = frozenset()
    blank: frozenset[str] = frozenset()


@dataclass
class Faults:
    """A fault script and how often its rules have fired. Not thread-safe: the organisation's lock is held around it.

    Raises SimulatorError, which names the rule, when the script is not one.
    """

    script: Any = ()
    random: Random = field(default_factory=lambda: Random(0))
    _rules: list[_Rule] = field(init=False)

    def __post_init__(self) -> None:
        script = self.script.get("faults", self.script) if isinstance(self.script, dict) else self.script
        if not isinstance(script, list | tuple):
            raise SimulatorError("the fault script must be a list of rules")
        self._rules = [_Rule(_check(number, words), words) for number, words in enumerate(script, start=1)]
        names = Counter(rule.name for rule in self._rules)
        if doubled := [name for name, count in names.items() if count > 1]:
            raise SimulatorError(f"two fault rules have the name {doubled[0]!r}")

    def on_call(self, method: str, ids: Sequence[str]) -> Verdict:
        """What is to go wrong with a call that has just come, about these leads."""
        verdict = Verdict()
        for rule in self._rules:
            if rule.do.startswith("job_"):
                continue
            if (verdict.before or verdict.after) and rule.do in _ANSWERS:
                continue
            if rule.strikes(method, ids, self.random):
                self._add(verdict, rule)
        return verdict

    def on_job(self, ids: Sequence[str]) -> JobFault:
        """What is to go wrong with the job of a payload that has just been accepted."""
        fails, never_ends, slower, unknown_for = False, False, 0.0, 0.0
        spared: set[str] = set()
        for rule in self._rules:
            if not rule.do.startswith("job_") or not rule.strikes(POST, ids, self.random):
                continue
            words = rule.words
            fails |= rule.do == "job_fails"
            never_ends |= rule.do == "job_never_ends"
            if rule.do in ("job_fails", "job_partial"):
                spared |= self._spared(words, ids)
            if rule.do == "job_slow":
                slower += words["seconds"]
            if rule.do == "job_unknown":
                unknown_for = max(unknown_for, words.get("seconds", math.inf))
        return JobFault(fails, frozenset(spared), never_ends, slower, unknown_for)

    def fired(self) -> Counter[str]:
        """How often each rule has fired, by its name; those that have not are not in it."""
        return Counter({rule.name: rule.fired for rule in self._rules if rule.fired})

    def report(self) -> list[dict[str, Any]]:
        """The rules as they were set, each with its ``name`` and how often it has ``fired``."""
        return [{**rule.words, "name": rule.name, "fired": rule.fired} for rule in self._rules]

    def _spared(self, words: Mapping[str, Any], ids: Sequence[str]) -> set[str]:
        if "leads" in words:
            return set(self.random.sample(list(ids), min(words["leads"], len(ids))))
        return set(words.get("ids", ids))

    @staticmethod
    def _add(verdict: Verdict, rule: _Rule) -> None:
        words = rule.words
        if rule.do == "latency":
            if rule.before:
                verdict.wait_before += words["seconds"]
            else:
                verdict.wait_after += words["seconds"]
        elif rule.do == "expire_tokens":
            verdict.expire_before |= rule.before
            verdict.expire_after |= not rule.before
        elif rule.do == "stale":
            verdict.stale = max(verdict.stale, words["seconds"])
        elif rule.do == "hides":
            verdict.hidden |= frozenset(words["ids"])
        elif rule.do == "blanks":
            verdict.blank |= frozenset(words["ids"])
        elif rule.before:
            verdict.before = rule.answer()
        else:
            verdict.after = rule.answer()


def _check(number: int, words: Any) -> str:
    """The name of a rule. Raises SimulatorError where it is not one."""
    if not isinstance(words, dict):
        raise SimulatorError(f"fault rule {number} is not an object")
    do = words.get("do")
    if do not in _KEYS:
        raise SimulatorError(f"fault rule {number}: 'do' must be one of {', '.join(_KEYS)}, not {do!r}")
    must, may = _KEYS[do]
    for key in sorted(must | {"method"}):
        if key not in words:
            raise SimulatorError(f"fault rule {number} ({do}): {key!r} is missing")
    for key, value in words.items():
        if key not in _COMMON | must | may:
            known = ", ".join(sorted(_COMMON | must | may))
            raise SimulatorError(f"fault rule {number} ({do}): unknown key {key!r}; it may have {known}")
        if key != "do" and not _CHECKS[key][0](value):
            raise SimulatorError(f"fault rule {number} ({do}): {key!r} must be {_CHECKS[key][1]}, not {value!r}")
    _check_together(f"fault rule {number} ({do})", words)
    when = "" if do.startswith("job_") or do in _AFTER_ONLY else f" {words.get('when', 'before')}"
    status = f" {words['status']}" if do == "status" else ""
    return str(words.get("name") or f"{number} {words['method']}{when} {do}{status}")


def _check_together(rule: str, words: Mapping[str, Any]) -> None:
    do = words["do"]
    for only, faults in (
        (POST, [name for name in _KEYS if name.startswith("job_")]),
        (READ, ["stale", "hides", "blanks"]),
    ):
        if do in faults and words["method"] != only:
            raise SimulatorError(f"{rule}: 'method' must be {only!r}")
    if "ids" in words and words["method"] not in (POST, CONVERT, OPTIONS, READ, "*"):
        raise SimulatorError(f"{rule}: calls of {words['method']!r} name no leads, so 'ids' cannot match")
    if do == "job_partial" and ("leads" in words) == ("ids" in words):
        raise SimulatorError(f"{rule}: give 'leads' (how many are not converted) or 'ids' (which), one of the two")
    if "when" in words and (do.startswith("job_") or do in (*_AFTER_ONLY, "stale", "hides", "blanks")):
        raise SimulatorError(f"{rule}: 'when' means nothing for it")


def read_script(path: Path) -> Any:
    """The fault script of a JSON file. Raises SimulatorError in one line where it cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SimulatorError(f"the fault script {path} cannot be read: {error.strerror}") from None
    except ValueError as error:
        raise SimulatorError(f"the fault script {path} is not JSON: {error}") from None
