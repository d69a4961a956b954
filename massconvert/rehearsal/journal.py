"""What a rehearsal does, on disk before it goes on: so that a later process can clean up after a crash.

A file of JSON lines, for its user's eyes alone. A call is a line before it is made and another one with its answer;
both are on disk (fsync) before anything else happens. A POST whose second line is missing was perhaps carried out: what
it may have made is found by the run's mark.
"""

from __future__ import annotations

import json
import os
import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

from massconvert.errors import InputError

if os.name == "posix":
    import fcntl

#: The form of the lines; another version's files are not cleaned up by this one.
FORM = 1
#: Characters of an answer that are kept.
_KEPT = 4000


@dataclass
class Past:
    """What a journal tells. ``made`` are records that calls made, ``came`` those that conversions did, by module.

    ``jobs`` are those that were taken and of which no end was seen, with when; ``unanswered`` says that the answer to a
    conversion is missing. ``wrote`` is when something was perhaps made last, 0 where nothing was. Moments are Unix
    seconds.
    """

    mark: str = ""
    organisation: str = ""
    began: float = 0.0
    last: float = 0.0
    wrote: float = 0.0
    made: dict[str, list[str]] = field(default_factory=dict)
    came: dict[str, list[str]] = field(default_factory=dict)
    jobs: dict[str, float] = field(default_factory=dict)
    unanswered: bool = False
    clean: bool = False
    notes: dict[str, Any] = field(default_factory=dict)

    def records(self, module: str) -> list[str]:
        """All ids of a module that the run had to do with."""
        return list(dict.fromkeys((*self.made.get(module, ()), *self.came.get(module, ()))))


class Journal:
    """One run's file, open and locked: a run that lives keeps others from cleaning up behind it.

    Raises InputError where the file cannot be written, or somebody else has it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.past = Past()
        self._lock = threading.Lock()
        self._number = 0
        self._open: dict[int, str] = {}
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
            os.fchmod(self._file, 0o600)
        except OSError as error:
            raise InputError(
                f"{path} cannot be written: {error.strerror or error}.", hint="Name another --file."
            ) from None
        if os.name == "posix":
            try:
                fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(self._file)
                raise InputError(
                    f"A rehearsal runs that writes {path}.",
                    hint="Wait for its end, or stop it with Ctrl-C where it runs.",
                ) from None
        for line in _lines(path):
            self._take_in(line)
        self._heal()

    def __enter__(self) -> Journal:  # noqa: PYI034 - Self is in typing from Python 3.11 on
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._file)

    # --- what is written ---

    def begin(self, mark: str, organisation: str, at: float, version: str) -> None:
        """A run begins."""
        self._write({"form": FORM, "mark": mark, "organisation": organisation, "at": at, "version": version})

    def before(self, at: float, question: str, method: str, path: str, query: Mapping[str, str], body: Any) -> int:
        """A call is about to be made; the number of its line."""
        with self._lock:
            self._number += 1
            number = self._number
        line = {"n": number, "at": at, "question": question, "call": f"{method} {path}"}
        self._write(line | ({"query": dict(query)} if query else {}) | ({"body": body} if body is not None else {}))
        return number

    def after(self, number: int, at: float, answer: Mapping[str, Any]) -> None:
        """What a call came to: ``status``, ``code``, ``seconds``, ``made``, ``came``, ``job``, ``body`` and others."""
        told = {key: value for key, value in answer.items() if value not in (None, {}, "")}
        self._write({"n": number, "at": at, **told})

    def job_ended(self, job_id: str, at: float) -> None:
        """A job has ended: nothing more comes of it."""
        self._write({"job_ended": job_id, "at": at})

    def note(self, **facts: Any) -> None:
        """Something that a later look needs."""
        self._write({"note": facts})

    def cleaned(self) -> None:
        """Nothing of this run is left."""
        self._write({"clean": True})

    def _write(self, line: Mapping[str, Any]) -> None:
        text = json.dumps(line, ensure_ascii=True)
        if len(text) > _KEPT and "status" in line:
            text = json.dumps({name: value for name, value in line.items() if name != "body"}, ensure_ascii=True)
        with self._lock:
            os.write(self._file, f"{text}\n".encode())
            os.fsync(self._file)
            self._take_in(line)

    def _heal(self) -> None:
        """End a line that a crash has cut, so that the next one stands by itself."""
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            os.write(self._file, b"\n")

    # --- what it tells ---

    def _take_in(self, line: Mapping[str, Any]) -> None:
        past = self.past
        past.last = float(line.get("at", past.last))
        if "mark" in line:
            if line.get("form") != FORM:
                raise InputError(
                    f"{self.path} is of another version of massconvert.", hint="Clean it up with that version."
                )
            # What stands before it is of an earlier run, behind which somebody has cleaned up.
            past = self.past = Past(line["mark"], line["organisation"], line["at"], line["at"])
            self._open.clear()
        elif "call" in line:
            self._number = max(self._number, line["n"])
            self._open[line["n"]] = line["call"]
            past.clean = False
            past.wrote = past.last if _makes(line) else past.wrote
        elif "n" in line:
            past.wrote = past.last if _makes({"call": self._open.pop(line["n"], "")}) else past.wrote
            _add(past.made, line.get("made", {}))
            _add(past.came, line.get("came", {}))
            if "job" in line:
                past.jobs[line["job"]] = past.last
        elif "job_ended" in line:
            past.wrote = past.last
            past.jobs.pop(line["job_ended"], None)
        past.notes |= line.get("note", {})
        past.clean = past.clean or bool(line.get("clean"))
        past.unanswered = any(map(_CONVERTS.fullmatch, self._open.values()))


_CONVERTS = re.compile("POST .*(mass_convert|/convert|__composite_requests)")


def _makes(line: Mapping[str, Any]) -> bool:
    """Whether a call may make records."""
    call = line["call"]
    return call.startswith("POST") and not call.endswith("coql") and line.get("question") != "guard"


def _add(known: dict[str, list[str]], more: Mapping[str, Iterable[str]]) -> None:
    for module, ids in more.items():
        known.setdefault(module, []).extend(filter(None, ids))


def _lines(path: Path) -> Iterator[Mapping[str, Any]]:
    """The lines of a file; one that a crash has cut is left out."""
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with suppress(ValueError):
            line = json.loads(text)
            if isinstance(line, dict):
                yield line


def unfinished(folder: Path) -> list[Path]:
    """The journals of a folder whose runs have left something, the oldest first. A run that lives is one of them."""
    return [path for path in sorted(folder.glob("*.jsonl")) if is_unfinished(path)]


def is_unfinished(path: Path) -> bool:
    """Whether the run of a journal may have left something."""
    lines = list(_lines(path)) if path.exists() else []
    calls = [place for place, line in enumerate(lines) if "call" in line]
    clean = [place for place, line in enumerate(lines) if line.get("clean")]
    return bool(calls) and (not clean or clean[-1] < calls[-1])
