"""Messages that nobody has meant: whatever is in them, a worker says a line, goes on, and sends no stray lead."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any

import pytest
from celery.exceptions import Retry

from massconvert.contract import (
    TASK_CALL_BACK,
    TASK_CHUNK,
    TASK_CONVERT,
    TASK_ENQUEUE,
    TASK_RUN_PROFILE,
    TASK_STATUS,
    TASK_SWEEP,
)
from massconvert.errors import InputError, MassConvertError, OptionsError
from massconvert.leads import check_batch_key, valid_ids
from massconvert.producer.message import chunk_of, run_of
from massconvert.profiles import Accounts, ConfigFile
from massconvert.profiles.slots import parse_slot
from massconvert.testing import FakeCrm
from tests.unit.fuzz import cases, generator
from workers import log, only_copies
from workers.celery import app

LEADS = [str(3652397000009850001 + number) for number in range(20)]
PROFILE = """
[profiles.nightly]
criteria.coql = "Lead_Status = 'Qualified'"
options = {}
"""
IDS = [
    "job=47;11",
    "47;11",
    "x=47",
    "nightly@job=47;11",
    "a b",
    "",
    "k",
    "1",
    "0",
    "9" * 20,
    "-1",
    "\u0661",
    "k\n",
    "{k}",
    "é",
]
TEXTS = [
    *IDS,
    *LEADS[:3],
    "\ud800",
    "\x1b[2J",
    "\u202e",
    "x" * 3000,
    "nightly",
    "default",
    "20261124T030000Z",
    "[[",
    "{}",
]
TEXTS += [
    "https://\ud800.example.com/",
    "https://x/\x00",
    "t@q",
    "massconvert.convert@massconvert",
    "+30d",
    "interactive",
]
WORDS = ["Deals", "Deal_Name", "Stage", "Closing_Date", "assign_to", "id", "task", "queue", "args", "kwargs", "url"]
WORDS += [
    "chunk_id",
    "job_id",
    "\ud800",
    "options",
    "immutable",
    "subtask_type",
    "$",
    "preflight",
    "Amount",
    *LEADS[:2],
]
NAMES = {
    TASK_ENQUEUE: [
        "options",
        "profile",
        "key",
        "on_complete",
        "priority",
        "canary",
        "canary_max_failed",
        "deal_values",
        "links",
    ],
    TASK_RUN_PROFILE: ["slot", "run"],
}
NUMBERS = [0, 1, -1, 47, 1.5, 10**400, 1e308, float("inf"), float("nan"), int(LEADS[0])]
TASKS = [
    TASK_CALL_BACK,
    TASK_CHUNK,
    TASK_CONVERT,
    TASK_ENQUEUE,
    TASK_ENQUEUE,
    TASK_RUN_PROFILE,
    TASK_STATUS,
    TASK_SWEEP,
]
GOOD = {"Deals": {"Deal_Name": "d", "Stage": "s", "Closing_Date": "+1d"}}


def any_value(chance: Random, depth: int = 0) -> Any:
    """Whatever JSON can carry."""
    kind = chance.randrange(9 if depth < 4 else 5)
    if kind < 2:
        return chance.choice(TEXTS)
    if kind < 3:
        return chance.choice([None, True, False])
    if kind < 4:
        return chance.choice(NUMBERS)
    if kind < 5:
        return chance.choice([LEADS[:5], GOOD, {"chunk_id": "1", "job_id": "1"}, {"task": "t", "args": ["\ud800"]}])
    if kind < 7:
        return [any_value(chance, depth + 1) for _ in range(chance.randrange(4))]
    return {chance.choice(WORDS): any_value(chance, depth + 1) for _ in range(chance.randrange(5))}


def any_message(chance: Random) -> tuple[str, list[Any], dict[str, Any], Any]:
    """A task, its arguments, and the message's id."""
    task = chance.choice(TASKS)
    names = NAMES.get(task, [])
    args = [any_value(chance) for _ in range(chance.choice([0, 1, 1, 1, 2, 3]))]
    if chance.random() < 0.7:
        leads = [*chance.sample(LEADS, chance.randrange(4)), *[any_value(chance) for _ in range(chance.randrange(3))]]
        usual: dict[str, list[Any]] = {TASK_ENQUEUE: [leads], TASK_RUN_PROFILE: ["nightly"]}
        args = usual.get(task, args)
    kwargs = {name: any_value(chance) for name in chance.sample(names, min(len(names), chance.randrange(4)))}
    if chance.random() < 0.1:
        kwargs[chance.choice(["account", "nope", "chunk_id", "lead_ids", "\ud800"])] = any_value(chance)
    # Through JSON, as a broker carries it.
    return json.loads(json.dumps([task, args, kwargs, chance.choice([*IDS, "m1", 5])]))  # type: ignore[no-any-return]  # made above


