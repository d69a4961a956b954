"""The organisation at work: pause and gate, workers and beat, what waits and what is stuck."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.site import Site
from massconvert.ledger import Backlog, Member, Workers
from massconvert.ledger.backlog import LatePayload
from massconvert.ledger.fleet import BEAT
from massconvert.model import Pause
from massconvert.policy import HoldKind
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.zoho.standing import Standing, read_standing

#: A chunk is stuck when its next step is overdue for so long, in seconds: the sweep and a busy fleet take less.
STUCK_AFTER = 120.0
#: A job without an end for so long is worth a word, in seconds; it is watched on.
LONG_JOB = 3600.0
#: How many stuck chunks are named.
NAMED = 5

_START = "Start one: massconvert worker"
_HELD = {
    HoldKind.OUTAGE: "See https://status.zoho.com; it goes on by itself, and nothing is lost.",
    HoldKind.ASKED: "A call every few minutes finds out. To call at once: {resume}",
    HoldKind.CREDITS: "They come back within a day; see MASSCONVERT_CREDITS_RESERVE, and what else uses them.",
}


def held_hint(kind: HoldKind, account: str) -> str:
    """What a person does while all calls of an account are held."""
    return _HELD[kind].format(resume=next_command("resume", account=account))


def refused_hint(calls: Standing) -> str:
    """What a 429 to a call that went alone may be about; blank where more than one call goes."""
    if not calls.none_passes:
        return ""
    return (
        "Zoho refuses single calls, too: the day's API credits may be used up, or another client takes all calls. "
        "The CRM's Setup shows how many are left; one call a minute finds out when it ends."
    )


def check_organisation(site: Site) -> Iterator[Finding]:
    """Whether it is paused, and whether calls may be made."""
    paused = site.ledger.organisation.paused()
    if paused and paused.code:
        yield wrong("pause", f"Zoho has stopped the work: {paused.code}: {paused.reason}", paused.hint)
    elif paused:
        by = f" by {paused.by}" if paused.by else ""
        yield warning("pause", f"The organisation is paused{by}. {paused.reason}".rstrip(), paused.hint)
    else:
        yield ok("pause", "The organisation is not paused.")
    standing = read_standing(site.redis, site.keys, site.clock, site.settings.zoho_concurrency)
    yield from _calls(standing, site.settings.account)


def check_fleet(site: Site) -> Iterator[Finding]:
    """Whether workers and beat live, and whether the workers take anything."""
    now = site.clock.now()
    members = site.ledger.fleet.members(now=now)
    yield from _workers(Workers.among(members, now), site.ledger.backlog(now=now, grace=STUCK_AFTER))
    yield from _beats([member for member in members if member.role == BEAT], now)


def check_backlog(site: Site) -> Iterator[Finding]:
    """How much waits, and which chunks are stuck."""
    now = site.clock.now()
    backlog = site.ledger.backlog(now=now, grace=STUCK_AFTER)
    waiting = number_of(backlog.leads_waiting, "lead waits", "leads wait")
    leads = f"{waiting} to be sent, {number_of(backlog.chunks, 'payload is', 'payloads are')} under way"
    if backlog.ready_for > STUCK_AFTER:
        what = f"{leads}; the oldest could have gone {span(backlog.ready_for)} ago."
        yield warning("queues", what, "See workers, pause and gate; if all are well, start more workers.")
    else:
        yield ok("queues", f"{leads}.")
    for late in backlog.late[:NAMED]:
        yield _stuck(late, site.ledger.organisation.paused())
    if len(backlog.late) > NAMED:
        more = number_of(len(backlog.late) - NAMED, "more payload is", "more payloads are")
        yield warning("stuck", f"{more} stuck.", "As above.")
    if backlog.overdue:
        more = ", …" if backlog.overdue > len(backlog.overdue_jobs) else ""
        jobs = number_of(backlog.overdue, "job has no end by its deadline", "jobs have no end by their deadline")
        what = f"{jobs}: {', '.join(backlog.overdue_jobs)}{more}."
        yield warning(
            "jobs", what, "They are watched on and take no room from others; ask Zoho's support with these ids."
        )
    elif backlog.oldest_job_for > LONG_JOB:
        what = f"Zoho has worked on job {backlog.oldest_job} for {span(backlog.oldest_job_for)}."
        yield warning("jobs", what, "It is watched on; ask Zoho's support with this job id if it does not end.")


def check_calls(site: Site) -> Iterator[Finding]:
    """Whether those who want to know of finished batches have been told."""
    failing = site.ledger.callbacks.failing()
    for call_id, (tries, why) in list(failing.items())[:NAMED]:
        batch = call_id.partition(":")[2]
        what = f"Batch {batch} has finished, but {number_of(tries, 'call')} about it failed: {why}."
        yield warning("callbacks", what, _fix_of_call(why, site.settings.account))
    given_up = list(_given_up(site))
    yield from given_up
    if not failing and not given_up:
        yield ok("callbacks", "No call about a finished batch has failed.")


def _given_up(site: Site) -> Iterator[Finding]:
    """Of the latest batches: calls that are not made again."""
    for status in site.ledger.batches.recent():
        for call in site.ledger.callbacks.failed_of(status.batch):
            if not call.again:
                what = f"Batch {status.batch} has finished, but {call.place} was not told: {call.why}."
                test = next_command("webhook test", "URL", account=site.settings.account)
                look = next_command("status", status.batch, account=site.settings.account)
                yield warning(
                    "callbacks",
                    what,
                    f"It is not called again; read the outcomes: {look}. For the next batch, put right what it says; "
                    f"to try a web hook: {test}",
                )


def _fix_of_call(why: str, account: str) -> str:
    if "MASSCONVERT_WEBHOOK_SECRET is not set" in why:
        return "Set MASSCONVERT_WEBHOOK_SECRET on the workers and restart them; it is called again for a day."
    test = next_command("webhook test", "URL", account=account)
    return f"See whom its on_complete names; it is called again for a day. To try a web hook: {test}"


def span(seconds: float) -> str:
    """A span of time in words."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"


