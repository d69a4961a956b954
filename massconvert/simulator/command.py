"""The simulator as a command: prints the environment that points a worker at it, and runs until it is told to stop."""

from __future__ import annotations

import argparse
import csv
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, NoReturn, TextIO

from massconvert.simulator.accounts import Credentials
from massconvert.simulator.behaviour import PROFILES, profile
from massconvert.simulator.faults import read_script
from massconvert.simulator.messages import SimulatorError
from massconvert.simulator.organisation import Answered
from massconvert.simulator.rules import ALL_SCOPES, CONCURRENCY, Rules
from massconvert.simulator.server import Simulator
from massconvert.simulator.special import kinds_of

_COLUMNS = ("Company", "Last_Name", "First_Name", "Email")


def run(
    arguments: Sequence[str] = (),
    *,
    out: TextIO | None = None,
    err: TextIO | None = None,
    stop: threading.Event | None = None,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Run a simulator until SIGINT or SIGTERM, or until ``stop`` is set; for the main thread.

    ``arguments`` are those of the command line. The environment goes to ``out`` (stdout) as ``KEY=value`` lines; calls
    and the faults that struck go to ``err`` (stderr). ``started`` is called once it answers. Raises SimulatorError,
    whose text is one line for a person, for wrong arguments, a wrong script or profile, or a port that is taken.
    """
    chosen = parser().parse_args(list(arguments))
    simulator, told = _made(chosen), err or sys.stderr
    if chosen.log:
        simulator.organisation.listener = lambda answered: print(_line(answered), file=told, flush=True)
    if chosen.write_leads:
        _write_leads(chosen.write_leads, simulator)
    stop = stop or threading.Event()
    before: dict[signal.Signals, Any] = {}
    with simulator:
        try:
            for number in (signal.SIGINT, signal.SIGTERM):
                before[number] = signal.signal(number, lambda *_: stop.set())
            started()
            for name, value in simulator.environment().items():
                print(f"{name}={value}", file=out or sys.stdout, flush=True)
            stop.wait()
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
    for line in _faults_told(simulator.organisation.faults()):
        print(line, file=told, flush=True)


def _made(chosen: argparse.Namespace) -> Simulator:
    told = {
        "job_seconds": chosen.job_seconds,
        "job_jitter": chosen.job_jitter,
        "concurrency": chosen.concurrency,
        "accepted_status": chosen.accepted_status,
        "most_id_characters": chosen.id_characters,
    }
    rules = Rules(
        **(profile(chosen.profile) | {name: value for name, value in told.items() if value is not None}),
        edition=chosen.edition,
        kind="production" if chosen.production else "developer" if chosen.developer else "sandbox",
        trial_days=chosen.trial_days,
        credits=chosen.day_credits,
        pipelines=chosen.pipelines,
        more_users=chosen.more_users,
        mandatory_deal_fields=frozenset(chosen.mandatory),
        unique_fields=frozenset(chosen.unique),
        without_permissions=frozenset(chosen.without_permission),
        scopes=ALL_SCOPES - frozenset(chosen.without_scope),
    )
    simulator = Simulator(
        chosen.leads,
        unknown=chosen.unknown,
        converted=chosen.converted,
        seed=chosen.seed,
        host=chosen.host,
        port=chosen.port,
        latency=chosen.latency,
        rules=rules,
        faults=read_script(chosen.faults) if chosen.faults else (),
        credentials=Credentials(*chosen.credentials) if chosen.credentials else None,
    )
    organisation = simulator.organisation
    for lead_id, kind in zip(organisation.truth(), kinds_of(chosen.special), strict=False):
        organisation.make_special(lead_id, kind)
    organisation.know(organisation.lead_ids()[: chosen.known])
    return simulator


def _write_leads(path: Path, simulator: Simulator) -> None:
    """Write all ids with the names of their leads. Raises SimulatorError rather than write over something else."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(("id", *_COLUMNS))
    named = simulator.organisation.rows(_COLUMNS)
    rows.writerows((lead_id, *row) for lead_id, row in zip(simulator.lead_ids(), named, strict=True))
    try:
        if path.exists() and path.read_text(encoding="utf-8") != text.getvalue():
            raise SimulatorError(f"{path} is there already, and holds something else")
        path.write_text(text.getvalue(), encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or "it is not text"
        raise SimulatorError(f"the leads cannot be written to {path}: {why}") from None


def _line(answered: Answered) -> str:
    """A call in one line: when, what, how many leads, what was answered, what struck."""
    at = datetime.fromtimestamp(answered.at).strftime("%H:%M:%S")  # noqa: DTZ006 - the clock of the person who reads it
    about = f" ({answered.leads} leads)" if answered.leads > 1 else ""
    struck = f"   fault: {', '.join(answered.struck)}" if answered.struck else ""
    return f"{at}  {answered.name}{about}  {answered.said}{struck}"


def _faults_told(rules: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Which faults struck, how often, and how often they were to."""
    for rule in rules:
        most = f" of {rule['times']}" if "times" in rule else ""
        yield f"fault {rule['name']}: struck {rule['fired']}{most}"


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m massconvert.simulator``; the exit status."""
    try:
        run(sys.argv[1:] if arguments is None else arguments)
    except SimulatorError as error:
        print(f"{parser().prog}: {error}", file=sys.stderr)
        return 2
    return 0


class _Parser(argparse.ArgumentParser):
    """Raises SimulatorError for wrong arguments."""

    def error(self, message: str) -> NoReturn:
        raise SimulatorError(message)


def parser(width: int = 100) -> argparse.ArgumentParser:
    """What the command line may have; its help is so wide."""
    made = _Parser(
        prog="massconvert simulator",
        usage=argparse.SUPPRESS,
        allow_abbrev=False,
        formatter_class=lambda prog: argparse.HelpFormatter(prog, max_help_position=26, width=width),
    )
    _add_place(made)
    _add_rules(made)
    return made


def _add_place(made: argparse.ArgumentParser) -> None:
    """Where it listens, which leads it has, what goes wrong."""
    add = made.add_argument
    count = _bounded(int)
    add("--host", default="127.0.0.1", metavar="H", help="the address to listen on (%(default)s)")
    add("--port", type=_bounded(int, 65535), default=0, metavar="P", help="0 takes a free one (%(default)s)")
    add("--leads", type=count, default=100, metavar="N", help="how many lead ids there are (%(default)s)")
    add("--unknown", type=count, default=0, metavar="N", help="how many of them do not exist (%(default)s)")
    add("--converted", type=count, default=0, metavar="N", help="how many are converted already (%(default)s)")
    add("--seed", type=int, default=0, metavar="N", help="decides which, and all that is left to chance (%(default)s)")
    add("--special", action="append", default=[], metavar="KIND[=N]", help="the first leads are special: locked=3")
    add("--known", type=count, default=0, metavar="N", help="how many first leads are customers already")
    add("--write-leads", type=Path, metavar="F.csv", help="write the leads to a file that convert takes")
    add("--faults", type=Path, metavar="F.json", help="what goes wrong, and when")
    add("--log", action="store_true", help="tell each call on stderr, in a line")
    add("--latency", type=_bounded(float), default=0.0, metavar="S", help="seconds of each call (%(default)s)")
    add("--job-seconds", type=_bounded(float), metavar="S", help="seconds of a job (1, or the profile's)")
    add("--job-jitter", type=_bounded(float), metavar="S", help="up to S seconds more (0, or the profile's)")


def _add_rules(made: argparse.ArgumentParser) -> None:
    """What kind of organisation it is."""
    add = made.add_argument
    count = _bounded(int)
    add("--edition", choices=sorted(CONCURRENCY), default="enterprise", help="its edition (%(default)s)")
    add("--profile", default="as-documented", metavar="P", help=f"how it behaves: {', '.join(PROFILES)}, or a file")
    add("--production", action="store_true", help="it says that it is no sandbox, so that commands ask first")
    add("--developer", action="store_true", help="it says that it is a developer's edition")
    add("--trial-days", type=float, metavar="D", help="days until its trial ends, below 0: it is over")
    add("--concurrency", type=count, metavar="N", help="calls at once (the edition's)")
    add("--day-credits", type=count, metavar="N", help="credits of a rolling day (no limit)")
    add("--pipelines", action="store_true", help="deals have pipelines, and must name theirs")
    add("--mandatory", action="append", default=[], metavar="FIELD", help="a further field that a deal must have")
    add("--more-users", type=count, default=0, metavar="N", help="users in addition to the three")
    add("--without-scope", action="append", default=[], type=_scope, metavar="S", help="tokens are without this scope")
    add("--without-permission", action="append", default=[], metavar="P", help="the user's profile forbids this")
    add("--unique", action="append", default=[], metavar="FIELD", help="a field that is unique: Contacts.Email")
    add("--accepted-status", type=int, choices=(200, 202), help="of an accepted payload (200, or the profile's)")
    add("--id-characters", type=count, metavar="N", help="of ids in a read (no limit)")
    add(
        "--credentials",
        nargs=3,
        metavar=("ID", "SECRET", "TOKEN"),
        help="client id, secret and refresh token, the only ones that it takes (any)",
    )


def _scope(text: str) -> str:
    known = {scope.lower(): scope for scope in ALL_SCOPES}
    if text.lower() not in known:
        raise argparse.ArgumentTypeError(f"{text!r} is none of {', '.join(sorted(ALL_SCOPES))}")
    return known[text.lower()]


def _bounded(kind: Callable[[str], float], most: float = 1e9) -> Callable[[str], Any]:
    def parse(text: str) -> float:
        value = kind(text)
        if not 0 <= value <= most:
            raise ValueError(text)
        return value

    parse.__name__ = f"number from 0 to {most:g}"  # which argparse names in its complaint
    return parse
