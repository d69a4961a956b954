"""Profiles against their organisations: what `options check` does, for the options of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from massconvert.cli.account import command_settings
from massconvert.cli.console import told_by_us
from massconvert.cli.live import live_organisation
from massconvert.cli.live_options import unread_words
from massconvert.errors import MassConvertError, SettingsError
from massconvert.model import Language
from massconvert.options import Options, Problem
from massconvert.profiles import Profile
from massconvert.steps.check import check
from massconvert.steps.ports import Ports


@dataclass(frozen=True)
class ProfileCheck:
    """What was found of one profile; ``not_checked`` says what could not be looked at, and why."""

    warnings: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    not_checked: dict[str, str] = field(default_factory=dict)


def check_file(profile: Profile) -> ProfileCheck:
    """What the file alone tells of a profile that is right."""
    said = list(Options.parse(profile.options).warnings)
    if profile.criteria and profile.criteria.form is Language.SEARCH:
        said.append(
            "Search finds at most 2,000 leads a run, and its `equals` finds what contains the value; COQL is exact."
        )
    return ProfileCheck(tuple(said))


def check_profile(ports: Ports, profile: Profile) -> ProfileCheck:
    """`check_file`, and its options held against the organisation. Raises StoreError."""
    with told_by_us():
        live = check(ports, profile.options)
    said = (f"{path} {reason}" for path, reason in (*live.warnings, *live.notes))
    warnings = (*check_file(profile).warnings, *said)
    return ProfileCheck(warnings, live.problems, unread_words(live.unread))


def check_all(profiles: Iterable[tuple[str, Profile]]) -> dict[str, ProfileCheck]:
    """Check each profile, against its account's organisation where that account's credentials are there.

    Raises SettingsError, InputError for an account that cannot be used.
    """
    found: dict[str, ProfileCheck] = {}
    by_account: dict[str | None, list[tuple[str, Profile]]] = {}
    for name, profile in profiles:
        found[name] = check_file(profile)
        by_account.setdefault(profile.account, []).append((name, profile))
    for same in by_account.values():
        found |= _check_account(same, found)
    return found


def _check_account(same: list[tuple[str, Profile]], found: dict[str, ProfileCheck]) -> dict[str, ProfileCheck]:
    settings = command_settings(profile=same[0][0])
    try:
        settings.require_zoho()
    except SettingsError:
        return {}
    try:
        with live_organisation(settings) as ports:
            return {name: check_profile(ports, profile) for name, profile in same}
    except MassConvertError as error:
        away = {"the organisation": error.message}
        return {name: ProfileCheck(found[name].warnings, not_checked=away) for name, _ in same}