class Desk:
    """A worker's tasks over a CRM of a test; ``run`` is what Celery does with a message."""

    def __init__(self, crm: FakeCrm, patch: pytest.MonkeyPatch, config: Path) -> None:
        self.workshop = crm._workshop
        self.workshop._config = ConfigFile(config)
        for module in ("call_back", "chunk", "convert", "enqueue", "run_profile", "status", "sweep"):
            patch.setattr(f"tasks.{module}.workshop_of", self._ports)
        patch.setattr("tasks.sweep.workshops", lambda: self.workshop)
        clients = SimpleNamespace(of=lambda _account: crm.redis)
        kept = SimpleNamespace(accounts=Accounts({}, dotenv=None), lines=SimpleNamespace(clients=clients))
        patch.setattr(only_copies, "workshops", lambda: kept)
        patch.setattr(only_copies, "_bug", _no_bug)

    def _ports(self, account: Any = None, profile: Any = None) -> Any:
        for value in (account, profile):
            if not isinstance(value, str | None):
                raise InputError("The message names no account or profile. It is dropped.")
        return self.workshop

    @staticmethod
    def run(task: str, args: list[Any], kwargs: dict[str, Any], message_id: Any) -> None:
        """Raises what Celery would log with a traceback."""
        body = app.tasks[task]
        body.push_request(id=message_id, called_directly=False, is_eager=True, args=args, kwargs=kwargs, retries=1)
        try:
            body(*args, **kwargs)
        except Retry:
            pass
        finally:
            body.pop_request()


def _no_bug(error: BaseException) -> None:
    """A message that meets one comes back in a worker; here it is one to be fixed."""
    if not isinstance(error, MassConvertError):
        raise error


@pytest.fixture
def crm() -> FakeCrm:
    return FakeCrm(by_itself=False)


