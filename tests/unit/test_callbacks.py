"""Whom to call when a batch has finished: how it is written, signed, tried again, and never forgotten."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from celery import Celery, chain
from pydantic import SecretStr

from massconvert.callbacks import DELIVERY_HEADER, SIGNATURE_HEADER, sign, verify_webhook
from massconvert.caller import Caller, Never
from massconvert.errors import BrokerError, InputError, KeyConflictError
from massconvert.model import NotSent, PerhapsAccepted, Unsent
from massconvert.on_complete.targets import HookTarget, TaskTarget, dump_targets, load_targets, parse_targets
from massconvert.policy import Moment, Tuning, after_failed_callback
from massconvert.settings import Settings
from massconvert.testing import FakeCrm
from massconvert.zoho.transport import Reply

SECRET = "hunter2-not-a-real-secret"
HOOK = "https://shop.example.com/converted?token=abc"
SHOP = TaskTarget("shop.converted", "shop")

# --- how it is written ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "targets"),
    [
        (None, ()),
        ([], ()),
        ("shop.converted@shop", (SHOP,)),
        ("shop.converted", (TaskTarget("shop.converted", "celery"),)),
        ({"task": "shop.converted", "queue": "shop"}, (SHOP,)),
        ('{"task": "shop.converted", "queue": "shop"}', (SHOP,)),
        (
            {"task": "t", "args": [1, "x"], "kwargs": {"a": None}, "immutable": True},
            (TaskTarget("t", "celery", (1, "x"), {"a": None}, immutable=True),),
        ),
        (HOOK, (HookTarget(HOOK),)),
        ({"url": HOOK}, (HookTarget(HOOK),)),
        ("http://127.0.0.1:8080/x", (HookTarget("http://127.0.0.1:8080/x"),)),
        ("http://localhost/x", (HookTarget("http://localhost/x"),)),
        ([HOOK, "shop.converted@shop"], (HookTarget(HOOK), SHOP)),
        (f'["{HOOK}", {{"task": "shop.converted", "queue": "shop"}}]', (HookTarget(HOOK), SHOP)),
    ],
)
def test_each_way_to_write_it_means_the_same_everywhere(given: Any, targets: tuple[Any, ...]) -> None:
    assert parse_targets(given) == targets
    assert load_targets(dump_targets(targets)) == targets


def test_a_signature_of_celery_s_own_is_taken_and_a_chain_is_not() -> None:
    app = Celery(set_as_current=False)
    signature = app.signature("shop.converted", args=(7,), queue="shop")
    assert parse_targets(signature) == (TaskTarget("shop.converted", "shop", (7,)),)
    with pytest.raises(InputError, match="chain"):
        parse_targets(chain(signature, signature, app=app))


@pytest.mark.parametrize(
    "given",
    [
        7,
        "",
        "two words",
        "{",
        "[[[",
        {},
        {"task": ""},
        {"task": "t", "queue": 7},
        {"task": "t", "args": "x"},
        {"task": "t", "kwargs": []},
        {"task": "t", "args": [{1}]},
        {"task": "t", "args": [float("nan")]},
        {"task": "t", "colour": "red"},
        {"url": HOOK, "queue": "shop"},
        {"url": 7},
        {"url": ""},
        "http://shop.example.com/x",
        "ftp://shop.example.com/x",
        f"https://user:{SECRET}@shop.example.com/x",
        f"https://shop.example.com/x#{SECRET}",
        "https:///x",
        "https://shop.example.com:0/x",
        "https://shop.example.com/a b",
        ["t"] * 6,
    ],
    ids=str,
)
def test_what_cannot_be_called_is_refused_with_how_to_write_it(given: Any) -> None:
    with pytest.raises(InputError) as refused:
        parse_targets(given)
    assert refused.value.hint
    assert SECRET not in str(refused.value)


def test_a_log_names_a_hook_without_its_path_and_query() -> None:
    assert HookTarget(HOOK).place == "the web hook at https://shop.example.com"


# --- how it is signed and sent --------------------------------------------------------------------------------


def test_a_signature_holds_for_its_body_its_secret_and_five_minutes() -> None:
    body = b'{"batch":"k"}'
    header = sign(SECRET, body, 1_800_000_000.7)
    assert header.startswith("t=1800000000,v1=")
    assert verify_webhook(SECRET, body, header, now=1_800_000_299.0)
    for wrong in (
        {"secret": "another"},
        {"secret": ""},
        {"body": body + b" "},
        {"signature": ""},
        {"signature": header.replace("t=1800000000", "t=1800000001")},
        {"now": 1_800_000_301.0},
        {"now": 1_799_999_699.0},
    ):
        given: dict[str, Any] = {"secret": SECRET, "body": body, "signature": header, "now": 1_800_000_000.0, **wrong}
        assert not verify_webhook(given.pop("secret"), given.pop("body"), given.pop("signature"), **given), wrong


GOOD_HEADER = sign(SECRET, b"{}", 1_800_000_000.0)
NO_TEXTS: list[Any] = [None, b"t=1,v1=0", bytearray(b"x"), [], ["t=1"], {}, 7, 1.5, True, {"a": 1}, ()]
ODD_TEXTS = [
    "",
    "x",
    GOOD_HEADER[:-1],
    f"{GOOD_HEADER}0",
    f"{GOOD_HEADER}\n",
    GOOD_HEADER.upper(),
    "t=\u0661,v1=" + "0" * 64,
]
ODD_TEXTS += [
    "t=1800000000,v1=" + "é" * 64,
    "\ud800",
    f"t={'9' * 400},v1={'0' * 64}",
    "t=1800000000,v1=",
    "x" * 100_000,
]


@pytest.mark.parametrize("odd", [*NO_TEXTS, *ODD_TEXTS], ids=lambda odd: ascii(odd)[:40])
def test_what_is_no_header_no_body_or_no_secret_is_refused_and_raises_nothing(odd: Any) -> None:
    """A framework gives None for a header that is missing, or bytes; a fuzzer anything."""
    now = 1_800_000_000.0
    assert verify_webhook(SECRET, b"{}", GOOD_HEADER, now=now)
    assert verify_webhook(SECRET, bytearray(b"{}"), GOOD_HEADER, now=now)  # type: ignore[arg-type]  # as some servers give it
    assert verify_webhook(SECRET, b"{}", odd, now=now) is False
    assert verify_webhook(SECRET, odd, GOOD_HEADER, now=now) is False
    assert verify_webhook(odd, b"{}", GOOD_HEADER, now=now) is False
    assert verify_webhook(odd, odd, odd) is False
    assert verify_webhook(SECRET, "{}", GOOD_HEADER, now=now) is False  # type: ignore[arg-type]  # a body that was decoded


class Wire:
    """A transport and a nudge that answer as told, and note what they were given."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.sent: list[Any] = []

    def exchange(self, method: str, url: str, *, headers: dict[str, str], body: bytes) -> Any:
        self.sent.append((method, url, headers, body))
        return self.answer

    def send(self, *given: Any) -> None:
        self.sent.append(given)
        if isinstance(self.answer, Exception):
            raise self.answer


