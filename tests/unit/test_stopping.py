"""What is stopped, found unfinished or wanted by a command, as far as it needs no process."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fakeredis
import pytest

from massconvert.cli import reach
from massconvert.cli.stopping import Stopped, stoppable, tell_left, tell_stopped
from massconvert.embedded import Home
from massconvert.embedded.home import KeptLedger
from massconvert.embedded.plan import Doing, Holder
from massconvert.embedded.unfinished import LEFT, STOPPED, alone_with, is_ours, pause_unfinished
from massconvert.errors import EmbeddedError, InputError, UnknownBatchError
from massconvert.ledger import Ledger
from massconvert.model import HELD_FOR_CANARY, Canary, Chunk, State
from massconvert.policy import Tuning
from massconvert.settings import Settings
from tests.unit.cli_shell import OPTIONS

LEADS = [str(3652397000009850001 + 1000 * number) for number in range(20)]


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    """A ledger of its own."""
    redis = fakeredis.FakeRedis(server=fakeredis.FakeServer(), decode_responses=True)
    yield Ledger(redis, "default", Tuning())
    redis.close()


def take(ledger: Ledger, batch: str, canary: Canary | None = None, leads: list[str] = LEADS) -> None:
    """Enqueue leads as a batch."""
    ledger.batches.open(batch, "fp", OPTIONS, leads=len(leads), canary=canary)
    ledger.batches.add(batch, "call", leads)
    ledger.batches.seal(batch, flush=True)


# --- what is unfinished -----------------------------------------------------------------------------------


def test_what_has_not_finished_is_paused_and_a_persons_reason_stands(ledger: Ledger) -> None:
    take(ledger, "crashed")
    take(ledger, "paused", leads=["3652397000009980001"])
    take(ledger, "canary", Canary(2), leads=["3652397000009990001", "3652397000009991001", "3652397000009992001"])
    ledger.batches.hold("paused", "the owner is wrong")
    found = {status.batch: status.held for status in pause_unfinished([ledger])}
    assert found == {"crashed": LEFT, "paused": "the owner is wrong", "canary": LEFT}
    assert [is_ours(ledger.batches.status(batch)) for batch in ("crashed", "paused", "canary")] == [True, False, True]
    ledger.batches.release("canary")
    assert ledger.batches.status("canary").held in ("", HELD_FOR_CANARY)


def test_what_was_let_go_on_meanwhile_is_paused_again_and_told(ledger: Ledger) -> None:
    take(ledger, "v1")
    told: list[str] = []
    with alone_with([ledger], lambda left: told.extend(status.batch for status in left)) as alone:
        assert [status.batch for status in alone.found] == ["v1"]
        take(ledger, "retried", leads=["3652397000009990001"])
    assert told == ["retried"]
    assert ledger.batches.status("retried").held == LEFT
    with suppress(KeyboardInterrupt), alone_with([ledger]):
        ledger.batches.release("v1")
        raise KeyboardInterrupt
    assert ledger.batches.status("v1").held == LEFT


def test_what_is_on_its_way_to_zoho_counts_as_sent(ledger: Ledger) -> None:
    take(ledger, "v1")
    (chunk_id,) = ledger.chunks.form().chunk_ids
    chunk = ledger.chunks.claim(chunk_id, [State.WAITING], token="t")
    assert isinstance(chunk, Chunk)
    assert ledger.chunks.begin_send(chunk)
    ledger.batches.hold("v1", STOPPED)
    assert (ledger.batches.status("v1").sent, ledger.stopped("v1").sent) == (0, 20)
    assert ledger.stopped("v1").waiting == 0


# --- what is said -----------------------------------------------------------------------------------------


def test_a_stop_says_what_is_sent_and_what_is_not(ledger: Ledger, capsys: pytest.CaptureFixture[str]) -> None:
    take(ledger, "v1")
    ledger.batches.hold("v1", STOPPED)
    tell_stopped(ledger.stopped("v1"))
    said = capsys.readouterr().err
    assert "stopped. Of batch v1, 0 of 20 leads have ended.\n20 leads are not sent, and stay so" in said
    assert "To go on: massconvert convert --resume v1\n" in said
    assert "To call off what is not sent: massconvert cancel v1\n" in said
    tell_left([ledger.batches.status("v1")] * 7, afterwards=True)
    said = capsys.readouterr().err
    assert said.count("To go on afterwards: massconvert convert --resume v1") == 5
    assert "2 more batches have not finished, and stay paused: massconvert status --all" in said


def test_the_first_signal_stops_and_the_next_hurries() -> None:
    before, hurried = signal.getsignal(signal.SIGTERM), []
    with stoppable() as stopping:
        stopping.hurry = lambda: hurried.append(1)
        with pytest.raises(Stopped) as stopped:
            signal.raise_signal(signal.SIGTERM)
        assert stopped.value.exit_status == 143
        signal.raise_signal(signal.SIGINT)
    assert hurried == [1]
    assert signal.getsignal(signal.SIGTERM) is before


def test_a_signal_that_the_parent_ignores_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    """As nohup has it."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stoppable():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)


