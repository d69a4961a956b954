"""What a run of histories has visited, and what it must have visited: rows of the decision table, and crash points.

A simulation that never meets a case proves nothing about it, and looks just as green. So a run counts, and what it did
not visit fails it. The lists are exhaustive by construction: a row that is added to `policy.Row`, or a script to
store/lua, fails the next run until some history gets there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from massconvert.policy import Row, RunRow
from tests.simulation.plan import CALLS
from tests.simulation.wire import SCRIPTS

#: Scripts that have no part here: the simulated Zoho asks for no token, the limit is given, no worker notes itself, and
#: no message fails for ever, to be kept for a person.
NO_PART = frozenset(
    {
        "discard_token",
        "end_refresh",
        "free_lock",
        "claim_title",
        "take_lock",
        "wake_next",
        "keep_limit",
        "note_member",
        "look_at_token",
        "keep_letter",
        "drop_letter",
        "note_late",
    }
)
#: Commands on Redis that are no scripts, other than those that only reports use.
COMMANDS = (
    *("EXISTS", "GET", "HGET", "HGETALL", "HMGET", "HSCAN", "LRANGE", "MGET", "SET", "SMEMBERS", "TIME", "WAIT"),
    "ZRANGEBYSCORE",
)
ZOHO = ("token", *CALLS)
OTHERS = ("call_target",)
NUDGES = ("nudge chunk", "nudge convert", "nudge status", "nudge run", "nudge call_back")

#: Only the retry of deals reads so; 500 histories may not kill anybody there.
RARE = frozenset({"before GET", "after GET", "before HMGET", "after HMGET"})
#: Rows that come a few times in a thousand histories, so perhaps not in five hundred; acceptance tests take each.
RARE_ROWS = frozenset({"NAMES_NOT_READABLE", "NAMES_GIVE_UP", "MATCH_NOT_READABLE", "UPDATE_GIVE_UP"})
#: Every place at which a process can be killed.
CRASH_POINTS: tuple[str, ...] = tuple(
    f"{when} {port}"
    for port in (*(name for name in SCRIPTS if name not in NO_PART), *COMMANDS, *ZOHO, *OTHERS, *NUDGES)
    for when in ("before", "after")
)
#: What the governor must have come to.
GOVERNED = ("lowered", "outage", "credits", "asked", "free", "probe: outage", "probe: credits", "probe: asked")
#: Moves that no Zoho makes: to refuse a payload, or a read, of one lead for being too many.
NEVER = frozenset({"TOO_MANY_LEADS done", "READ_TOO_MANY done"})


@dataclass
class Reach:
    """Counts over many histories."""

    histories: int = 0
    leads: int = 0
    rows: Counter[str] = field(default_factory=Counter)
    moves: Counter[str] = field(default_factory=Counter)
    killed: Counter[str] = field(default_factory=Counter)
    visited: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    governed: Counter[str] = field(default_factory=Counter)

    def add(self, other: Reach) -> None:
        """Add what another run visited."""
        self.histories += other.histories
        self.leads += other.leads
        for name in ("rows", "moves", "killed", "visited", "calls", "outcomes", "governed"):
            getattr(self, name).update(getattr(other, name))

    def missing(self) -> list[str]:
        """What should have been visited and was not, in words."""
        often = [row for row in Row if row.name not in RARE_ROWS]
        moves = [f"{row.name} {target.value}" for row in often for target in row.targets]
        found = [f"row {row.name}: {row.value}" for row in often if not self.rows[row.name]]
        found += [f"row {row.name}: {row.value}" for row in RunRow if not self.rows[f"FIND {row.name}"]]
        found += [f"move {move}" for move in moves if not self.moves[move] and move not in NEVER]
        found += [f"crash {point}" for point in CRASH_POINTS if not self.killed[point] and point not in RARE]
        found += [f"governor: {what}" for what in GOVERNED if not self.governed[what]]
        found += [
            f"crash point {point} is not in reach.CRASH_POINTS"
            for point in sorted(set(self.visited) - set(CRASH_POINTS))
        ]
        return found

    def table(self) -> str:
        """Both lists with their counts, the rarest first."""
        return "\n".join(
            [
                f"rows of the decision table ({_share(self.rows[row.name] for row in Row)}):",
                *_columns((row.name, self.rows[row.name]) for row in Row),
                *_columns((f"FIND {row.name}", self.rows[f"FIND {row.name}"]) for row in RunRow),
                f"crash points, kills ({_share(self.killed[point] for point in CRASH_POINTS)}):",
                *_columns((point, self.killed[point]) for point in CRASH_POINTS),
                "the governor:",
                *_columns((what, self.governed[what]) for what in GOVERNED),
                "outcomes:",
                *_columns(self.outcomes.items()),
            ]
        )

    def dump(self) -> dict[str, Any]:
        """As plain JSON."""
        return {name: dict(value) if isinstance(value, Counter) else value for name, value in vars(self).items()}

    @classmethod
    def load(cls, data: dict[str, Any]) -> Reach:
        """Back from JSON."""
        reach = cls()
        for name, value in data.items():
            setattr(reach, name, Counter(value) if isinstance(value, dict) else value)
        return reach


def _share(counts: Iterable[int]) -> str:
    visited = [count > 0 for count in counts]
    return f"{sum(visited)} of {len(visited)}"


def _columns(counts: Iterable[tuple[str, int]]) -> list[str]:
    cells = [f"{count:>9,}  {name:<34}" for name, count in sorted(counts, key=lambda pair: (pair[1], pair[0]))]
    return ["".join(cells[place : place + 3]).rstrip() for place in range(0, len(cells), 3)]