def caller(wire: Any, secret: str = SECRET) -> Caller:
    return Caller(wire, SecretStr(secret), transport=wire, now=lambda: 1_800_000_000.0)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (Reply(204, {}, b""), ""),
        (Reply(200, {}, b"anything"), ""),
        (Reply(302, {"location": "https://elsewhere.example.com"}, b""), "it answered HTTP 302"),
        (Reply(500, {}, b""), "it answered HTTP 500"),
        (NotSent(Unsent.CONNECT, "refused"), "refused"),
        (PerhapsAccepted("no answer within 10 s"), "no answer within 10 s"),
    ],
)
def test_a_hook_is_posted_to_with_a_signature_and_only_2xx_is_success(answer: Any, why: str) -> None:
    wire = Wire(answer)
    assert caller(wire).call(HookTarget(HOOK), {"batch": "k", "converted": 2, "delivery": "d1"}) == why
    ((method, url, headers, body),) = wire.sent
    assert (method, url, json.loads(body)) == ("POST", HOOK, {"batch": "k", "converted": 2, "delivery": "d1"})
    assert verify_webhook(SECRET, body, headers[SIGNATURE_HEADER], now=1_800_000_000.0)
    assert SECRET not in str(headers)
    assert headers[DELIVERY_HEADER] == "d1"


def test_without_a_secret_no_hook_is_called() -> None:
    wire = Wire(Reply(200, {}, b""))
    assert "MASSCONVERT_WEBHOOK_SECRET is not set" in caller(wire, "").call(HookTarget(HOOK), {})
    assert wire.sent == []


def test_a_task_gets_the_summary_before_its_own_arguments_unless_it_is_immutable() -> None:
    wire = Wire(None)
    target = TaskTarget("t", "q", (7,), {"a": 1})
    assert caller(wire).call(target, {"batch": "k"}) == ""
    assert caller(wire).call(TaskTarget("t", "q", (7,), immutable=True), {"batch": "k"}) == ""
    assert wire.sent == [("t", "q", ({"batch": "k"}, 7), {"a": 1}), ("t", "q", (7,), {})]
    assert caller(Wire(BrokerError("No broker."))).call(target, {}) == "No broker."


def test_a_short_secret_is_refused_without_being_repeated() -> None:
    with pytest.raises(Exception, match="at least 16 characters") as refused:
        Settings(MASSCONVERT_WEBHOOK_SECRET="hunter2")
    assert "hunter2" not in str(refused.value)