@pytest.fixture
def desk(crm: FakeCrm, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Desk:
    app.loader.import_default_modules()
    (tmp_path / "massconvert.toml").write_text(PROFILE)
    return Desk(crm, monkeypatch, tmp_path / "massconvert.toml")


def test_no_message_is_a_bug_and_none_puts_a_lead_into_a_payload_that_nobody_enqueued(
    crm: FakeCrm, desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor does one name a batch or a run by what is none, write what cannot be read back, or log more than a line."""
    chance, lines = generator(5), Lines()
    logger = logging.getLogger("massconvert")
    monkeypatch.setattr(logger, "handlers", [lines])
    monkeypatch.setattr(
        logger, "propagate", False
    )  # pytest would keep each record, and cannot pass on half a character
    posted, enqueued = list[str](), set[str]()
    convert = desk.workshop.ports.zoho.mass_convert

    def post(leads: Any, options: Any, **rest: Any) -> Any:
        posted.extend(leads)
        return convert(leads, options, **rest)

    object.__setattr__(desk.workshop.ports, "zoho", _With(desk.workshop.ports.zoho, mass_convert=post))
    crm.expect(LEADS)
    for number in range(cases(1500)):
        message = any_message(chance)
        if message[0] == TASK_ENQUEUE:
            given = message[2].get("lead_ids") or next(iter(message[1]), None)
            enqueued |= set(valid_ids(given, {})) if isinstance(given, list) else set()
        try:
            desk.run(*message)
        except Exception as error:
            raise AssertionError(f"message {number} of seed 5: {str(message)[:2000]}") from error
        assert all(map(str.isprintable, lines.seen)), message
        lines.seen.clear()
    crm.work()
    for batch in crm.batches():
        assert check_batch_key(batch.batch) == batch.batch
        for row in crm.intake.batch(batch.batch).outcomes():
            assert row.outcome is not None
    assert set(posted) <= enqueued
    assert len(posted) > 5
    for key in crm.redis.scan_iter("mc:*"):
        key.encode()


class Lines(logging.Handler):
    """The log of a worker."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(log.OneLine())
        self.seen: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the line."""
        self.seen.append(self.format(record))


class _With:
    """Something with one of its methods replaced."""

    def __init__(self, of: Any, **methods: Any) -> None:
        self._of = of
        vars(self).update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)


# --- one of each kind -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("message_id", ["job=47;11", "a;b=1", "x" * 300, "k\n", "\ud800", "a:b"])
def test_the_id_of_a_message_that_is_none_begins_no_run(
    crm: FakeCrm, desk: Desk, caplog: pytest.LogCaptureFixture, message_id: str
) -> None:
    """It would name the run's batch, and a payload is written as ``batch=lead,lead;batch=lead``."""
    desk.run(TASK_RUN_PROFILE, ["nightly"], {}, message_id)
    assert "the wrong run id" in caplog.text
    assert list(crm.redis.scan_iter("mc:*:run:*")) == []
    assert crm.redis.zcard("mc:{default}:runs:due") == 0
    desk.run(TASK_RUN_PROFILE, ["nightly"], {}, "3f0c8f0e-6bfb-4d4c-8a5c-7f0d4f7c1a11")  # as Celery makes them
    assert crm.redis.zcard("mc:{default}:runs:due") == 1


@pytest.mark.parametrize("run", ["job=47;11", "", " ", "a b", "x" * 300, "nightly@\ud800", "-x", "é", 5, ["x"], {}])
def test_what_names_no_run_is_refused(run: Any) -> None:
    with pytest.raises(InputError, match="the wrong run id"):
        run_of(run)
    assert run_of("nightly@20261124T030000Z") == "nightly@20261124T030000Z"


@pytest.mark.parametrize(
    "chunk", ["", "one", "-1", "1 ", "1\n", "\u0661", "1" * 20, 1, 1.0, None, ["1"], {"chunk_id": "1"}]
)
def test_what_names_no_chunk_is_refused(chunk: Any) -> None:
    with pytest.raises(InputError, match="the wrong chunk id"):
        chunk_of(chunk)


@pytest.mark.parametrize("job", ["1", 1, [1], {"job_id": "1"}, {"chunk_id": 1}, {"chunk_id": "1;2"}])
def test_a_status_message_that_names_no_chunk_is_a_line(desk: Desk, caplog: pytest.LogCaptureFixture, job: Any) -> None:
    desk.run(TASK_STATUS, [job], {}, "m1")
    assert "the wrong chunk id" in caplog.text


@pytest.mark.parametrize(
    "slot",
    ["2026112T030000Z", "20261124T30000Z", "\uff12\uff10\uff12\uff161124T030000Z", "99991231T000000Z", "x", [1], 5],
)
def test_a_slot_is_written_in_one_way_and_lies_not_ahead(
    crm: FakeCrm, desk: Desk, caplog: pytest.LogCaptureFixture, slot: Any
) -> None:
    """One that is ahead would make all slots before it past, and the profile would not run again until then."""
    desk.run(TASK_RUN_PROFILE, ["nightly"], {"slot": slot}, "m1")
    assert any(words in caplog.text for words in ("is not a slot", "ahead of", "the wrong run id"))
    assert list(crm.redis.scan_iter("mc:*:profile:*")) == []


def test_a_slot_is_read_as_beat_writes_it() -> None:
    assert parse_slot("20261124T030000Z") == 1795489200.0
    with pytest.raises(ValueError, match="not a slot"):
        parse_slot("20261124T30000Z")


HALF = "\ud800"


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"key": HALF}, "cannot name a batch"),
        ({"options": {HALF: 1}}, "is not known"),
        ({"options": {"Deals": {**GOOD["Deals"], HALF: 1}}}, "JSON cannot carry"),
        ({"options": {"Deals": {**GOOD["Deals"], "Amount": {HALF: 1}}}}, "JSON cannot carry"),
        ({"options": {"assign_to": {"id": "1", HALF: 1}}}, "JSON cannot carry"),
        ({"options": {"assign_to": {"email": "a@example.com", HALF: 1}}}, "JSON cannot carry"),
        ({"options": {"portal_user_type": HALF}}, "JSON cannot carry"),
        ({"options": GOOD, "deal_values": {LEADS[0]: {"Amount": HALF}}}, "JSON cannot carry"),
        ({"options": GOOD, "deal_values": {LEADS[0]: {HALF: 1}}}, "is not the API name"),
        ({"on_complete": f"https://shop.example.com/{HALF}"}, "url that is not valid"),
        ({"on_complete": {"url": "https://shop.example.com/\x00"}}, "url that is not valid"),
        ({"on_complete": {"task": HALF}}, "no usable task"),
        ({"on_complete": {"task": "t", "queue": HALF}}, "no usable queue"),
        ({"on_complete": {"task": "t", "options": [1]}}, "options that are not an object"),
        ({"on_complete": [["t"]]}, "a list of these, not list"),
        ({"on_complete": "t" * 201}, "on_complete is"),
        ({"priority": HALF}, "priority"),
    ],
    ids=str,
)
def test_half_a_character_is_refused_in_words_and_nothing_is_enqueued(
    crm: FakeCrm, desk: Desk, caplog: pytest.LogCaptureFixture, more: dict[str, Any], words: str
) -> None:
    """UTF-8 has no bytes for it, so that neither the ledger nor Zoho could be told."""
    desk.run(TASK_ENQUEUE, [LEADS[:2]], {"key": "k", **more}, "m1")
    (record,) = caplog.records
    assert words in record.getMessage()
    assert crm.batches() == []


def test_half_a_character_is_taken_where_it_does_no_harm(crm: FakeCrm, desk: Desk) -> None:
    """In what is no lead id, and in the arguments of the app's own task."""
    mine = {"task": "shop.converted", "args": [HALF], "kwargs": {HALF: HALF}}
    desk.run(TASK_ENQUEUE, [[LEADS[0], HALF]], {"key": "k", "on_complete": mine}, "m1")
    crm.expect(LEADS)
    crm.work()
    (called,) = crm.called
    assert called[0].args == (HALF,)  # type: ignore[union-attr]  # a task's
    status = crm.intake.batch("k").progress()
    assert (status.converted, status.failed) == (1, 1)


def test_options_that_are_wrong_name_each_place(crm: FakeCrm) -> None:
    with pytest.raises(OptionsError, match=r"\$\.Deals"):
        crm.receive({"lead_ids": LEADS[:1], "options": {"Deals": {**GOOD["Deals"], HALF: 1}}}, "m1")