def _calls(calls: Standing, account: str) -> Iterator[Finding]:
    if calls.hold:
        what = f"All calls are held: {calls.hold.why}; one call finds out in {span(calls.hold.next_probe)}."
        yield wrong("calls", what, held_hint(calls.hold.kind, account))
    if calls.gate_for > 0:
        fix = refused_hint(calls) or "It opens by itself; see what else calls this organisation's API."
        yield warning("calls", f"No calls for another {span(calls.gate_for)}: {calls.gate_why}.", fix)
    elif calls.none_passes:
        yield warning("calls", "Zoho answered 429 to a call that went alone.", refused_hint(calls))
    if calls.learnt < calls.limit and not calls.none_passes:
        what = f"Only {calls.learnt} of {calls.limit} calls run at once, since Zoho answered 429 to more."
        yield warning("calls", what, "Another client of this organisation takes a share; it is tried again by itself.")
    left = "" if calls.credits_left is None else f"; {calls.credits_left:,} of the day's API credits are left"
    if not calls.hold and not calls.gate_for:
        yield ok("calls", f"Calls may be made{left}.")


def _workers(workers: Workers, backlog: Backlog) -> Iterator[Finding]:
    if not workers.alive:
        last = "" if workers.seen_ago is None else f"; the last was seen {span(workers.seen_ago)} ago"
        yield wrong("workers", f"No worker runs{last}.", _START)
        return
    for worker in workers.alive:
        if worker.trouble:
            yield warning("workers", f"{worker.name}: {worker.trouble}.", "Restart this worker; docs/health.md.")
    number = len(workers.alive)
    took = "none has taken anything yet"
    if workers.took_ago is not None:
        took = f"the last took something {span(workers.took_ago)} ago"
    names = number_of(number, "worker is alive", "workers are alive")
    if workers.idle_for > STUCK_AFTER and (backlog.late or backlog.ready_for > STUCK_AFTER):
        yield wrong("workers", f"{names}, but {took}, although work waits.", "Restart them; docs/health.md.")
    else:
        yield ok("workers", f"{names}; {took}.")
    versions = sorted({worker.version for worker in workers.alive})
    if len(versions) > 1:
        what = f"Workers of several versions run: {', '.join(versions)}."
        yield warning("workers", what, "Fine while you deploy; otherwise deploy one version everywhere.")


def _beats(beats: Sequence[Member], now: float) -> Iterator[Finding]:
    alive = [beat for beat in beats if beat.alive(now)]
    if alive:
        yield ok("beat", f"Beat ticked {span(now - alive[0].seen_at)} ago.")
    elif beats:
        what = f"Beat has not ticked for {span(now - beats[0].seen_at)}: nothing that is scheduled runs."
        yield warning("beat", what, "Start it again: massconvert beat")
    else:
        yield ok("beat", "No beat runs; only schedules need one.")


def _stuck(late: LatePayload, paused: Pause | None) -> Finding:
    why = "the organisation is paused" if paused else "no worker took it"
    tried = f", after {number_of(late.outages, 'call')} without a usable answer" if late.outages else ""
    job = f" (job {late.job_id})" if late.job_id else ""
    what = f"Payload {late.chunk_id}{job}, {late.state.value}, is overdue by {span(late.overdue)}: {why}{tried}."
    return warning("stuck", what, paused.hint if paused else "See workers and broker above.")
