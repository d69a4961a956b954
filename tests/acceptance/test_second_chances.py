"""Retry, cancel and --last, as people use them: real commands, a real Redis, real workers, real HTTP."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.acceptance.house import OPTIONS, House

pytestmark = pytest.mark.acceptance


@pytest.fixture
def at_work(house: House) -> House:
    """A house with a Redis, a Zoho of 60 leads and a worker; its options are wrong in one place, and fixed beside."""
    house.redis()
    house.simulator("--leads", "60", "--job-seconds", "0.2")
    house.worker()
    wrong = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Stage": "No such stage"}}
    (house.folder / "wrong.json").write_text(json.dumps(wrong))
    (house.folder / "fixed.json").write_text(json.dumps(OPTIONS))
    (house.folder / "leads.txt").write_text("\n".join(house.leads()))
    return house


def outcomes(house: House, batch: str) -> Counter[str | None]:
    done = house.command("report", batch, "--format", "jsonl")
    return Counter(json.loads(line)["outcome"] for line in done.stdout.splitlines())


def test_what_failed_for_wrong_options_is_converted_by_a_retry_with_fixed_ones(at_work: House) -> None:
    """Every lead once, although the retry is given twice. The shop that enqueues has no credentials to check with."""
    credentials = {name: at_work.environment.pop(name) for name in list(at_work.environment) if "REFRESH" in name}
    failed = at_work.command("enqueue", "leads.txt", "--options", "wrong.json", "--key", "k", "--wait")
    assert failed.returncode == 1, failed.stderr
    assert "massconvert retry k" in failed.stderr
    at_work.environment.update(credentials)
    unmended = at_work.command("retry", "k", "--options", "wrong.json")
    assert (unmended.returncode, unmended.stdout) == (2, "")
    assert "$.Deals.Stage" in unmended.stderr
    done = at_work.command("retry", "--last", "--options", "fixed.json", "--wait", "--json")
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)
    assert (made["accepted"], made["retries"]) == (60, "k")
    again = at_work.command("retry", "k", "--options", "fixed.json")
    assert again.returncode == 0
    assert f"Batch {made['batch']} has retried these leads before; it is finished." in again.stdout
    assert outcomes(at_work, "k") == {"failed": 60}
    assert outcomes(at_work, made["batch"]) == {"converted": 60}
    assert all(lead["conversions"] == 1 for lead in at_work.truth().values())


def test_a_cancelled_batch_converts_nothing_that_was_not_sent(at_work: House) -> None:
    """Paused, so that nothing has been sent; the workers end the leads although they may not call."""
    at_work.command("pause")
    at_work.command("enqueue", "leads.txt", "--options", "fixed.json", "--key", "k")
    done = at_work.command("cancel", "--last", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"batch": "k", "cancelled": 60, "followed": 0}
    watched = at_work.command("status", "--last", "--watch", "--json", timeout=60)
    assert watched.returncode == 1
    assert json.loads(watched.stdout.splitlines()[-1])["state"] == "cancelled"
    at_work.command("resume")
    assert "was cancelled before" in at_work.command("cancel", "k").stdout
    assert outcomes(at_work, "k") == {"cancelled": 60}
    assert at_work.calls("POST mass_convert") == 0
    # Not the last word about these leads: enqueued anew, they are converted.
    assert at_work.command("enqueue", "leads.txt", "--options", "fixed.json", "--wait").returncode == 0


def test_what_has_been_sent_is_followed_although_it_is_cancelled(at_work: House) -> None:
    """A job at Zoho cannot be called back: its leads end as what Zoho made of them."""
    at_work.command("enqueue", "leads.txt", "--options", "fixed.json", "--key", "k", "--wait", "0.5")
    done = at_work.command("cancel", "k", "--json")
    assert done.returncode == 0, done.stderr
    at_work.command("status", "k", "--watch")
    found, truth = outcomes(at_work, "k"), at_work.truth()
    assert found["converted"] == sum(lead["converted"] for lead in truth.values())
    assert sum(found.values()) == 60


def test_a_paused_batch_waits_while_others_go_on_and_a_watch_says_why(at_work: House) -> None:
    leads = at_work.leads()
    options = ("--options", "fixed.json")
    at_work.command("pause")  # so that nothing of the batch goes out before it is paused itself
    at_work.command("enqueue", *leads[:30], *options, "--key", "k")
    assert "Batch k is paused" in at_work.command("pause", "--last").stdout
    at_work.command("resume")
    assert at_work.command("enqueue", *leads[30:], *options, "--wait").returncode == 0
    waited = at_work.command("enqueue", leads[0], *options, "--key", "k", "--wait", "2")
    assert waited.returncode == 4
    assert "massconvert resume k" in waited.stderr
    assert outcomes(at_work, "k") == {None: 30}
    assert at_work.command("resume", "k").stdout == "Batch k goes on.\n"
    assert at_work.command("status", "k", "--watch").returncode == 0
    assert all(lead["conversions"] == 1 for lead in at_work.truth().values())


def deals(house: House) -> Counter[str]:
    """What the deals are called, but for the numbers of their leads."""
    return Counter(lead["deal"]["Deal_Name"].partition(" ")[0] for lead in house.truth().values())


def test_deals_that_could_not_be_updated_are_updated_by_a_retry_and_nothing_is_converted_again(at_work: House) -> None:
    """The scope to edit deals is missing at first; then Zoho refuses the values; then both are fixed."""
    named = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": "{Company} {Last_Name}"}}
    long = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Deal_Name": "{Company} " + "x" * 120}}
    for name, options in (("named.json", named), ("long.json", long)):
        (at_work.folder / name).write_text(json.dumps(options))
    no_scope = {"status": 401, "code": "OAUTH_SCOPE_MISMATCH", "message": "invalid oauth scope"}
    at_work.set_faults({"method": "PUT Deals", "do": "status", **no_scope})
    done = at_work.command("enqueue", "leads.txt", "--options", "named.json", "--key", "k", "--wait")
    assert done.returncode == 1, done.stderr
    assert "massconvert retry k --deals" in done.stderr
    assert deals(at_work) == {"Deal": 60}
    refused = {"status": 400, "code": "INVALID_DATA", "message": "invalid data"}
    at_work.set_faults({"method": "PUT Deals", "do": "status", **refused})
    before = at_work.calls("POST mass_convert")
    in_vain = at_work.command("retry", "k", "--deals", "--options", "long.json", "--wait", "--json")
    assert in_vain.returncode == 1, in_vain.stderr
    made = json.loads(in_vain.stdout)
    assert (made["accepted"], made["retries"]) == (60, "k")
    counts = json.loads(at_work.command("status", made["batch"], "--json").stdout)
    assert (counts["converted"], counts["deals_not_updated"]) == (60, 60)
    at_work.set_faults()
    fixed = at_work.command("retry", made["batch"], "--deals", "--options", "named.json", "--wait")
    assert fixed.returncode == 0, fixed.stderr
    assert deals(at_work) == {"Company": 60}
    again = at_work.command("retry", made["batch"], "--deals", "--options", "named.json")
    assert "has retried these leads before" in again.stdout
    assert outcomes(at_work, "k") == outcomes(at_work, made["batch"]) == {"converted": 60}
    assert at_work.calls("POST mass_convert") == before
    assert all(lead["conversions"] == 1 for lead in at_work.truth().values())
