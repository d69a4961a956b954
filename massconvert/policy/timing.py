"""The numbers of the pipeline, and what a decision may depend on in addition to the chunk and the answer."""

from __future__ import annotations

from dataclasses import dataclass

from massconvert.contract import MAX_LEADS_A_CALL
from massconvert.policy.polling import SCOUT_FIRST, Look


@dataclass(frozen=True)
class Tuning:
    """The numbers of the pipeline; times in seconds. The defaults are the product's."""

    max_leads: int = MAX_LEADS_A_CALL
    linger: float = 2.0
    at_once: bool = True  # a lead into an inbox that was quiet for two lingers waits for no company
    window: int = 20  # chunks waiting to be sent
    max_jobs: int = 200  # chunks that Zoho works on, or that wait for a look
    express: int = 4  # chunks with interactive leads that may exceed both bounds
    lease: float = 75.0  # longer than the wait for a permit and a token refresh; and than `send_within` and a call
    send_within: float = 15.0  # seconds after its write-ahead, after which nothing of a payload leaves any more
    backoff_base: float = 1.0
    backoff_cap: float = 300.0
    probe_backoff_cap: float = 20.0  # of a chunk whose call was a probe: the hold sets the pace, not the chunk
    first_look: float = 2.0  # again at leads or a job that Zoho does not know yet, while nothing is learnt of jobs
    scout_first: float = SCOUT_FIRST  # until the first look at the first job of all
    poll_cap: float = 60.0
    job_wait: float = 60.0  # before a look at a lost answer, while nothing is learnt
    job_deadline: float = 3600.0
    overdue_pace: float = 600.0
    status_lag: float = 60.0  # how long after acceptance Zoho may not know a job yet
    read_lag: float = 5.0  # how long a read may show a lead as it was before Zoho converted it
    read_lags: int = 5
    unclear_looks: int = 10  # at a lead of which reads do not say whether it is converted
    max_attempts: int = 3
    refusals_to_blame: int = 8  # of single leads, for one unexplained reason, speak against options never accepted
    trial: float = 3600.0  # for so long one payload whose jobs fail is split though nobody fares better
    trial_pace: float = 60.0  # between two splits of payloads without an answer, likewise; doubled each time
    trial_pace_cap: float = 1800.0
    give_up: float = 86_400.0
    token_patience: float = 3600.0  # without a usable access token, before a person is needed
    pause_probe: float = 300.0  # while paused, one call per this many seconds finds out whether it still must be
    clock_skew: float = 300.0  # between Zoho's clock and ours, when two of their times are compared
    retention: float = 30 * 86_400.0
    enqueue_idle: float = 900.0  # an enqueue that added nothing for so long has been abandoned
    events: int | None = None  # how many ended leads are kept on the stream; 0: none, None: as it was
    doubt: float = 86_400.0  # after a break of Redis' history; what is enqueued meanwhile is read before it is sent
    match_fresh: float = 300.0  # so long what was matched may be sent; then contacts and accounts are looked for again
    min_replicas: int | None = None  # that must have what is acknowledged, or sent; ``None``: all that are attached
    replicas_wait: float = 5.0  # before another try at a payload whose mark too few replicas have
    profile_failures: int = 3  # runs of a profile in a row that fail wholly stop its schedule; 0: none do
    sweep_grace: float = 15.0  # how late a message may be before the sweep sends another


@dataclass(frozen=True)
class Moment:
    """What a decision may depend on in addition to the chunk and the answer.

    ``chance`` is uniform in [0, 1). ``look`` is what was learnt of jobs of this size, ``job_p99`` a learnt job time in
    seconds, ``None`` while too few jobs were seen. ``probe``: the call was the one probe of a hold. ``idle``: no
    payload waits to be made, so that a look more takes nobody's call.
    """

    now: float
    chance: float
    tuning: Tuning
    look: Look | None = None
    job_p99: float | None = None
    probe: bool = False
    idle: bool = False

    def backoff(self, failures: int) -> float:
        """Exponential backoff with full jitter, capped; never less than a tenth of its ceiling.

        Full jitter after Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015); the floor keeps
        a lucky draw from hammering.
        """
        cap = self.tuning.probe_backoff_cap if self.probe else self.tuning.backoff_cap
        ceiling = min(cap, self.tuning.backoff_base * 2.0 ** min(max(failures - 1, 0), 30))
        return ceiling * (0.1 + 0.9 * self.chance)

    def within_a_look(self, seconds: float | None) -> float:
        """``seconds`` that were asked for, bounded: whether calls may be made is not for the chunk to say."""
        return min(seconds or 0.0, self.tuning.poll_cap)

    def next_try(self, outages: int, retry_after: float | None) -> float:
        """In how many seconds to try again after the last of ``outages`` tries without a usable answer."""
        return max(self.backoff(outages), self.within_a_look(retry_after))

    def after_a_429(self, outages: int, retry_after: float | None) -> float:
        """The same after a 429: never sooner than Zoho says, and not all at once."""
        wait = self.backoff(outages + 1) if retry_after is None else self.within_a_look(retry_after)
        return wait * (1.0 + 0.5 * self.chance)

    @property
    def job_wait(self) -> float:
        """How long a job that was accepted now would take to end, almost surely, and a read to show it."""
        return self.tuning.job_wait if self.job_p99 is None else 1.5 * self.job_p99 + 1.0 + self.tuning.read_lag

    def next_look(self, polls: int) -> float:
        """In how many seconds to ask again what Zoho does not show yet, for the ``polls + 1``-th time."""
        first = self.tuning.first_look if self.look is None or self.look.scout else self.look.seconds
        growth = 1.0 if polls == 0 else 0.5 * 1.5 ** min(polls, 20)
        return min(self.tuning.poll_cap, first * growth * (1.0 + 0.1 * self.chance))
