"""What strangers send, write and answer: one line that says what is wrong, and everything else goes on."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from celery import Celery

from massconvert.contract import (
    QUEUE,
    TASK_CHUNK,
    TASK_CONVERT,
    TASK_ENQUEUE,
    TASK_RUN_PROFILE,
    TASK_STATUS,
    TASK_SWEEP,
)
from massconvert.store import Keys
from tests.acceptance.house import OPTIONS, House, until
from tests.acceptance.truth import assert_true, outcomes_of

pytestmark = pytest.mark.acceptance

LEAD = "3652397000009850001"
KEYS = Keys("default")


def nested(levels: int) -> list[Any]:
    """A list in a list in a list."""
    value: list[Any] = []
    for _ in range(levels):
        value = [value]
    return value


#: What no message of ours looks like: task, arguments, and what the log must say of it.
STRANGERS: tuple[tuple[str, list[Any], dict[str, Any], str], ...] = (
    *(
        (TASK_CONVERT, [given], {}, "the wrong chunk id")
        for given in (1, 1.5, None, True, ["1"], {"a": 1}, "", "one", "-1", "\ud800", "x" * 100_000, nested(300))
    ),
    (TASK_CONVERT, [], {}, "missing 1 required positional argument"),
    (TASK_CONVERT, ["1", None, "3"], {}, "positional arguments but 4"),
    *(
        (task, [given], {}, "the wrong account")
        for task in (TASK_CHUNK, TASK_SWEEP)
        for given in (1, ["default"], {"a": 1})
    ),
    (TASK_CONVERT, ["1", ["default"]], {}, "the wrong account"),
    (TASK_CONVERT, ["1", "nobody"], {}, "nobody"),
    (TASK_CONVERT, [], {"chunk": "1"}, "unexpected keyword argument 'chunk'"),
    *(
        (TASK_STATUS, [given], {}, "the wrong chunk id")
        for given in ("x", 5, [1], {}, {"job_id": "1"}, {"chunk_id": None}, {"chunk_id": {"a": 1}, "job_id": "1"})
    ),
    (TASK_STATUS, [], {}, "missing 1 required positional argument"),
    (TASK_STATUS, [{"chunk_id": "1", "job_id": "1"}, 5], {}, "the wrong account"),
    (TASK_RUN_PROFILE, [5], {}, "the wrong profile"),
    (TASK_RUN_PROFILE, ["nothing"], {}, "nothing"),
    *((TASK_RUN_PROFILE, ["nothing"], {"run": given}, "the wrong run id") for given in (5, [1], {"a": 1})),
    (TASK_RUN_PROFILE, ["nothing"], {"slot": [1]}, "nothing"),
    (TASK_ENQUEUE, [[LEAD]], {"profile": 5}, "the wrong profile"),
    (TASK_ENQUEUE, [[LEAD]], {"account": {"a": 1}}, "the wrong account"),
    *((TASK_ENQUEUE, [[LEAD]], {"priority": given}, "priority") for given in (5, ["x"], "urgent")),
    *((TASK_ENQUEUE, [[LEAD]], {"canary": given}, "canary") for given in ("x", -1, [1], 1.5)),
    (TASK_ENQUEUE, [[LEAD]], {"canary": 1, "canary_max_failed": "most"}, "canary"),
    (TASK_SWEEP, [], {"now": True}, "unexpected keyword argument 'now'"),
    (TASK_ENQUEUE, [], {}, "missing 1 required positional argument"),
    *((TASK_ENQUEUE, [given], {}, "takes a list of lead ids, not") for given in ("abc", 5, None, {"a": 1})),
    *((TASK_ENQUEUE, [[LEAD]], {"options": given}, "must be a JSON object") for given in (5, [1], True)),
    (TASK_ENQUEUE, [[LEAD]], {"options": "{"}, "The options are not JSON"),
    (TASK_ENQUEUE, [[LEAD]], {"options": {"ids": [LEAD]}}, "$.ids does not belong here"),
    (TASK_ENQUEUE, [[LEAD]], {"options": {"Deals": {"Deal_Name": "\ud800"}}}, "which JSON cannot carry"),
    *((TASK_ENQUEUE, [[LEAD]], {"key": given}, "cannot name a batch") for given in (5, ["x"], "a b", "../../x", "{k}")),
    (TASK_ENQUEUE, [[LEAD]], {"nope": 1}, "unexpected keyword argument 'nope'"),
    ("massconvert.nothing", [], {}, "unregistered task of type 'massconvert.nothing'"),
)


def test_messages_of_strangers_are_a_line_each_and_stop_nothing(house: House) -> None:
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "0.1")
    worker = house.worker()
    house.begin_reading()
    odd = [None, True, 1.5, -1, [1], {"a": 1}, "", "x", "\ud800", "9" * 5000, nested(300), "3.6524E+18", "=1+1"]
    with Celery(broker=house.broker.url) as app:
        for task, args, kwargs, _ in STRANGERS:
            app.send_task(task, args, kwargs, queue=QUEUE, ignore_result=True)
        arguments = {"options": OPTIONS, "key": "odd"}
        app.send_task(TASK_ENQUEUE, [[*odd, *house.leads()]], arguments, queue=QUEUE, ignore_result=True)
    mc = house.producer()

    def known() -> bool:
        with house.ledger as ledger:
            return bool(ledger.exists(KEYS.batch("odd"))) and mc.batch("odd").progress().finished

    until(known, 30, "the last message")
    rows = outcomes_of(mc.batch("odd"))
    failed = [row["lead_id"] for row in rows.values() if row["code"] == "INVALID_ID"]
    assert len(failed) == len(odd)
    assert sum(row["outcome"] == "converted" for row in rows.values()) == 50
    assert mc.batch("odd").progress().total == 50 + len(odd)
    log = house.log()
    assert "Traceback" not in log
    for task, _, _, words in STRANGERS:
        assert any(words in line and task in line for line in log.splitlines()), (task, words)
    errors = [line for line in log.splitlines() if " ERROR " in line]
    # Each once: nothing comes back, but the run of a profile that may be there in a moment.
    assert len(errors) == len(STRANGERS) - 1
    assert max(map(len, errors)) < 400
    assert worker.poll() is None


FORGED = "2026-11-24T15:00:00Z INFO massconvert forged"
#: Words that move the cursor, turn the writing round, or look like a line of the log.
HOSTILE = (
    f"\x1b[2J\x9b1A\x1b]8;;https://evil.example.com\x1b\\x\r{FORGED}\n{FORGED}\x85{FORGED}\u2028\u202e{FORGED}\ud800"
)


def test_no_stranger_and_no_answer_of_zoho_s_forges_a_line_or_moves_a_cursor(house: House) -> None:
    """As an argument, as a task's name, as a message that is none, and as what Zoho says of the organisation."""
    house.redis()
    house.simulator("--leads", "2")
    said = HOSTILE.replace("\ud800", "")
    house.set_faults(
        {"method": "POST mass_convert", "do": "status", "status": 403, "code": "NO_PERMISSION", "message": said}
    )
    worker = house.worker()
    house.begin_reading()
    with Celery(broker=house.broker.url) as app, app.connection_for_write() as connection:
        for args in ([HOSTILE], [{"chunk_id": HOSTILE}], [[HOSTILE]], ["1", HOSTILE]):
            for task in (TASK_CONVERT, TASK_STATUS, TASK_ENQUEUE, TASK_RUN_PROFILE, TASK_CHUNK, f"x{HOSTILE}"):
                app.send_task(task, args, {}, queue=QUEUE, ignore_result=True, task_id=f"t{HOSTILE}")
        app.send_task(TASK_ENQUEUE, [[HOSTILE]], {"key": "odd"}, queue=QUEUE, ignore_result=True)
        connection.Producer().publish({"no": HOSTILE}, routing_key=QUEUE, headers={"x": HOSTILE})
        connection.Producer().publish(HOSTILE.encode("utf-8", "replace"), routing_key=QUEUE, content_type="text/plain")
    house.producer().enqueue(house.leads(), options=OPTIONS, key="k")
    until(lambda: "The organisation is paused" in house.log(), 30, "what Zoho says")
    until(lambda: house.ledger.exists(KEYS.batch("odd")), 20, "the last message")
    log = house.log()
    assert {char for char in log if not char.isprintable()} == {"\n"}
    record = re.compile(r"20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9:]{8}Z [A-Z]+ [a-z.]+ ")
    assert [line for line in log.split("\n") if line and not line.startswith("  ") and not record.match(line)] == []
    assert [line for line in log.split("\n") if line.startswith(FORGED)] == []
    for command in (["status"], ["status", "k"], ["report", "odd"]):
        told = house.command(*command)
        assert {char for char in told.stdout + told.stderr if not char.isprintable()} == {"\n"}, command
        assert not re.search(rf"^\s*{FORGED}", told.stdout + told.stderr, re.MULTILINE)
    assert worker.poll() is None


