"""Profiles whose runs fail: every lead of them, or the run itself."""

from __future__ import annotations

from collections.abc import Iterator

from massconvert.doctor.finding import Finding, ok, warning, wrong
from massconvert.doctor.site import Site
from massconvert.profiles import ConfigFile
from massconvert.wording import number_of


def check_profiles(site: Site) -> Iterator[Finding]:
    """Whether the last runs of the account's profiles failed, and whether a schedule is stopped for that.

    Raises SettingsError for a wrong massconvert.toml.
    """
    site.reach_redis()
    failing = 0
    runs, config = site.ledger.runs, ConfigFile(site.settings.config_file).config()
    for name, profile in config.profiles.items():
        failures = runs.failures(name) if profile.account in (None, site.settings.account) else 0
        if not failures:
            continue
        failing += 1
        last = runs.last(name)
        see = (
            f"To see why: massconvert report {last.id}"
            if last and last.taken
            else "To see why: massconvert profile list"
        )
        failed = number_of(failures, "last run", "last runs")
        if runs.stopped(name):
            what = f"The schedule of {name} is stopped, since its {failed} failed."
            yield wrong("profiles", what, f"{see}. When it is mended: massconvert profile resume {name}")
        else:
            yield warning("profiles", f"The {failed} of {name} failed.", f"{see}. Then: massconvert profile check")
    if config.profiles and not failing:
        yield ok("profiles", "The last run of no profile failed.")
