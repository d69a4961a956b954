"""Accounts: named organisations in ``massconvert.toml``, each with settings of its own."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from massconvert.errors import NotConfiguredError, SettingsError
from massconvert.profiles.reading import ConfigFile
from massconvert.settings import Settings, load_account, load_settings


class Accounts:
    """The environment's own account, and the named ones. ``environ`` and ``dotenv`` as for `load_settings`.

    Raises SettingsError when the environment's settings are wrong.
    """

    def __init__(
        self,
        environ: Mapping[str, str] | None = None,
        dotenv: Path | None = Path(".env"),
        base: Settings | None = None,
    ) -> None:
        self.base = base or load_settings(environ, dotenv)
        self.config = ConfigFile(self.base.config_file)
        self._environ = environ
        self._dotenv = dotenv

    def settings(self, account: str | None = None) -> Settings:
        """The settings of an account; the environment's own where no name is given.

        Raises NotConfiguredError for an unknown name, SettingsError for what is wrong with a known one.
        """
        if account is None or account == self.base.account:
            return self.base
        known = self.config.last_right().accounts
        if account not in known:
            near = get_close_matches(account, [*known, self.base.account], n=1)
            raise NotConfiguredError(
                f"There is no account {account!r}{f'; did you mean {near[0]}?' if near else '.'}",
                hint=f"{self.config.path} has: {', '.join(known) or 'no accounts'}. "
                f"The environment's own is {self.base.account}.",
            )
        try:
            return load_account(account, known[account].table(), known[account].held_by(), self._environ, self._dotenv)
        except SettingsError as error:
            raise SettingsError(f"The account {account}: {error.message}", hint=error.hint) from None

    def served(self) -> list[str]:
        """The accounts of a fleet of workers: the named ones, and the environment's own if it has credentials."""
        named = [name for name in self.config.last_right().accounts if name != self.base.account]
        try:
            self.base.require_zoho()
        except SettingsError:
            return named or [self.base.account]
        return [self.base.account, *named]

    def of_profile(self, account: str | None, profile: str | None) -> str | None:
        """The account that a message or a command means. Raises NotConfiguredError where its profile is another's."""
        named = self.config.config().profiles.get(profile) if profile else None
        if named is None or named.account is None or named.account == account:
            return account
        if account is not None:
            raise NotConfiguredError(f"The profile {profile} is of the account {named.account}, not of {account}.")
        return named.account
