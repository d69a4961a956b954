"""Whom to call when a batch has finished: Celery tasks, by name and queue, and web hooks.

In a task message, in Python and on the command line it is written in the same ways:

- ``{"task": "shop.converted", "queue": "shop", "args": [7], "kwargs": {…}}``: a Celery signature, or a real one. The
  batch's summary comes before ``args``, unless it is ``immutable``. The queue defaults to Celery's own, ``celery``.
- ``"shop.converted@shop"``: the same, short.
- ``{"url": "https://shop.example.com/converted"}``, or the address alone: a POST with the summary, signed.
- a list of these.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias
from urllib.parse import urlsplit

from massconvert.addresses import is_loopback
from massconvert.errors import InputError
from massconvert.on_complete.permitted import Permitted

#: The most that one batch may call.
MOST = 5
#: Celery's own default queue.
DEFAULT_QUEUE = "celery"
#: Letters that names of tasks and queues are made of.
_NAME = re.compile(r"[\w.:/-]{1,200}")
_SHORT = re.compile(r"(?P<task>[\w.:/-]{1,200})(@(?P<queue>[\w.:/-]{1,200}))?")
_LONGEST_URL = 2000
#: The further keys of a real signature of Celery's.
_OF_CELERY = frozenset({"options", "subtask_type", "immutable", "chord_size"})
_HINT = 'Write {"task": "shop.converted", "queue": "shop"}, shop.converted@shop, or https://shop.example.com/converted.'


@dataclass(frozen=True)
class TaskTarget:
    """A Celery task that is sent by name."""

    task: str
    queue: str = DEFAULT_QUEUE
    args: tuple[Any, ...] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    immutable: bool = False

    @property
    def place(self) -> str:
        """What it is called in a log."""
        return f"the task {self.task} on {self.queue}"


@dataclass(frozen=True)
class HookTarget:
    """An address that is POSTed to: https, or http on this machine."""

    url: str

    @property
    def place(self) -> str:
        """What it is called in a log: without path and query, which may hold a secret."""
        parts = urlsplit(self.url)
        return f"the web hook at {parts.scheme}://{parts.netloc}"


Target: TypeAlias = TaskTarget | HookTarget
Given: TypeAlias = Mapping[str, Any] | str | Sequence[Any] | None


def parse_targets(given: Given) -> tuple[Target, ...]:
    """Whom ``given`` names; nobody for ``None``. Raises InputError."""
    if isinstance(given, str) and given.lstrip()[:1] in ("{", "["):
        given = _loads(given)
    if given is None:
        return ()
    if not isinstance(given, list | tuple):
        return (_one(given),)
    if len(given) > MOST:
        raise _wrong(f"names {len(given)} to call, and at most {MOST} are")
    return tuple(map(_one, given))


def demand_permitted(targets: Sequence[Target], permitted: Permitted) -> None:
    """Raise InputError where one of ``targets`` is a task that must not be called.

    An address is looked at when it is called: only then is known which one a name leads to.
    """
    for target in targets:
        if isinstance(target, TaskTarget) and (refused := permitted.refuses_task(target.task, target.queue)):
            raise _wrong(refused)


def dump_targets(targets: Sequence[Target]) -> str:
    """Targets as JSON, for the ledger."""
    # In ASCII: the arguments of somebody's task may hold half a character, which JSON carries and UTF-8 does not.
    return json.dumps([_plain(target) for target in targets], separators=(",", ":"))


def load_targets(text: str) -> tuple[Target, ...]:
    """Targets back from the ledger. Raises InputError for a wrong one."""
    return parse_targets(_loads(text))


def _plain(target: Target) -> dict[str, Any]:
    if isinstance(target, HookTarget):
        return {"url": target.url}
    plain = {"task": target.task, "queue": target.queue, "args": list(target.args), "kwargs": dict(target.kwargs)}
    return plain | ({"immutable": True} if target.immutable else {})


def _loads(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise _wrong(f"is not JSON: {error}") from None


def _one(given: Any) -> Target:
    if isinstance(given, str) and given.lstrip()[:1] == "{":
        given = _loads(given)
    if isinstance(given, str):
        return _short(given)
    if isinstance(given, Mapping):
        return _full(given)
    raise _wrong(f"must be an object, a text or a list of these, not {type(given).__name__}")


def _short(text: str) -> Target:
    if "://" in text:
        return _hook(text)
    named = _SHORT.fullmatch(text.strip())
    if not named:
        raise _wrong(f"is {text[:60]!r}")
    return TaskTarget(named["task"], named["queue"] or DEFAULT_QUEUE)


def _full(given: Mapping[str, Any]) -> Target:
    if "url" in given:
        if extra := sorted(map(str, given.keys() - {"url"})):
            raise _wrong(f"has {', '.join(extra):.100} beside url")
        return _hook(given["url"])
    if extra := sorted(map(str, given.keys() - {"task", "queue", "args", "kwargs"} - _OF_CELERY)):
        raise _wrong(f"has {', '.join(extra):.100}, which is not known")
    if given.get("subtask_type"):
        raise _wrong(f"is a {given['subtask_type']!s:.60}; only a single task can be called")
    options = given.get("options") or {}
    if not isinstance(options, Mapping):
        raise _wrong("has options that are not an object")
    task, queue = given.get("task"), given.get("queue") or options.get("queue") or DEFAULT_QUEUE
    for what, name in (("task", task), ("queue", queue)):
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise _wrong(f"has no usable {what}: {str(name)[:60]!r}")
    args, kwargs = (given.get(name) for name in ("args", "kwargs"))
    args, kwargs = () if args is None else args, {} if kwargs is None else kwargs
    if not isinstance(args, list | tuple) or not isinstance(kwargs, Mapping):
        raise _wrong("has args that are not a list, or kwargs that are not an object")
    target = TaskTarget(str(task), str(queue), tuple(args), dict(kwargs), bool(given.get("immutable")))
    try:
        json.dumps(_plain(target), allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise _wrong("has args or kwargs that JSON cannot carry") from None
    return target


def _hook(url: Any) -> HookTarget:
    """The address is not repeated when it is wrong: it may hold a secret."""
    text = url if isinstance(url, str) and len(url) <= _LONGEST_URL else ""
    try:
        parts = urlsplit(text)
        host, usable = parts.hostname or "", parts.port != 0 and text.isprintable() and " " not in text
    except ValueError:
        host, usable = "", False
    if not host or not usable or parts.scheme not in ("https", "http"):
        raise _wrong("has a url that is not valid")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise _wrong(f"has a url at {host} with a user, a password or a fragment; the call is signed instead")
    if parts.scheme == "http" and not is_loopback(host):
        raise _wrong(f"has the url of {host} without https; http is for this machine alone")
    return HookTarget(text)


def _wrong(why: str) -> InputError:
    return InputError(f"on_complete {why}.", hint=_HINT)
