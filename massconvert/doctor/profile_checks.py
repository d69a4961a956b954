"""Profiles whose runs fail: every lead of them, or the run itself."""

from __future__ import annotations

from collections.abc import Iterator

from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.site import Site
from massconvert.profiles import ConfigFile
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of


def check_profiles(site: Site) -> Iterator[Finding]:
    """Whether the last runs of the account's profiles failed, and whether a schedule is stopped for that.

    Raises SettingsError for a wrong massconvert.toml.
    """
    site.reach_redis()
    failing, account = 0, site.settings.account
    runs, config = site.ledger.runs, ConfigFile(site.settings.config_file).config()
    for name, profile in config.profiles.items():
        failures = runs.failures(name) if profile.account in (None, account) else 0
        if not failures:
            continue
        failing += 1
        last = runs.last(name)
        look = (
            next_command("report", last.id, account=account)
            if last and last.taken
            else next_command("profile list", account=account)
        )
        failed = number_of(failures, "last run", "last runs")
        if runs.stopped(name):
            what = f"The schedule of {name} is stopped, since its {failed} failed."
            go_on = next_command("profile resume", name, account=account)
            yield wrong("profiles", what, f"To see why: {look}; when it is fixed: {go_on}")
        else:
            check = next_command("profile check", account=account)
            yield warning("profiles", f"The {failed} of {name} failed.", f"To see why: {look}; then: {check}")
    if config.profiles and not failing:
        yield ok("profiles", "No profile failed in its last run.")