# --- when it is tried again -----------------------------------------------------------------------------------


def test_a_failed_call_backs_off_and_is_given_up_after_a_day() -> None:
    tuning = Tuning()
    moment = Moment(now=1000.0, chance=1.0, tuning=tuning)
    waits = [after_failed_callback(tries, 1000.0, moment) for tries in range(12)]
    assert waits == sorted(waits, key=lambda wait: wait or 0.0)
    assert waits[0] == 1.0
    assert waits[-1] == tuning.backoff_cap
    late = Moment(now=1000.0 + tuning.give_up + 1, chance=1.0, tuning=tuning)
    assert after_failed_callback(3, 1000.0, late) is None


# --- the whole way --------------------------------------------------------------------------------------------


def test_a_batch_calls_when_it_has_finished_with_its_true_counts() -> None:
    crm = FakeCrm(unknown=["7000000000000000002"])
    leads = ["7000000000000000001", "7000000000000000002", "3.65E+18"]
    batch = crm.receive({"lead_ids": leads, "on_complete": [HOOK, "shop.converted@shop"]}, "m1")
    assert [target for target, _ in crm.called] == [HookTarget(HOOK), SHOP]
    for _, summary in crm.called:
        assert (summary["state"], summary["total"], summary["converted"], summary["failed"]) == ("finished", 3, 1, 2)
        assert summary["account"] == "default"
        assert summary["finished_at"] is not None
    assert batch.progress().finished


def test_a_wrong_on_complete_enqueues_nothing() -> None:
    crm = FakeCrm()
    with pytest.raises(InputError):
        crm.receive({"lead_ids": ["7000000000000000001"], "on_complete": {"tusk": "x"}}, "m1")
    assert crm.batches() == []


def test_the_same_key_without_on_complete_keeps_it_and_with_other_options_is_still_refused() -> None:
    crm = FakeCrm(by_itself=False)
    lead = ["7000000000000000001"]
    crm.receive({"lead_ids": lead, "key": "k", "on_complete": "t"}, "m1")
    crm.receive({"lead_ids": lead, "key": "k"}, "m2")
    with pytest.raises(KeyConflictError):
        crm.receive({"lead_ids": lead, "key": "k", "options": {"assign_to": "5"}, "on_complete": "u"}, "m3")
    crm.work()
    assert [target for target, _ in crm.called] == [TaskTarget("t")]


def test_a_call_that_no_other_try_would_fix_is_made_once_and_status_says_why() -> None:
    """Another is due again."""
    for why in (Never("the address 10.0.0.1 is not of the public internet"), "no answer"):
        crm = FakeCrm(by_itself=False)
        asked: list[HookTarget] = []

        class Refusing:
            def call(self, target: Any, summary: Any, why: str = why, asked: list[Any] = asked) -> str:
                asked.append(target)
                return why

        object.__setattr__(crm._workshop.ports, "caller", Refusing())
        crm.receive({"lead_ids": ["7000000000000000001"], "on_complete": HOOK, "key": "k"}, "m1")
        crm.work()
        (failed,) = crm.ledger.callbacks.failed_of("k")
        assert (len(asked), failed.why, failed.again) == (1, why, not isinstance(why, Never))


def test_a_delivery_is_the_same_in_each_try_and_another_once_the_batch_has_finished_again() -> None:
    crm = FakeCrm(by_itself=False)
    told: list[dict[str, Any]] = []

    class TwiceAway:
        def call(self, target: Any, summary: Any) -> str:
            told.append(dict(summary))
            return "it answered HTTP 500" if len(told) < 3 else ""

    object.__setattr__(crm._workshop.ports, "caller", TwiceAway())
    crm.receive({"lead_ids": ["7000000000000000001"], "on_complete": HOOK, "key": "k"}, "m1")
    for _ in range(3):
        crm.work()
        crm.clock.wait(3600.0)
    assert [call["delivery"] for call in told] == [told[0]["delivery"]] * 3
    crm.receive({"lead_ids": ["7000000000000000001"], "on_complete": HOOK, "key": "k"}, "m2")  # nothing new: no call
    crm.work()
    assert len(told) == 3
    crm.receive({"lead_ids": ["7000000000000000002"], "key": "k"}, "m3")
    crm.work()
    assert len(told) == 4
    assert told[3]["delivery"] != told[0]["delivery"]


def test_who_receives_a_web_hook_loads_nothing_but_the_standard_library() -> None:
    code = "import sys; before = {*sys.modules}; import massconvert.callbacks; print(*sorted({*sys.modules} - before))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    roots = {name.partition(".")[0] for name in loaded}
    assert roots <= {"massconvert", *sys.stdlib_module_names}
