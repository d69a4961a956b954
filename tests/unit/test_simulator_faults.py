"""Fault scripts strike what they name, when they say, as often as they say; wrong ones are refused in words."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest

from massconvert.simulator import Fate, Request, SimulatorError
from massconvert.simulator.faults import Faults, read_script
from tests.unit.simulated_crm import Crm, code

POST = "POST mass_convert"


def fault(do: str, method: str = POST, **words: Any) -> dict[str, Any]:
    """A rule."""
    return {"method": method, "do": do, **words}


def submissions(crm: Crm) -> int:
    """Of the first lead."""
    return int(crm.organisation.truth()[crm.ids[0]]["submissions"])


# --- before and after -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("when", "effect"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("do", ["status", "garbage", "reset", "drop", "hang"])
def test_an_answer_is_lost_before_or_after_its_effect(do: str, when: str, effect: int) -> None:
    words: dict[str, Any] = {"status": {"status": 500}, "hang": {"seconds": 30}}.get(do, {})
    crm = Crm(faults=[fault(do, when=when, times=1, **words)], job_seconds=0)
    answer = crm.post(crm.ids[:1])
    fate = {"reset": Fate.RESET, "drop": Fate.DROP, "hang": Fate.HANG}.get(do, Fate.SENT)
    assert answer.fate is fate
    assert answer.arrives == (fate is Fate.SENT)
    assert submissions(crm) == effect
    assert list(crm.organisation.fired().values()) == [1]
    if when == "before":
        assert crm.post(crm.ids[:1]).status == 200


@pytest.mark.parametrize("do", ["cut", "trickle"])
def test_what_spoils_the_answer_itself_comes_after_the_effect(do: str) -> None:
    words: dict[str, Any] = {"seconds": 3} if do == "trickle" else {}
    crm = Crm(faults=[fault(do, **words)])
    answer = crm.post(crm.ids[:1])
    assert (answer.fate, answer.status) == (Fate(do), 200)
    assert submissions(crm) == 1


def test_a_status_fault_says_what_it_is_told_to() -> None:
    script = [
        fault("status", status=403, times=1),
        fault("status", status=429, times=1, headers={"Retry-After": "7"}),
        fault("status", status=400, code="NOT_ALLOWED", message="no", details={"x": 1}, times=1),
        fault("status", status=502, body="<html>", times=1),
        fault("status", status=500, times=1),
    ]
    crm = Crm(faults=script)
    assert code(crm.post(crm.ids[:1])) == (403, "NO_PERMISSION")
    throttled = crm.post(crm.ids[:1])
    assert code(throttled) == (429, "TOO_MANY_REQUESTS")
    assert throttled.headers["Retry-After"] == "7"
    said = crm.post(crm.ids[:1])
    assert said.body == {"code": "NOT_ALLOWED", "message": "no", "details": {"x": 1}, "status": "error"}
    gateway = crm.post(crm.ids[:1])
    assert (gateway.status, gateway.content(), gateway.headers["Content-Type"]) == (502, b"<html>", "text/html")
    assert code(crm.post(crm.ids[:1])) == (500, "INTERNAL_ERROR")
    assert submissions(crm) == 0
    assert sum(crm.organisation.fired().values()) == 5


def test_latency_passes_before_or_after_the_effect_and_adds_up() -> None:
    slow = [fault("latency", seconds=2), fault("latency", seconds=3, when="after"), fault("status", status=500)]
    crm = Crm(faults=slow)
    answer = crm.post(crm.ids[:1])
    assert (answer.delay, answer.status) == (5.0, 500)
    call = crm.organisation.arrive(_post_request())
    assert call.wait == 2.0


def test_tokens_that_expire_before_a_call_refuse_it_and_after_it_the_next() -> None:
    crm = Crm(faults=[fault("expire_tokens", times=1)])
    assert code(crm.post(crm.ids[:1])) == (401, "INVALID_TOKEN")
    crm.organisation.set_faults([fault("expire_tokens", when="after", times=1)])
    crm.token = ""
    assert crm.post(crm.ids[:1]).status == 200
    assert code(crm.post(crm.ids[1:2])) == (401, "INVALID_TOKEN")


def test_reads_hide_leads_and_leave_out_what_became_of_them() -> None:
    crm = Crm(job_seconds=0)
    hidden, blank, seen = crm.ids[:3]
    crm.organisation.set_faults([fault("hides", "GET Leads", ids=[hidden]), fault("blanks", "GET Leads", ids=[blank])])
    crm.post([hidden, blank, seen])
    answer: Any = crm.read([hidden, blank, seen]).body
    rows = {row["id"]: row for row in answer["data"]}
    assert set(rows) == {blank, seen}
    assert rows[seen]["Converted__s"] is rows[seen]["$converted"] is True
    assert rows[blank]["Converted__s"] is rows[blank]["Converted_Contact"] is None
    assert "$converted" not in rows[blank]
    assert crm.organisation.truth()[hidden]["converted"]


def test_a_stale_read_does_not_know_the_latest_conversions() -> None:
    crm = Crm(job_seconds=0, faults=[fault("stale", "GET Leads", seconds=5)])
    crm.post(crm.ids[:1])
    assert crm.read(crm.ids[:1], "true").status == 204
    crm.clock.now += 5
    assert crm.read(crm.ids[:1], "true").status == 200


def _post_request() -> Request:
    return Request("POST", "/crm/v8/Leads/actions/mass_convert", {}, {}, b"{}")


# --- which calls ------------------------------------------------------------------------------------------


def test_a_rule_strikes_only_its_method_and_a_star_all_but_the_tokens() -> None:
    crm = Crm(faults=[fault("status", "GET Leads", status=500), fault("status", "*", status=503)])
    assert crm.read(crm.ids[:1]).status == 500
    assert crm.call("GET", "/crm/v8/org").status == 503
    assert crm.post(crm.ids[:1]).status == 503
    assert crm.ask_token().status == 200
    crm.organisation.set_faults([fault("status", "POST token", status=500)])
    assert crm.ask_token().status == 500


def test_skip_and_times_choose_the_calls() -> None:
    crm = Crm(faults=[fault("status", "GET Leads", status=500, skip=2, times=3)])
    answers = [crm.read(crm.ids[:1]).status for _ in range(8)]
    assert answers == [200, 200, 500, 500, 500, 200, 200, 200]


def test_rate_is_a_probability_and_the_seed_decides() -> None:
    def strikes() -> int:
        faults = Faults([fault("status", "GET Leads", status=500, rate=0.2)], Random(3))
        return sum(faults.on_call("GET Leads", ()).before is not None for _ in range(1000))

    assert 150 < strikes() < 250
    assert strikes() == strikes()


def test_a_rule_may_want_one_of_its_leads_in_the_call() -> None:
    crm = Crm()
    crm.organisation.set_faults([fault("status", "*", status=500, ids=[crm.ids[1]])])
    assert crm.post(crm.ids[:1]).status == 200
    assert crm.post([int(lead) for lead in crm.ids[1:3]]).status == 500
    assert crm.read(crm.ids[:2]).status == 500
    assert crm.read(crm.ids[2:4]).status == 200


def test_the_first_rule_that_answers_wins_and_the_others_do_not_fire() -> None:
    crm = Crm(faults=[fault("status", status=500, name="first"), fault("status", status=503, name="second")])
    assert crm.post(crm.ids[:1]).status == 500
    assert crm.organisation.fired() == {"first": 1}


def test_a_call_over_a_limit_draws_no_fault() -> None:
    crm = Crm(faults=[fault("status", status=500)], concurrency=0)
    assert crm.post(crm.ids[:1]).status == 429
    assert crm.organisation.fired() == {}


def test_each_rule_tells_how_often_it_has_fired() -> None:
    crm = Crm(faults=[fault("status", status=500, when="after", times=1), fault("job_fails")])
    crm.post(crm.ids[:1])
    crm.post(crm.ids[1:2])
    assert crm.organisation.fired() == {"1 POST mass_convert after status 500": 1, "2 POST mass_convert job_fails": 2}
    assert [rule["fired"] for rule in crm.organisation.faults()] == [1, 2]
    crm.organisation.set_faults([])
    assert crm.organisation.faults() == []


# --- jobs -------------------------------------------------------------------------------------------------


def test_a_job_may_fail_wholly() -> None:
    crm = Crm(job_seconds=0, faults=[fault("job_fails")])
    status = crm.status(crm.job_of(crm.ids[:3]))
    assert (status["Status"], status["Converted_Count"], status["Failed_Count"]) == ("FAILED", 0, 3)
    assert not any(known["converted"] for known in crm.organisation.truth().values())


@pytest.mark.parametrize(("do", "word"), [("job_partial", "COMPLETED"), ("job_fails", "FAILED")])
def test_a_job_may_leave_out_some_leads(do: str, word: str) -> None:
    crm = Crm(job_seconds=0, faults=[fault(do, leads=2, times=1)])
    status = crm.status(crm.job_of(crm.ids[:5]))
    assert (status["Status"], status["Converted_Count"], status["Failed_Count"]) == (word, 3, 2)
    assert sum(known["converted"] for known in crm.organisation.truth().values()) == 3


def test_a_job_may_leave_out_certain_leads() -> None:
    crm = Crm(job_seconds=0)
    crm.organisation.set_faults([fault("job_partial", ids=[crm.ids[1], crm.ids[9]])])
    assert crm.status(crm.job_of(crm.ids[:3]))["Converted_Count"] == 2
    assert not crm.organisation.truth()[crm.ids[1]]["converted"]
    assert crm.status(crm.job_of(crm.ids[3:6]))["Converted_Count"] == 3


def test_a_job_may_never_end() -> None:
    crm = Crm(faults=[fault("job_never_ends")])
    job = crm.job_of(crm.ids[:1])
    crm.clock.now += 1e6
    crm.token = ""
    assert crm.status(job)["Status"] == "IN PROGRESS"
    assert crm.organisation.next_job_end() is None


def test_a_job_may_be_slow() -> None:
    crm = Crm(job_seconds=1, faults=[fault("job_slow", seconds=60)])
    start = crm.clock.now
    crm.job_of(crm.ids[:1])
    assert crm.organisation.next_job_end() == start + 61


def test_a_job_may_be_unknown_for_a_while_or_for_ever_and_converts_all_the_same() -> None:
    crm = Crm(faults=[fault("job_unknown", seconds=20, times=1), fault("job_unknown", skip=1)])
    lag, forgotten = crm.job_of(crm.ids[:1]), crm.job_of(crm.ids[1:2])
    path = "/crm/v8/Leads/actions/mass_convert"
    crm.organisation.set_faults([])
    assert code(crm.call("GET", path, {"job_id": lag})) == (400, "INVALID_DATA")
    crm.clock.now += 20
    assert crm.status(lag)["Status"] == "COMPLETED"
    assert code(crm.call("GET", path, {"job_id": forgotten})) == (400, "INVALID_DATA")
    assert crm.organisation.truth()[crm.ids[1]]["converted"]


def test_a_refused_payload_draws_no_job_fault() -> None:
    crm = Crm(1, unknown=1, faults=[fault("job_fails")])
    crm.post(crm.ids)
    assert crm.organisation.fired() == {}


# --- the grammar ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("status", "must be a list of rules"),
        ({"rules": []}, "must be a list of rules"),
        ([3], "fault rule 1 is not an object"),
        ([fault("reset"), fault("explode")], "fault rule 2: 'do' must be one of status, garbage, .*not 'explode'"),
        ([{"do": "reset"}], r"fault rule 1 \(reset\): 'method' is missing"),
        ([fault("reset", "POST massconvert")], "'method' must be one of POST mass_convert, .*not 'POST massconvert'"),
        ([fault("status")], "'status' is missing"),
        ([fault("status", status="500")], "'status' must be an HTTP status from 200 to 599, not '500'"),
        ([fault("hang")], "'seconds' is missing"),
        ([fault("hang", seconds=-1)], "'seconds' must be seconds"),
        ([fault("hang", seconds=float("nan"))], "'seconds' must be seconds"),
        ([fault("reset", tims=2)], "unknown key 'tims'; it may have .*times"),
        ([fault("reset", seconds=2)], "unknown key 'seconds'"),
        ([fault("reset", times=True)], "'times' must be a count"),
        ([fault("reset", rate=5)], "'rate' must be between 0 and 1"),
        ([fault("reset", when="during")], "'when' must be before or after"),
        ([fault("cut", when="before")], "'when' means nothing"),
        ([fault("job_fails", when="after")], "'when' means nothing"),
        ([fault("job_fails", "GET Leads")], "'method' must be 'POST mass_convert'"),
        ([fault("stale", seconds=1)], "'method' must be 'GET Leads'"),
        ([fault("hides", ids=["1"])], "'method' must be 'GET Leads'"),
        ([fault("blanks", "GET Leads")], "'ids' is missing"),
        ([fault("job_partial")], "'leads' .*or 'ids'"),
        ([fault("reset", ids=[7])], "'ids' must be a list of lead ids, as text"),
        ([fault("reset", "GET users", ids=["7"])], "name no leads"),
        ([fault("reset", name="a"), fault("drop", name="a")], "two fault rules have the name 'a'"),
        ([fault("status", status=500, headers={"A": "b\nc"})], "'headers' must be"),
    ],
)
def test_a_wrong_script_is_refused_with_the_rule_and_the_reason(script: Any, complaint: str) -> None:
    with pytest.raises(SimulatorError, match=complaint):
        Faults(script)
    crm = Crm(faults=[fault("status", status=500)])
    with pytest.raises(SimulatorError, match=complaint):
        crm.organisation.set_faults(script)
    assert crm.post(crm.ids[:1]).status == 500  # the old one is kept


def test_a_script_may_be_an_object_with_its_rules_under_faults() -> None:
    assert len(Faults({"faults": [fault("reset")]}).report()) == 1


def test_a_file_that_is_no_script_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "faults.json"
    with pytest.raises(SimulatorError, match=r"faults\.json cannot be read: No such file"):
        read_script(path)
    path.write_text("[{")
    with pytest.raises(SimulatorError, match=r"faults\.json is not JSON"):
        read_script(path)
    path.write_text('[{"method": "GET Leads", "do": "reset"}]')
    assert Faults(read_script(path)).report()[0]["fired"] == 0
