"""Commands that the reader is told to give: the one place that writes them.

A printed command acts where it was printed: on the same account, whatever its name is in a shell.
"""

from __future__ import annotations

import shlex
from typing import Literal

from massconvert.contract import DEFAULT_ACCOUNT

#: Every command but ``worker`` and ``beat``, which serve all accounts, by the words that follow ``massconvert``.
Name = Literal[
    "cancel",
    "convert",
    "dashboard",
    "demo",
    "doctor",
    "enqueue",
    "health",
    "lead",
    "letters",
    "login",
    "logout",
    "match",
    "metrics",
    "missing",
    "options check",
    "options init",
    "pause",
    "profile check",
    "profile list",
    "profile resume",
    "profile run",
    "rehearse",
    "report",
    "resume",
    "retry",
    "simulator",
    "stats",
    "status",
    "webhook test",
    "whoami",
]


def next_command(name: Name, *words: str, account: str) -> str:
    """The command ``name`` with these words, each quoted for a shell where it needs that.

    ``account`` is that of the ledger which the message is about; it is named unless it is the default one.
    """
    chosen = () if account == DEFAULT_ACCOUNT else ("--account", account)
    return " ".join(["massconvert", name, *map(shlex.quote, (*words, *chosen))])


def then_resume(fix: str, *, account: str) -> str:
    """What ends a pause of the organisation: ``fix``, where a person has something to fix, and then `resume`."""
    go_on = next_command("resume", account=account)
    return f"{fix.removesuffix('.')}, then: {go_on}" if fix else f"To go on: {go_on}"
