"""A command line without a machine: the real commands and ledger over a fake Redis, and nudges that are noted."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fakeredis
import pytest

from massconvert import store, wiring
from massconvert.cli import main, pause
from massconvert.errors import BrokerError
from massconvert.ledger import Ledger
from massconvert.model import Kind, Outcome
from massconvert.policy import Tuning
from massconvert.producer import mass_convert as producer
from tests.printed import demand_typed

OPTIONS = {"Deals": {"Deal_Name": "Renewal", "Stage": "Closed Won", "Closing_Date": "+30d"}, "assign_to": {"id": "5"}}
A, B, C = "3652397000009850001", "3652397000009851001", "3652397000009852001"


@dataclass(frozen=True)
class Said:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout, which must be one line of JSON."""
        assert self.out.count("\n") == 1, self.out
        return json.loads(self.out)


class FakeNudge:
    """Notes what it was told; ``broken`` is a broker that is away."""

    told: list[float]
    broken = False

    def __init__(self, broker_url: str, account: str = "default") -> None:
        pass

    def chunk(self, countdown: float = 0) -> None:
        if FakeNudge.broken:
            raise BrokerError("The message broker cannot be reached.", hint="Start it.")
        FakeNudge.told.append(countdown)

    def run_profile(self, name: str, run_id: str, countdown: float = 0) -> None:
        self.chunk(countdown)


class Shell:
    """Runs commands in ``folder``."""

    def __init__(self, patch: pytest.MonkeyPatch, capture: pytest.CaptureFixture[str], folder: Path) -> None:
        self.folder = folder
        self._patch = patch
        self._capture = capture
        self.server = fakeredis.FakeServer()
        for name in os.environ:
            if name.startswith(("ZOHO_", "MASSCONVERT_", "REDIS_", "CELERY_")):
                patch.delenv(name)
        patch.setenv("NO_COLOR", "1")
        patch.setenv("MASSCONVERT_STATE_DIR", str(folder.with_name(f"{folder.name}-state")))
        patch.chdir(folder)
        for room in (store, wiring, producer):
            patch.setattr(room, "connect", self.connect)
        FakeNudge.told, FakeNudge.broken = [], False
        for nudger in (producer, pause):
            patch.setattr(nudger, "Nudge", FakeNudge)
        self.ledger = Ledger(self.connect(""), "default", Tuning())

    def connect(self, url: str, *, account: str = "", socket_timeout: float = 5.0) -> Any:
        """A client of the one fake Redis; what it lacks, ``redis_away`` can be."""
        return fakeredis.FakeRedis(server=self.server, decode_responses=True)

    def redis_away(self) -> None:
        """From now on nobody can connect."""
        self.server.connected = False

    def run(self, *arguments: str, stdin: bytes | None = None) -> Said:
        """Run ``massconvert …``. No command may end in a traceback, or print one that cannot be typed."""
        if stdin is not None:
            self._patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        self._capture.readouterr()
        code = main(arguments)
        out, err = self._capture.readouterr()
        assert "Traceback" not in err
        demand_typed(arguments, out + err)
        return Said(code, out, err)

    def write(self, name: str, text: str) -> str:
        """A file in the folder."""
        (self.folder / name).write_text(text, encoding="utf-8")
        return name

    def options(self) -> str:
        """A file of good options."""
        return self.write("options.json", json.dumps(OPTIONS))

    def batch(self, name: str, ended: dict[str, Outcome], waiting: Sequence[str] = ()) -> None:
        """A batch in which these leads have ended, and those wait."""
        self.ledger.batches.open(name, "0" * 16, {}, now=1_800_000_000.0, leads=1)
        self.end(name, ended, waiting)

    def end(self, name: str, ended: dict[str, Outcome], waiting: Sequence[str] = ()) -> None:
        """From now on these leads of a batch have ended, and only those wait."""
        redis, batch = self.connect(""), f"mc:{{default}}:batch:{name}"
        counts: dict[str, int] = {kind.value: 0 for kind in Kind}
        for outcome in ended.values():
            counts[outcome.kind.value] += 1
        redis.hset(batch, mapping={"total": len(ended) + len(waiting), "sealed": 1, **counts})
        if not waiting:
            redis.hset(batch, "finished", 1_800_000_060.0)
        redis.delete(f"{batch}:inbox", f"{batch}:chunks", f"{batch}:ended")
        for lead, outcome in ended.items():
            end = [outcome.kind.value, outcome.code, outcome.message, outcome.job_id, outcome.attempts]
            redis.rpush(f"{batch}:ended", json.dumps(end), lead)
            self.land(lead)
        if waiting:
            redis.rpush(f"{batch}:inbox", *waiting)

    def land(self, lead: str) -> None:
        """A lead is not in flight any more."""
        redis = self.connect("")
        for key in redis.scan_iter("mc:{default}:live:*"):
            redis.srem(key, lead)


def finished(total: int = 2) -> dict[str, Outcome]:
    """Outcomes of so many leads: the first failed, the others were converted."""
    ids = [str(3652397000009850001 + number * 1000) for number in range(total)]
    return {
        lead: Outcome(Kind.CONVERTED, job_id="77", attempts=1) if number else Outcome(Kind.FAILED, "NOT_FOUND", "gone")
        for number, lead in enumerate(ids)
    }
