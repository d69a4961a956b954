"""``massconvert.toml``: read, checked, and read again when it has changed."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from massconvert.errors import InputError, NotConfiguredError, SettingsError
from massconvert.profiles.model import Config, Profile

if sys.version_info >= (3, 11):
    import tomllib
else:  # pragma: no cover - the same library under its older name
    import tomli as tomllib

log = logging.getLogger("massconvert")

_Stamp = tuple[int, int, int] | None


class ConfigFile:
    """The file at ``path``; one that is not there has no profiles. Safe to share between threads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._read: tuple[_Stamp, Config | SettingsError] | None = None
        self._right: Config | None = None

    def config(self) -> Config:
        """What stands in it now. Raises SettingsError that names each wrong place, until the file changes."""
        with self._lock:
            stamp = self._stamp()
            if self._read is None or self._read[0] != stamp:
                try:
                    self._right = read_config(self.path) if stamp else Config()
                    self._read = (stamp, self._right)
                except SettingsError as error:
                    self._read = (stamp, error)
                    if self._right:
                        log.error("%s What it said before holds until it is fixed.", error)  # noqa: TRY400 - expected
            found = self._read[1]
        if isinstance(found, SettingsError):
            raise found
        return found

    def last_right(self) -> Config:
        """What stands in it, or did before somebody made it wrong. Raises SettingsError if it was never right."""
        try:
            return self.config()
        except SettingsError:
            if self._right is None:
                raise
            return self._right

    def profile(self, name: str) -> Profile:
        """The profile of that name. Raises NotConfiguredError with the nearest, SettingsError for a wrong file."""
        profiles = self.config().profiles
        if name not in profiles:
            raise NotConfiguredError(
                f"There is no profile {name!r}{self._instead(name, profiles)}", hint=self._hint(profiles)
            )
        return profiles[name]

    def to_find_with(self, name: str) -> Profile:
        """The profile of that name, which must have criteria. Raises as `profile` does."""
        profile = self.profile(name)
        if profile.criteria is None:
            raise InputError(
                f"The profile {name} has no criteria, so it cannot find leads.",
                hint=f"Give it some in {self.path}, or name the leads: enqueue takes them with --profile {name}.",
            )
        return profile

    def _instead(self, name: str, profiles: Iterable[str]) -> str:
        near = get_close_matches(name, profiles, n=1)
        return f"; did you mean {near[0]}?" if near else "."

    def _hint(self, profiles: Iterable[str]) -> str:
        if not self._stamp():
            return f"There is no file {self.path}; MASSCONVERT_CONFIG names another."
        return f"{self.path} has: {', '.join(profiles) or 'no profiles'}."

    def _stamp(self) -> _Stamp:
        try:
            found = self.path.stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size, found.st_ino


def read_config(path: Path) -> Config:
    """The checked content of a file. Raises SettingsError that names each wrong place."""
    try:
        raw = read_toml(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {error.strerror or type(error).__name__}.") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path} is not UTF-8.", hint="Save it as UTF-8 text.") from None
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}.") from None
    try:
        return Config.model_validate(raw)
    except ValidationError as error:
        problems = "\n".join(f"  {_problem(item)}" for item in error.errors(include_input=False, include_url=False))
        raise SettingsError(f"{path} is wrong:\n{problems}", hint="docs/profiles.md has every key.") from None


def read_toml(text: str) -> dict[str, Any]:
    """What a TOML text holds. Raises TOMLDecodeError."""
    return dict(tomllib.loads(text))


def _problem(item: Any) -> str:
    """One wrong place, by its path in the file. No value is repeated: it may be a secret in the wrong file."""
    steps = [str(step) for step in item["loc"] if step != "[key]"]
    place = ".".join(f'"{step}"' if "." in step else step for step in steps) or "the file"
    if item["type"] == "value_error":
        return f"{place} {str(item['ctx']['error']).rstrip('.')}."
    if item["type"] == "extra_forbidden" and steps[-1] in ("client_id", "client_secret", "refresh_token"):
        variable = f"ZOHO_{steps[-1].upper()}__{steps[-2].upper().replace('-', '_')}"
        return f"{place}: credentials do not belong into this file; set {variable} in the environment."
    if item["type"] == "extra_forbidden":
        near = get_close_matches(steps[-1], _keys(Config.model_json_schema()), n=1)
        return f"{place} is not a key that is known{f'; did you mean {near[0]}?' if near else '.'}"
    if item["type"] in ("model_type", "dict_type"):
        return f"{place} must be a table: {{ … }}."
    if item["loc"][-1:] == ("[key]",):
        return f"{place}: a name has 1 to 60 letters, digits, . - or _, and begins with a letter or a digit."
    words = str(item["msg"])
    return f"{place}: {words[:1].lower()}{words[1:]}."


def _keys(schema: Mapping[str, Any]) -> set[str]:
    """Every key that a file may have, of whatever table."""
    tables = (schema, *schema.get("$defs", {}).values())
    return {key for table in tables for key in table.get("properties", ())}
