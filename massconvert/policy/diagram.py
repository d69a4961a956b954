"""Draw the state diagram of docs/concepts.md from the table: ``python -m massconvert.policy.diagram``."""

from __future__ import annotations

from massconvert.model import State
from massconvert.policy.table import Row


def mermaid() -> str:
    """The rows of the decision table as a Mermaid state diagram, one arrow for each pair of states."""
    arrows: dict[tuple[State, State], list[str]] = {}
    for row in Row:
        for target in sorted(row.targets, key=list(State).index):
            arrows.setdefault((row.source, target), []).append(row.value.partition(": ")[2])
    lines = [
        "stateDiagram-v2",
        "    [*] --> waiting: formed",
        "    [*] --> settling: formed for a preflight",
        "    waiting --> sending: written ahead of the POST",
        "    [*] --> settling: converted leads whose deals get values of their own",
    ]
    for (source, target), labels in arrows.items():
        lines.append(f"    {source.value} --> {target.value}: {'<br>'.join(labels)}")
    return "\n".join([*lines, "    done --> [*]"])


if __name__ == "__main__":
    print(mermaid())
