"""What a history is made of: who takes part, what goes wrong, how often, and when. Frozen values; see `draw`."""

from __future__ import annotations

from dataclasses import dataclass, field

from massconvert.model import Link
from massconvert.policy import CallRules, Tuning
from tests.simulation.customers import RecordPlan
from tests.simulation.world import Mishaps

#: How many themes there are (themes.py): so many histories in a row have each of them once.
ROUND = 27
#: The product's numbers, some of them shorter, so that a day of trouble is twenty minutes.
TUNING = Tuning(
    job_deadline=300.0,
    overdue_pace=200.0,
    give_up=1200.0,
    token_patience=300.0,
    pause_probe=60.0,
    enqueue_idle=300.0,
    clock_skew=30.0,
    trial=300.0,
    trial_pace=10.0,
    trial_pace_cap=60.0,
)
GOOD_STAGES = ("Qualification", "Needs Analysis")
WRONG_STAGE = "Gone"
CALLS = (
    "mass_convert",
    "job_status",
    "read_leads",
    "update_deals",
    "read_page",
    "coql",
    "search",
    "records",
    "convert",
)
#: Users by their e-mail address, on two pages, and one that there is not.
USERS = ({"ann@example.com": "501"}, {"bob@example.com": "502"})
NOBODY = "nobody@example.com"


@dataclass(frozen=True)
class StoreFaults:
    """How often Redis fails at a command, and times (start, seconds) in which it does not answer at all, or is full.

    ``refused`` is how often it says that it does nothing for now, which is said before the effect.
    """

    before: float = 0.0
    after: float = 0.0
    away: tuple[float, float] | None = None
    full: tuple[float, float] | None = None
    refused: float = 0.0
    forgets: tuple[float, ...] = ()  # times at which it loses what it acknowledged last
    replicas: int = 0
    too_few: float = 0.0  # how often a replica does not have in time what a WAIT is about
    goes_on: bool = False  # whether the old primary goes on for some seconds, and some with it


@dataclass(frozen=True)
class Window:
    """A time in which the named calls all answer in one way."""

    start: float
    length: float
    calls: tuple[str, ...]
    kind: str


@dataclass(frozen=True)
class Neighbour:
    """Another client of the organisation, which makes so many calls at once for a time."""

    start: float
    length: float
    calls: int


@dataclass(frozen=True)
class Faults:
    """What goes wrong at Zoho: ``shares`` are probabilities at each call, by kind (see `Crm`)."""

    shares: tuple[tuple[str, float], ...] = ()
    windows: tuple[Window, ...] = ()
    bad_job: float = 0.0
    denied: bool = False  # and what is the matter with such a job is that Zoho never knows it
    read_lag: float = 0.0
    lower_limit: int = 0
    names: str = "all"  # which bad ids a refusal names: all, first, none; counted: they are taken, and fail in the job
    options_first: bool = False  # whether Zoho looks at the options before it looks at the ids
    clock_ahead: float = 0.0  # Zoho's clock against ours
    neighbours: tuple[Neighbour, ...] = ()
    credits: int = 0  # of a rolling day (`crm.DAY`); 0: without end
    jobs: tuple[float, float] = (0.5, 3.0)  # seconds of a job of normal speed, which the wait before a look must cover
    slow_tokens: float = 0.0  # probability that a token, a connection for a payload, or an answer takes long
    slow_sends: float = 0.0
    slow_answers: float = 0.0
    later: float = 0.0  # how often the conversion of a single lead becomes a job


@dataclass(frozen=True)
class MessageFaults:
    """What happens to messages, each a probability; ``broker`` is how often sending one fails, before or after it left.

    ``wiped`` are times at which all messages that the broker holds are deleted.
    """

    lost: float = 0.0
    doubled: float = 0.0
    delayed: float = 0.0
    broker: float = 0.0
    wiped: tuple[float, ...] = ()


@dataclass(frozen=True)
class CallFaults:
    """How calls about finished batches fail, each a probability: nobody hears one, or who heard it does not say so.

    ``slow`` ones take up to minutes, longer than the caller's lease.
    """

    deaf: float = 0.0
    silent: float = 0.0
    slow: float = 0.0


