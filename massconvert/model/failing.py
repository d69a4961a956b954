"""How a payload fails as a whole, while nothing says which of its leads is to blame."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Failing:
    """What is known of a chunk whose payloads fail: see ``policy.failing``.

    ``lost`` payloads in a row had no usable answer, since ``lost_since``; ``jobs`` in a row converted nobody, since
    ``jobs_since`` (when the first was sent, or when it was split), ``alone`` of them with a single lead. ``own``: it
    failed again though others had come through since; ``blamed``: so did the POSTs of a lead alone. ``sorted_out``: a
    job has converted others of its payload, so what is left failed lead by lead. ``root`` is the chunk that it was
    first split from. ``unknown_at`` is when the last payload was sent whose job Zoho does not know: it may run on.
    """

    lost: int = 0
    jobs: int = 0
    alone: int = 0
    lost_since: float = 0.0
    jobs_since: float = 0.0
    own: bool = False
    blamed: bool = False
    sorted_out: bool = False
    root: str = ""
    unknown_at: float = 0.0


@dataclass(frozen=True)
class Fared:
    """How other payloads of the account fare, as a claim hands it out.

    ``answered`` is when Zoho last gave a payload a usable answer, ``converted`` when a job last converted a lead; 0.0:
    never. ``trial`` is the root of the one payload whose jobs fail and that is split though nobody fares better, empty
    where none is; one without an answer may be split so from ``trial_at`` on.
    """

    answered: float = 0.0
    converted: float = 0.0
    trial: str = ""
    trial_at: float = 0.0
