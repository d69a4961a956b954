"""``massconvert dashboard``: the page for people, served until Ctrl-C."""

from __future__ import annotations

from importlib import import_module
from typing import Annotated

import typer

from massconvert.addresses import is_loopback
from massconvert.cli.account import chosen_account, command_settings
from massconvert.cli.console import say
from massconvert.errors import InputError, SettingsError

_EXAMPLES = """\b
Examples:
  massconvert dashboard                                   http://127.0.0.1:8640, for this machine
  massconvert dashboard --read-only --port 9000
  massconvert dashboard --account emea                    of this account alone; else of all in massconvert.toml
  MASSCONVERT_DASHBOARD_TOKEN=… massconvert dashboard --host 0.0.0.0 --public-host crm-jobs.example.com
  massconvert dashboard --trust-header X-Forwarded-User   behind a proxy that knows its users
\b
It needs the extra: pip install 'zoho-mass-convert[dashboard]'. docs/dashboard.md has all of it.
Exit status: 0 after Ctrl-C; 2 wrong input; 3 settings, or the port is taken."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("dashboard", epilog=_EXAMPLES)(_dashboard)


def _dashboard(
    host: Annotated[str, typer.Option("--host", metavar="H", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option("--port", min=0, max=65535, metavar="P", help="0 takes a free one.")] = 8640,
    read_only: Annotated[bool, typer.Option("--read-only", help="Nothing can be changed.")] = False,
    trust_header: Annotated[
        str, typer.Option("--trust-header", metavar="NAME", help="Who asks stands in this header, set by a proxy.")
    ] = "",
    public_host: Annotated[
        list[str] | None,
        typer.Option("--public-host", metavar="NAME", help="A name under which browsers ask for it; may be repeated."),
    ] = None,
    prefix: Annotated[
        str, typer.Option("--prefix", metavar="/P", help="The path under which a proxy serves it.", show_default=False)
    ] = "",
) -> None:
    """Show batches, failures and what can be done about them in a browser."""
    settings = command_settings()
    if not is_loopback(host) and not trust_header and not settings.dashboard_token.get_secret_value():
        raise SettingsError(
            f"At {host} others could reach the dashboard, and nothing says who may.",
            hint="Set MASSCONVERT_DASHBOARD_TOKEN (make one with: openssl rand -hex 32), or give --trust-header NAME "
            "behind a proxy that knows its users.",
        )
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or "//" in prefix):
        raise InputError(
            f"--prefix takes a path like /jobs, not {prefix!r}.", hint="It begins with / and ends without."
        )
    for slip in settings.hints:
        say(slip, "yellow")
    # An edge of its own, built on what the commands say; its libraries are an extra.
    serving = import_module("massconvert.dashboard.serving")
    serving.serve(
        settings,
        host=host,
        port=port,
        prefix=prefix,
        account=chosen_account(),
        told=lambda url: say(f"the dashboard runs until Ctrl-C: {url}"),
        read_only=read_only,
        trust_header=trust_header,
        hosts=public_host or (),
    )
