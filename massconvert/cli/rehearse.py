"""``massconvert rehearse``: how this organisation behaves, found out with leads that are deleted afterwards."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from massconvert.cli.account import command_settings
from massconvert.cli.console import ago, tell
from massconvert.cli.reach import find_desk
from massconvert.cli.rehearsal_view import show_plan, show_scopes
from massconvert.cli.rehearsing import Session, Wanted, read_json
from massconvert.errors import InputError
from massconvert.rehearsal.result import facts_in
from massconvert.rehearsal.run import chosen

_EXAMPLES = """\b
Examples:
  massconvert rehearse --dry-run           the questions, calls and credits; nothing is made
  massconvert rehearse                     in a sandbox: about five minutes
  massconvert rehearse --only 6,7          these questions, and those that they build on
  massconvert rehearse --clean-up          after a crash: delete what it has left
  massconvert rehearse --later             is the job of the last rehearsal still known?
  massconvert rehearse --use seen.json     go by what was seen, for this account too
  massconvert rehearse --forget            and no more
\b
It makes leads in Zoho, converts and deletes them, in a sandbox or developer organisation. In any other one it asks for
the company's name first, on a terminal. docs/rehearsal.md has the questions and what each difference means. Exit
status: 0 done, whatever was seen; 1 something could not be deleted; 2 wrong input; 3 Zoho says no."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("rehearse", epilog=_EXAMPLES)(_rehearse)


def _rehearse(
    only: Annotated[str, typer.Option(metavar="N,N", help="Ask only these questions.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be asked; call nobody.")] = False,
    clean: Annotated[bool, typer.Option("--clean-up", help="Delete what earlier rehearsals have left.")] = False,
    later: Annotated[bool, typer.Option("--later", help="Ask for the job of the last one again.")] = False,
    use: Annotated[str, typer.Option(metavar="F.json", help="Keep what a rehearsal has seen for this account.")] = "",
    forget: Annotated[bool, typer.Option("--forget", help="Go by nothing that was seen, for this account.")] = False,
    file: Annotated[str, typer.Option(metavar="F.json", help="Where the result goes; its journal is beside it.")] = "",
    fifty: Annotated[bool, typer.Option("--job-of-50", help="Convert 50 leads at once, too.")] = False,
    beyond: Annotated[
        bool, typer.Option("--beyond-limit", help="Make more calls at once than are allowed, in a sandbox.")
    ] = False,
    ask_credits: Annotated[
        bool, typer.Option("--ask-credits", help="Ask for the day's credits, as the CRM's Setup shows them.")
    ] = False,
    scopes: Annotated[bool, typer.Option("--scopes", help="Show the scopes that it needs, to paste.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON.")] = False,
) -> None:
    """Find out how this organisation behaves, with leads that are deleted again."""
    if sum((dry_run, clean, later, bool(use), forget, scopes)) > 1:
        raise InputError("Give one of --dry-run, --clean-up, --later, --use, --forget and --scopes, not several.")
    if file and Path(file).suffix != ".json":
        raise InputError(
            f"--file {file}: a name that ends in .json is wanted, since the journal beside it ends in .jsonl."
        )
    questions = chosen(_numbers(only))
    if scopes:
        show_scopes(account=command_settings().account, as_json=as_json)
    elif dry_run:
        show_plan(questions, fifty=fifty, as_json=as_json)
    elif use:
        _keep_facts(Path(use))
    elif forget:
        _forget_facts()
    else:
        wanted = Wanted(questions, Path(file) if file else None, fifty, beyond, ask_credits, as_json)
        with Session(command_settings(), wanted) as session:
            session.clean_up() if clean else session.look_later() if later else session.rehearse()


def _numbers(text: str) -> list[int]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not all(part.isascii() and part.isdecimal() for part in parts) or (text and not parts):
        raise InputError(f"--only {text}: numbers with commas between are wanted, like 6,7.")
    return [int(part) for part in parts]


def _forget_facts() -> None:
    desk = find_desk()
    there = desk.ledger.rehearsed.forget()
    what = "goes by nothing that was seen" if there else "knows nothing of a rehearsal"
    tell(f"The ledger of account {desk.settings.account} {what}.")


def _keep_facts(path: Path) -> None:
    """Keep the facts of a file for the account of this command."""
    facts = facts_in(read_json(path), file=str(path))
    desk = find_desk()
    desk.ledger.rehearsed.keep(facts)
    tell(f"The ledger of account {desk.settings.account} goes by what was seen {ago(time.time() - facts.at)}.")
