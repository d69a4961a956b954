"""What a rehearsal has seen of an organisation, as far as the pipeline and its forecasts can use it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Observed:
    """Facts; ``None`` is what was not seen. Times are seconds, ``at`` is when (Unix seconds), ``where`` is for people.

    ``job_seconds`` is how long a job took at most, by its leads. ``status_lives`` is the age at which a job was known
    yet, ``status_gone`` that at which one was not. ``links``: conversions link to contacts or accounts that are there.
    """

    at: float
    where: str = ""
    post_credits: float | None = None
    status_credits: float | None = None
    read_credits: float | None = None
    query_credits: float | None = None
    job_seconds: Mapping[int, float] = field(default_factory=dict)
    job_known_after: float | None = None
    read_lag: float | None = None
    status_lives: float | None = None
    status_gone: float | None = None
    ids_a_read: int | None = None
    one_bad_id_refuses_all: bool | None = None
    converts_twice: bool | None = None  # a lead in two jobs
    links: bool | None = None

    @property
    def longest_job(self) -> float | None:
        """The longest job that was seen."""
        return max(self.job_seconds.values(), default=None)