#: What something else may have written into a chunk.
GARBAGE: tuple[dict[str, str], ...] = (
    {"members": "garbage"},
    {"members": ""},
    {"members": "k=1,two,3"},
    {"outage_since": "long ago"},
    {"state": "garbage"},
    {"created": "yesterday"},
    {"due": "soon", "lease": "long"},
    {"attempts": "three"},
    {"why": "because"},
    {"said": "[1"},
)


def test_ledger_values_that_were_tampered_with_are_named_and_everything_else_goes_on(house: House) -> None:
    """And nothing is lost: when the values are fixed, their leads are converted."""
    house.environment |= {"HURRIED_TUNING": json.dumps({"lease": 3.0}), "MASSCONVERT_CALL_DEADLINE": "1"}
    house.redis()
    house.simulator("--leads", str(50 * (len(GARBAGE) + 4)), "--job-seconds", "0.2")
    del house.environment["ZOHO_CONCURRENCY"]  # the limit is learnt then
    worker = house.worker(app="tests.acceptance.hurried_worker")
    mc, leads = house.producer(), house.leads()
    assert mc.enqueue(leads[:50], options=OPTIONS).wait(30).converted == 50
    with house.ledger as ledger:
        # A pause that nobody has written like this is a pause still.
        ledger.hset(KEYS.pause, mapping={"since": "garbage", "probe": "soon"})
        status = house.command("status")
        assert (status.returncode, "Traceback" in status.stderr) == (0, False)
        assert f"{KEYS.pause} does not say why" in " ".join(status.stdout.split())
        others = mc.enqueue(leads[50:100], options={"assign_to": OPTIONS["assign_to"]})
        batch = mc.enqueue(leads[100:], options=OPTIONS, key="k")
        until(lambda: ledger.scard(KEYS.unsent) == len(GARBAGE) + 3, 20, "the payloads")
        chunk_of_others, *chunk_ids = sorted(ledger.smembers(KEYS.unsent), key=int)
        before: dict[str, dict[str, str]] = {}
        for chunk_id, garbage in zip(chunk_ids, GARBAGE, strict=False):
            before[KEYS.chunk(chunk_id)] = ledger.hgetall(KEYS.chunk(chunk_id))
            ledger.hset(KEYS.chunk(chunk_id), mapping=garbage)
        options = KEYS.options(ledger.hget(KEYS.chunk(chunk_of_others), "fp"))
        before[options] = ledger.hgetall(options)
        ledger.hset(options, "json", '["no", "object"]')
        ledger.rpush(KEYS.jobtimes, "garbage", "-1", "nan", *["1"] * 20)
        ledger.hset(KEYS.limit, "calls", "many")
        ledger.set(KEYS.max_leads, "few")
        ledger.hset(KEYS.gate, mapping={"until": "later", "why": "garbage"})
        house.begin_reading()
        assert house.command("resume").returncode == 0

        until(lambda: batch.progress().converted == 100, 30, "what was not tampered with")
        named = [*(f"chunk:{chunk_id} cannot be read" for chunk_id in chunk_ids[: len(GARBAGE)])]
        named += [f"{options.removeprefix(KEYS.prefix)} cannot be read", KEYS.jobtimes]
        for words in named:
            until(lambda words=words: words in house.log(), 20, words)  # type: ignore[misc]  # mypy cannot infer a lambda with defaults
        assert "Traceback" not in house.log()
        assert batch.progress().failed == others.progress().failed == 0
        assert others.progress().ended == 0

        for key, fields in before.items():
            for name in ledger.hkeys(key):
                if name not in fields and name not in ("lease", "token"):
                    ledger.hdel(key, name)
            ledger.hset(key, mapping=fields)
        for fixed in (batch, others):
            fixed.wait(40)
            rows = outcomes_of(fixed)
            assert {row["outcome"] for row in rows.values()} == {"converted"}
            assert_true(house, rows)
    assert {known["submissions"] for known in house.truth().values()} == {1}
    assert worker.poll() is None