# --- which ledger -----------------------------------------------------------------------------------------


def keep(state: Path, name: str, owner: dict[str, Any] | None = None) -> Path:
    """A directory as `convert` leaves it."""
    folder = state / "organisations" / name
    (folder / "redis").mkdir(parents=True)
    if owner is not None:
        (folder / "owner.json").write_text(json.dumps({"owner": name, "name": name, "place": "eu", **owner}))
    return folder


def test_without_a_client_the_only_ledger_of_the_account_is_meant(tmp_path: Path) -> None:
    nobody, emea = Settings(state_dir=tmp_path), Settings(state_dir=tmp_path, account="emea")
    assert Home(nobody).find() is None
    acme = keep(tmp_path, "acme", {"accounts": ["default"]})
    assert Home(nobody).find() == acme
    assert Home(emea).find() is None
    other = keep(tmp_path, "other")  # which has not said whose it is
    assert Home(emea).find() == other
    with pytest.raises(EmbeddedError) as told:
        Home(nobody).find()
    assert f"acme (eu): MASSCONVERT_STATE_DIR={acme}" in told.value.hint
    assert Home(Settings(state_dir=acme)).find() == acme
    assert KeptLedger.read(other) == KeptLedger(other, "not known whose", frozenset())


def desk(**batches: object) -> Any:
    """A desk whose ledger has these batches."""

    def status(batch: str) -> object:
        if batch not in batches:
            raise UnknownBatchError(batch)
        return batches[batch]

    ledger = SimpleNamespace(batches=SimpleNamespace(status=status))
    return SimpleNamespace(ledger=ledger, settings=Settings(redis_url="redis://127.0.0.1:6379/0"), visit=None)


def test_of_two_ledgers_the_one_with_the_batch_is_meant() -> None:
    there, here = desk(fleet=1, both=1), desk(alone=1, both=1)
    assert reach._choose(there, here, "fleet", last=False) is there
    assert reach._choose(there, here, "alone", last=False) is here
    for batch in ("both", None):
        with pytest.raises(InputError) as told:
            reach._choose(there, here, batch, last=False)
        assert "REDIS_URL=redis://127.0.0.1:6379/0" in told.value.hint
    with pytest.raises(UnknownBatchError):
        reach._choose(there, here, "neither", last=False)


def test_what_stands_in_a_lock_may_be_anything() -> None:
    held = Holder(7, Doing.WORKING, "/s")
    assert Holder.load(held.dump()) == held
    for text in ("", "123 running", "[]", '{"pid": 1}', '{"pid": "x", "doing": "working", "socket": ""}'):
        assert Holder.load(text) is None
    assert os.getpid() != held.pid
