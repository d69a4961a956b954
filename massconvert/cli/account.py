"""``--account NAME``: which organisation a command is about. It may stand anywhere on the line, for every command."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path

from massconvert.errors import InputError
from massconvert.profiles import Accounts
from massconvert.settings import Settings

_FLAG = "--account"
_chosen: ContextVar[str | None] = ContextVar("account", default=None)


def choose_account(arguments: Sequence[str]) -> list[str]:
    """Take ``--account NAME`` out of a command line, and remember the name; what is left. Raises InputError."""
    left: list[str] = []
    rest, name = list(arguments), None
    while rest:
        word = rest.pop(0)
        if word == "--":
            left += [word, *rest]
            break
        if word != _FLAG and not word.startswith(f"{_FLAG}="):
            left.append(word)
            continue
        name = word.partition("=")[2] or (rest.pop(0) if word == _FLAG and rest else "")
        if not name or name.startswith("-"):
            raise InputError("--account takes a name.", hint="massconvert.toml has the names; see docs/accounts.md.")
    _chosen.set(name)
    return left


def chosen_account() -> str | None:
    """The account that the command line names."""
    return _chosen.get()


def account_chosen() -> bool:
    """Whether the command line names an account."""
    return _chosen.get() is not None


def command_settings(
    environ: Mapping[str, str] | None = None, dotenv: Path | None = Path(".env"), profile: str | None = None
) -> Settings:
    """The settings that a command works with: of the account that was chosen, else of the ``profile``'s.

    Raises InputError for an account that is not there, or is not the profile's; SettingsError.
    """
    accounts = Accounts(environ, dotenv)
    return accounts.settings(accounts.of_profile(_chosen.get(), profile) if profile else _chosen.get())