# --- where an access token goes ---------------------------------------------------------------------------


@contextmanager
def listener() -> Iterator[tuple[str, list[str]]]:
    """A server that refuses whatever it is asked; yields its URL, and what came with each request."""
    heard: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            heard.append(f"{self.requestline}\n{self.headers}")
            self.send_response(403)
            self.send_header("Content-Length", "0")
            self.end_headers()

        do_POST = do_CONNECT = do_GET  # noqa: N815 - the base class' names

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class' name for it
            """Nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", heard
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_a_redirect_never_carries_the_token_to_another_host(house: House) -> None:
    """Whatever its status: it is an answer that says nothing, so the leads are looked at."""
    tuning = {"backoff_base": 0.2, "first_look": 0.4, "read_lag": 0.2}
    house.environment |= {"MASSCONVERT_JOB_WAIT": "1", "HURRIED_TUNING": json.dumps(tuning)}
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "0.2")
    with listener() as (elsewhere, heard):
        house.set_faults(
            *(
                {
                    "method": method,
                    "do": "status",
                    "status": status,
                    "headers": {"Location": f"{elsewhere}/crm/v8/Leads"},
                    "body": "",
                    "times": 1,
                }
                for method, status in (
                    ("POST token", 307),  # a login page: it pauses the organisation
                    ("POST mass_convert", 301),
                    ("GET Leads", 308),
                    ("GET mass_convert", 302),
                )
            )
        )
        house.worker(app="tests.acceptance.hurried_worker")
        batch = house.producer().enqueue(house.leads(), options=OPTIONS)
        until(lambda: house.ledger.exists("mc:{default}:pause"), 20, "the pause")
        until(lambda: not list(house.ledger.scan_iter("*:trouble")), 10, "the refusal to be asked about again")
        assert house.command("resume").returncode == 0
        assert batch.wait(40).converted == 50
        assert house.unfired() == []
        assert heard == []


def test_an_api_domain_that_is_not_zoho_s_never_gets_the_token(house: House) -> None:
    """A token answer names one; calls go to the data centre's own, as the proxy that the worker must use sees."""
    house.redis()
    house.simulator("--leads", "10")
    answer = {"access_token": "1000.simulated", "expires_in": 3600, "api_domain": "https://zohoapis.com.example.net"}
    house.set_faults({"method": "POST token", "do": "status", "status": 200, "body": json.dumps(answer)})
    with listener() as (proxy, heard):
        del house.environment["ZOHO_API_DOMAIN"]
        house.environment |= {"HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, "https_proxy": proxy, "NO_PROXY": ""}
        house.worker()
        house.producer().enqueue(house.leads(), options=OPTIONS)
        until(lambda: heard, 30, "a call")
        until(lambda: "before it is known whose ledger this is" in house.log(), 20, "the refusal of the proxy")
        assert {request.split()[1] for request in heard} == {"www.zohoapis.com:443"}
        assert "1000.simulated" not in "".join(heard)
    assert "is not one of Zoho's; https://www.zohoapis.com is used" in house.log()
