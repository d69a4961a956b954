"""The page: what the ledger knows, for people with a browser; an ASGI app to run alone or to mount.

Its libraries come with the extra ``[dashboard]``; nothing else of massconvert imports them.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from massconvert.errors import SettingsError
from massconvert.settings import Settings

#: What is to be typed where the page's libraries are missing.
INSTALL = "pip install 'zoho-mass-convert[dashboard]'"


def app(
    settings: Settings | None = None,
    *,
    account: str | None = None,
    read_only: bool = False,
    trust_header: str = "",
    who: Callable[[Mapping[str, str]], str | None] | None = None,
    hosts: Collection[str] = (),
) -> Any:
    """The page as an ASGI app, under whatever prefix it is mounted.

    ``settings`` and ``account`` are as for `MassConvert`. Closed by default: it answers this machine alone, unless one
    of three says who is there. ``MASSCONVERT_DASHBOARD_TOKEN`` asks for that token. ``trust_header`` names a header
    that a proxy sets to the user's name; nobody else may be able to reach the app then. ``who`` is the app's own rule:
    it takes the request's headers (names in lower case), and returns the user's name, or ``None`` for nobody.
    ``hosts`` are the names under which a browser may ask for it, in addition to addresses and ``localhost``.
    ``read_only`` lets nothing be changed. Raises SettingsError, also where the extra is not installed.
    """
    try:
        from massconvert.dashboard.site import make_site  # noqa: PLC0415 - its libraries are an extra
    except ModuleNotFoundError as error:
        raise missing(error) from None
    return make_site(
        settings, account=account, read_only=read_only, trust_header=trust_header, who=who, hosts=tuple(hosts)
    )


def missing(error: ModuleNotFoundError) -> SettingsError:
    """What to say where a library of the extra is not there."""
    return SettingsError(f"The dashboard needs {error.name}, which is not installed.", hint=f"To install it: {INSTALL}")