@dataclass(frozen=True)
class LeadPlan:
    """A lead, and what it is: fine, missing, stubborn, locked, refused, converted, or converted by hand (at a time).

    Or it is *odd*: Zoho refuses it with a code that nobody knows, and without naming it. Or it *chokes* each POST (HTTP
    500), or *spoils* each job, which then converts nobody. Or it *vanishes* from reads when it is converted, or is
    *blank*: reads do not say whether it is converted (until a time, where it has one).
    Or it is *fussy*: its deal cannot be updated (until a time, where it has one); *nameless*: the field that would name
    its deal is empty. Or Zoho does not let it be linked (*unlinkable*), though nobody can see why.

    ``email``, ``name`` and ``company`` are those of a customer, where they matter.
    """

    id: str
    kind: str = "fine"
    at: float = 0.0
    email: str = ""
    name: str = ""
    company: str = ""


@dataclass(frozen=True)
class Find:
    """A run of a profile instead of a producer: its leads are found. ``wrong``: Zoho refuses its criteria."""

    profile: str
    slot: str
    search: bool = False
    max_leads: int | None = None
    wrong: bool = False


@dataclass(frozen=True)
class Order:
    """What one producer enqueues, or what a run finds: then each of its times is a beat's message.

    ``again``: calls more with the same key; ``abandoned``: dies and never comes back.
    """

    batch: str
    leads: tuple[str, ...]
    stage: str
    at: float
    again: tuple[float, ...] = ()
    abandoned: int = 0  # after so many slices
    invalid: tuple[str, ...] = ()
    slow: float = 0.0  # seconds between two slices: its ids come from somewhere slow
    cancel_at: tuple[float, ...] = ()
    assignee: str = ""  # to whom the leads go, by name
    find: Find | None = None
    holds: tuple[tuple[float, float], ...] = ()  # a person pauses this batch and, so many seconds later, resumes it
    preflight: bool = False
    on_match: str = "create"
    named: bool = False  # its deals are named after the leads
    amounts: bool = False  # some of its leads bring an amount for their deals
    links: tuple[tuple[str, Link], ...] = ()  # some of its leads say what they are to be linked to
    deals_again: tuple[float, ...] = ()  # a person has the deals that were not updated tried again
    canary: int = 0
    canary_max_failed: float | None = None
    calls: int = 0  # how many want to know when it has finished
    mailed: bool = False  # it comes as a message, which the broker does not lose

    @property
    def given(self) -> dict[str, Link]:
        """What its leads say that they are to be linked to."""
        return {lead: link for lead, link in self.links if lead in self.leads}

    def link_of(self, lead_id: str) -> Link | None:
        """The same of one lead."""
        return self.given.get(lead_id)

    def amount_of(self, lead_id: str) -> int | None:
        """What a lead of it brings for its deal."""
        return int(lead_id[-4:]) if self.amounts and lead_id in self.leads and int(lead_id) % 3 else None


@dataclass(frozen=True)
class Plan:
    """A history before it is played."""

    seed: int
    themes: tuple[str, ...]
    workers: int
    permits: int
    tuning: Tuning
    rules: CallRules
    slice: int  # leads a slice of an enqueue
    leads: tuple[LeadPlan, ...]
    orders: tuple[Order, ...]
    records: tuple[RecordPlan, ...] = ()
    mishaps: Mishaps = field(default_factory=Mishaps)
    messages: MessageFaults = field(default_factory=MessageFaults)
    store: StoreFaults = field(default_factory=StoreFaults)
    faults: Faults = field(default_factory=Faults)
    calls: CallFaults = field(default_factory=CallFaults)
    stage_removed_at: float = -1.0  # from then on Zoho knows the first good stage no more
    stage_restored_at: float = -1.0  # and from then on it does again
    pauses: tuple[tuple[float, float], ...] = ()  # a person pauses and, so many seconds later, resumes
    stop_at: tuple[str, int] = (
        "",
        0,
    )  # and when somebody comes to this point for the n-th time; or the first batch alone
    stop_batch: bool = False

    @property
    def round(self) -> int:
        """For which time its theme has its turn: what rotates does so by this, however few histories run."""
        return self.seed // ROUND

    @property
    def keeps(self) -> bool:
        """Whether nothing that was acknowledged is lost in a failover: all replicas are waited for."""
        return self.store.replicas > 0 and self.tuning.min_replicas is None
