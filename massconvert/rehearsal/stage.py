"""What a question works with: the records, the calls, and what earlier questions have found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from massconvert.model import Call
from massconvert.rehearsal.cast import Cast
from massconvert.rehearsal.wire import LEADS, MASS_CONVERT, Answer, Wire
from massconvert.zoho.client import STATE_FIELDS
from massconvert.zoho.values import id_of, word_of

#: When a job is asked for, in seconds after its acceptance; then every half minute, up to this long.
LOOKS = (0.0, 0.5, 1.0, 2.0, 3.0, 5.0, 8.0, 13.0, 21.0, 34.0, 55.0)
LONGEST = 180.0
#: Reads are compared with a job's counts after these further seconds.
READ_ON = (1.0, 2.0, 4.0, 8.0, 15.0)
_ENDS = ("completed", "failed")


@dataclass
class JobSeen:
    """A job as its looks showed it. ``seconds`` is the first look that saw its end, ``None`` where none did.

    ``known_after`` is the age at which it was known first; ``reads`` are the leads that each look showed as converted.
    """

    id: str
    leads: tuple[str, ...]
    accepted_at: float
    words: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float | None = None
    known_after: float | None = None
    first: str = ""
    reads: list[tuple[float, int]] = field(default_factory=list)

    @property
    def ended(self) -> bool:
        """Whether its end was seen."""
        return self.seconds is not None

    @property
    def converted(self) -> int:
        """How many leads it says that it converted; -1 where it does not say."""
        return self.counts.get("converted", -1)

    @property
    def expected(self) -> int:
        """How many converted leads reads must show by and by; its counts may be more than it has leads."""
        return min(len(self.leads), self.converted if self.converted >= 0 else len(self.leads))


@dataclass
class Stage:
    """A run at work. ``options`` are the deal and the user that payloads are sent with, as far as they are known.

    ``notes`` are what one question leaves to another. ``job_wait`` (seconds) is how long a payload whose answer is
    missing is given to become a job, and that job to end. ``figure`` asks a person how many of the day's credits are
    used, after some calls of a kind; ``None`` where nobody is asked, or does not know.
    """

    wire: Wire
    cast: Cast
    version: int
    environment: str
    options: dict[str, Any] = field(default_factory=dict)
    calls_at_once: int = 5
    beyond_limit: bool = False
    fifty: bool = False
    job_wait: float = 60.0
    figure: Callable[[str], int | None] = lambda _after: None
    jobs: list[JobSeen] = field(default_factory=list)
    notes: dict[str, Any] = field(default_factory=dict)
    question: str = ""

    # --- calls ---

    def call(
        self, kind: Call, method: str, path: str, query: Mapping[str, str] | None = None, body: Any = None
    ) -> Answer:
        """One call for the question that is asked now."""
        return self.wire.call(self.question, kind, method, path, query, body)

    def convert(self, ids: Sequence[str], **more: Any) -> Answer:
        """POST a payload with the user, and with what else is given."""
        user = {"assign_to": self.options["assign_to"]} if "assign_to" in self.options else {}
        body = {"ids": list(ids), **user, **more}
        return self.call(Call.POST, "POST", MASS_CONVERT, body={key: value for key, value in body.items() if value})

    def status(self, job_id: str) -> Answer:
        """Ask for a job."""
        return self.call(Call.STATUS, "GET", MASS_CONVERT, {"job_id": job_id})

    def read(self, ids: Sequence[str], *fields: str) -> dict[str, Mapping[str, Any]]:
        """The leads of these ids that there are, converted or not, by id."""
        wanted = ",".join((*STATE_FIELDS, *fields))
        answer = self.call(Call.READ, "GET", LEADS, {"ids": ",".join(ids), "fields": wanted, "converted": "both"})
        return {id_of(row.get("id")): row for row in answer.items if id_of(row.get("id"))}

    def read_ended(self, job: JobSeen, *fields: str) -> dict[str, Mapping[str, Any]]:
        """The leads of a job that has ended, once reads show as many converted as it says, or after half a minute."""
        rows = self.read(job.leads, *fields)
        for wait in READ_ON:
            if sum(map(converted, rows.values())) >= job.expected:
                break
            self.wire.wait(wait)
            rows = self.read(job.leads, *fields)
        return rows

    def select(self, columns: str, module: str, where: str) -> Answer:
        """A COQL query, whose texts are all of this room's own."""
        query = f"select {columns} from {module} where {where} limit 200"  # noqa: S608 - COQL, as above
        return self.call(Call.QUERY, "POST", "coql", body={"select_query": query})

    def together(self, *calls: Any) -> list[Answer]:
        """Make these calls (functions without arguments) at once; their answers in this order."""
        with ThreadPoolExecutor(max_workers=max(1, len(calls))) as threads:
            return [future.result() for future in [threads.submit(call) for call in calls]]

    # --- jobs ---

    def follow(self, answer: Answer, ids: Sequence[str], *, reads: bool = False) -> JobSeen | None:
        """Look at the job of a payload that was taken until it ends; ``None`` where it was not taken."""
        if not answer.job_id:
            return None
        job = JobSeen(answer.job_id, tuple(ids), answer.at)
        self.jobs.append(job)
        for age in _ages():
            self.wire.wait(max(0.0, job.accepted_at + age - self.wire.now()))
            self._look(job, self.status(job.id))
            if reads:
                self.count_converted(job)
            if job.ended:
                self.wire.journal.job_ended(job.id, self.wire.now())
                return job
        return job

    def count_converted(self, job: JobSeen) -> int:
        """Read its leads: how many are converted, noted with the age of the job."""
        shown = sum(converted(row) for row in self.read(job.leads).values())
        job.reads.append((self.wire.now() - job.accepted_at, shown))
        return shown

    def _look(self, job: JobSeen, answer: Answer) -> None:
        row = {word_of(name): value for item in answer.items[:1] for name, value in item.items()}
        age = answer.at - job.accepted_at
        job.first = job.first or answer.in_words
        if "status" not in row or answer.refused:
            return
        job.known_after = age if job.known_after is None else job.known_after
        word = str(row["status"])
        if word not in job.words:
            job.words.append(word)
        if word_of(word) in _ENDS:
            job.seconds = age
            names = {"total": "totalcount", "converted": "convertedcount", "not": "notconvertedcount"}
            names["failed"] = "failedcount"
            job.counts = {name: int(row[key]) for name, key in names.items() if str(row.get(key, "")).isdecimal()}

    def sent(self, ids: Sequence[str], **more: Any) -> tuple[Answer, JobSeen | None]:
        """POST a payload, and follow its job where it is taken."""
        answer = self.convert(ids, **more)
        return answer, self.follow(answer, ids)

    # --- what stands in the CRM ---

    def count(self, module: str, name: str, value: str) -> int | None:
        """How many records of a module have this value in this field; ``None`` where COQL cannot tell."""
        answer = self.select(f"id, {name}", module, f"{name} = '{value}'")
        if answer.status == 204:
            return 0
        return None if answer.refused or answer.status != 200 else len(answer.items)

    @contextmanager
    def asking(self, question: str) -> Iterator[None]:
        """Calls that are made meanwhile are noted under this question."""
        before, self.question = self.question, question
        try:
            yield
        finally:
            self.question = before


def converted(row: Mapping[str, Any]) -> bool:
    """Whether a read shows a lead as converted."""
    return row.get("Converted__s") is True or bool(row.get("Converted_Date_Time"))


def _ages() -> Iterator[float]:
    yield from LOOKS
    age = LOOKS[-1]
    while age < LONGEST:
        age += 30.0
        yield age
