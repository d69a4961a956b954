"""One command of ``massconvert rehearse`` that calls Zoho: whose credentials these are, the run, and what it leaves."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from threading import Event
from typing import Any

import typer

from massconvert import store, wiring
from massconvert.cli.console import err, hint, local_time, print_json, say, span, tell, told_by_us
from massconvert.cli.interview import ask, somebody_is_there
from massconvert.cli.layout import Pairs
from massconvert.cli.live import some_redis
from massconvert.cli.output_file import check_output, write_output
from massconvert.cli.rehearsal_view import show
from massconvert.cli.stopping import Stopped, stoppable
from massconvert.contract import Exit
from massconvert.doctor.whose import Whose, refused_entirely, whose
from massconvert.errors import InputError, LedgerMismatchError, MassConvertError, ZohoError
from massconvert.ledger.title import foreign
from massconvert.model import Busy, Owner
from massconvert.rehearsal.cast import Cast
from massconvert.rehearsal.cleaning import Cleaned, clean_up
from massconvert.rehearsal.journal import Journal, is_unfinished, unfinished
from massconvert.rehearsal.limit_questions import look_later
from massconvert.rehearsal.question import Question
from massconvert.rehearsal.result import as_file, behaviour, facts_of, rows
from massconvert.rehearsal.run import FIRST_VERSION, Rehearsal, costs, demand_scopes, records
from massconvert.rehearsal.stage import Stage
from massconvert.rehearsal.wire import Wire
from massconvert.settings import Settings
from massconvert.words.next_command import next_command
from massconvert.words.plurals import number_of
from massconvert.zoho.identity import Identity, ask_org, owner_of, papers_of
from massconvert.zoho.standing import read_standing

#: Organisations in which nothing is lost, as GET ``org`` names their type.
_FOR_TRYING = ("sandbox", "developer")
#: Of records that are left, this many ids are named.
_NAMED = 5
_BIN = ", and in the recycle bin for 60 days"


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for."""

    questions: tuple[Question, ...]
    file: Path | None
    fifty: bool = False
    beyond: bool = False
    ask_credits: bool = False
    as_json: bool = False


class Session:
    """One command that calls Zoho: who it is, the wire, the journal."""

    def __init__(self, settings: Settings, wanted: Wanted) -> None:
        settings.require_zoho()
        self._settings, self._wanted = settings, wanted
        self._ends = ExitStack()
        self._whose = Whose("nobody has asked yet")

    def __enter__(self) -> Session:  # noqa: PYI034 - Self is in typing from Python 3.11 on
        self._here = self._ends.enter_context(some_redis(self._settings))
        self._ends.enter_context(told_by_us())
        redis = store.connect(self._here.redis_url, account=self._here.account)
        self._clock, self._keys = store.RedisClock(redis), store.Keys(self._here.account)
        self._redis, self._ledger = redis, wiring.connect_ledger(self._here)
        self._zoho, self._governor = wiring.connect_finder(self._here)
        return self

    def __exit__(self, *_: object) -> None:
        self._ends.close()

    @property
    def _folder(self) -> Path:
        return self._settings.state_dir / "rehearsals"

    # --- who it is ---

    def _identify(self) -> Owner:
        """Which organisation this is. Raises ZohoError, LedgerMismatchError for a ledger of another one."""
        answer = ask_org(self._zoho, self._governor)
        if isinstance(answer, Busy):
            raise ZohoError(f"No call may be made now: {answer.why}.")
        if refused := refused_entirely(answer):
            raise ZohoError(refused[0], hint=refused[1])
        found = owner_of(answer, papers_of(self._settings))
        self._whose = whose(answer)
        if not isinstance(found, Owner):
            raise ZohoError(f"Zoho does not tell which organisation this is: {found.why}.")
        there = self._ledger.title.owner()
        if there and there.digest != found.digest and not self._ledger.title.knows(self._settings.credentials_digest):
            raise foreign(there, self._settings.account, f"These credentials are of {found}.")
        return found

    @property
    def _identity(self) -> Identity:
        org = self._whose.organisation
        return org if isinstance(org, Identity) else Identity("", "", "")

    def _demand_consent(self) -> None:
        """In a production organisation nothing is made before a person has typed its name. Raises InputError."""
        org = self._identity
        kind = org.kind or "of a type that Zoho does not tell"
        if org.kind in _FOR_TRYING:
            return
        if not somebody_is_there() or not org.name:
            raise InputError(
                f"This organisation is {kind}, and no sandbox: a rehearsal makes and converts leads in it.",
                hint="Use a token of a sandbox or of a developer organisation; in this one only a person on a terminal "
                "may rehearse, who types the company's name.",
            )
        calls, cost = costs(self._wanted.questions, fifty=self._wanted.fifty)
        number = len(records(self._wanted.questions, fifty=self._wanted.fifty))
        say(f"this organisation is {kind}, and no sandbox.", "bold")
        facts = [
            ("  made", f"{number_of(number, 'record')} named mc-rehearsal-…, most of which are converted"),
            ("  calls", f"about {calls}, for about {number_of(cost, 'credit')} of today's"),
            ("  then", "all that was made is deleted, with what the conversions made of it"),
            ("  left", "what its workflows, webhooks and mails do meanwhile cannot be taken back"),
        ]
        err().print(Pairs(facts))
        try:
            typed = ask("Type the company's name to go on", good=lambda _text: True, wanted="the company's name")
        except KeyboardInterrupt:
            err().print()
            say("interrupted. Nothing was made.")
            raise typer.Exit(130) from None
        if typed != org.name:
            raise InputError(f"That is not the name of this organisation, which is {org.name!r}. Nothing was made.")

    def _demand_version(self) -> None:
        if self._version < FIRST_VERSION:
            raise InputError(
                f"ZOHO_API_VERSION is {self._settings.zoho_api_version}, which has no mass convert.",
                hint="Unset it, or set it to v8: mass convert is there from v4 on.",
            )

    @property
    def _version(self) -> int:
        return int(self._settings.zoho_api_version[1:].partition(".")[0])

    # --- the three things to do ---

    def rehearse(self) -> None:
        """Clean up behind earlier runs, then rehearse, show and keep what was seen."""
        self._demand_version()
        if self._wanted.file:
            check_output(self._wanted.file, force=False)
        if self._wanted.ask_credits and not somebody_is_there():
            raise InputError("--ask-credits asks a person, and nobody is there to be asked.", hint="Leave it out.")
        owner = self._identify()
        self._demand_consent()
        for path in unfinished(self._folder):
            self._clean_one(path, owner)
        beside = self._wanted.file.with_suffix(".jsonl") if self._wanted.file else None
        if beside and is_unfinished(beside) and self._clean_one(beside, owner):
            raise InputError(f"{beside} names records that are left.", hint="Name another --file.")
        now = self._clock.now()
        moment = datetime.fromtimestamp(now, timezone.utc).strftime("%Y%m%dT%H%M%S")
        mark = f"mc-rehearsal-{moment}-{secrets.token_hex(2)}".lower()
        file = self._wanted.file or self._folder / f"{mark}.json"
        with Journal(file.with_suffix(".jsonl")) as journal:
            journal.begin(mark, owner.digest, now, self._settings.zoho_api_version)
            stage = self._stage(journal, mark)
            rehearsal = Rehearsal(stage, self._wanted.questions, self._tell_question)
            cleaned = self._run(rehearsal)
            self._finish(rehearsal, cleaned, file)

    def _run(self, rehearsal: Rehearsal) -> Cleaned:
        """Ask, and clean up whatever happens. Raises what stopped it, once all is cleaned up."""
        stage = rehearsal.stage
        try:
            with stoppable():
                demand_scopes(stage.wire, shown_by=next_command("rehearse", "--scopes", account=self._settings.account))
                rehearsal.make()
                rehearsal.ask()
        except (MassConvertError, Stopped) as error:
            if isinstance(error, Stopped):
                say("stopped. What was made is deleted; this takes a moment.", "yellow")
            self._tell_cleaned(self._cleaned(stage), stage.wire.journal.path)
            if isinstance(error, Stopped):
                raise typer.Exit(error.exit_status) from None
            raise
        self._say_step("deleting what was made")
        cleaned = self._cleaned(stage)
        rehearsal.note_clean_up(cleaned)
        return cleaned

    def _cleaned(self, stage: Stage) -> Cleaned:
        """Clean up; a signal meanwhile ends that, and says how to go on."""
        path = stage.wire.journal.path
        if stage.wire.journal.past.unanswered:
            say(f"an answer to a payload is missing: its job is waited for, up to {span(stage.job_wait)}.", "yellow")
        again = self._cleans_up(path)
        try:
            with stoppable():
                return clean_up(stage)
        except Stopped as stop:
            say("stopped, and not all is deleted.", "red")
            hint(f"To delete the rest: {again}")
            raise typer.Exit(stop.exit_status) from None
        except MassConvertError as error:
            error.hint = f"Not all is deleted. When that is fixed: {again}"
            raise

    def clean_up(self) -> None:
        """Delete what earlier runs have left."""
        file = self._wanted.file
        paths = [file.with_suffix(".jsonl")] if file else unfinished(self._folder)
        if file and not paths[0].exists():
            raise InputError(f"There is no journal {paths[0]}.", hint="Name the --file that the rehearsal had.")
        if not paths:
            tell("No rehearsal has left anything.")
            return
        owner = self._identify()
        left = [self._clean_one(path, owner) for path in paths]
        if any(left):
            raise typer.Exit(Exit.SOME_FAILED)

    def _clean_one(self, path: Path, owner: Owner) -> bool:
        """Clean up behind one run; whether something is left."""
        with Journal(path) as journal:
            past = journal.past
            if past.organisation and past.organisation != owner.digest:
                say(f"{path} is of another organisation: its own credentials clean it up.", "yellow")
                return True
            if not past.mark:
                return False
            say(f"cleaning up behind the rehearsal of {local_time(past.began)}.")
            cleaned = self._cleaned(self._stage(journal, past.mark))
        self._tell_cleaned(cleaned, path)
        return bool(cleaned.left)

    def look_later(self) -> None:
        """Ask for the job of the last rehearsal again, and add to its file what came."""
        file = self._wanted.file or self._last_file()
        found = read_json(file)
        owner = self._identify()
        with Journal(file.with_suffix(".jsonl")) as journal:
            job, accepted_at = journal.past.notes.get("job"), journal.past.notes.get("accepted_at")
            if not job or not isinstance(accepted_at, int | float):
                raise InputError(f"The rehearsal of {file} has followed no job.", hint="Give another --file.")
            if journal.past.organisation != owner.digest:
                raise LedgerMismatchError(f"{file} is of another organisation.", hint="Use its credentials.")
            clean = journal.past.clean
            stage = self._stage(journal, journal.past.mark)
            with stage.asking("17"):
                seen = look_later(stage, str(job), float(accepted_at))
            if clean:  # a look makes nothing
                journal.cleaned()
        before = found["seen"] if isinstance(found.get("seen"), dict) else {}
        found["seen"] = before | seen
        found["behaviour"] = behaviour(found["seen"])
        found.setdefault("later", []).append({"at": _iso(self._clock.now()), **seen})
        write_output(file, [json.dumps(found, indent=1, ensure_ascii=False), "\n"], force=True, mode=0o600)
        self._keep(found)
        if self._wanted.as_json:
            print_json(found)
            return
        age = span(self._clock.now() - float(accepted_at))
        known = "is still known" if "status_lives" in seen else f"is not known any more ({seen['status_gone_code']})"
        tell(f"The job is {age} old, and {known}.")

    def _last_file(self) -> Path:
        files = sorted(self._folder.glob("mc-rehearsal-*.json"))
        if not files:
            raise InputError("There is no rehearsal to look back at.", hint="Rehearse first, or name its --file.")
        return files[-1]

    # --- parts ---

    def _stage(self, journal: Journal, mark: str) -> Stage:
        wire = Wire(
            self._zoho,
            self._governor,
            journal,
            now=self._clock.now,
            wait=lambda seconds: Event().wait(seconds) if seconds > 0 else None,
            monotonic=time.monotonic,
        )
        calls = read_standing(self._redis, self._keys, self._clock, self._settings.zoho_concurrency).learnt
        kind = self._identity.kind
        beyond = self._wanted.beyond and kind in _FOR_TRYING
        if self._wanted.beyond and not beyond:
            say("--beyond-limit is for sandboxes: it is left out here.", "yellow")
        return Stage(
            wire,
            Cast(mark),
            self._version,
            kind,
            calls_at_once=calls,
            beyond_limit=beyond,
            fifty=self._wanted.fifty,
            job_wait=self._settings.job_wait,
            figure=_figure if self._wanted.ask_credits else lambda _after: None,
        )

    def _finish(self, rehearsal: Rehearsal, cleaned: Cleaned, file: Path) -> None:
        org = self._identity
        found = as_file(
            rehearsal,
            at=self._clock.now(),
            version=self._settings.zoho_api_version,
            environment=org.kind,
            edition=self._whose.edition,
            made_by=_ours(),
        )
        write_output(file, [json.dumps(found, indent=1, ensure_ascii=False), "\n"], mode=0o600)
        self._keep(found)
        if self._wanted.as_json:
            print_json(found)
        else:
            show(list(rows(rehearsal)))
        self._tell_cleaned(cleaned, file.with_suffix(".jsonl"))
        say(f"what was seen is in {file}.", "green")
        if self._settings.redis_url_given:
            hint("The ledger of this account goes by it from now on; docs/rehearsal.md says where.")
        used = next_command("rehearse", "--use", str(file), account=self._settings.account)
        hint(f"To have another account go by it, with that account's settings: {used}")
        if cleaned.left:
            raise typer.Exit(Exit.SOME_FAILED)

    def _keep(self, found: dict[str, Any]) -> None:
        """Keep the facts with the ledger, where there is one that stays."""
        if self._settings.redis_url_given:
            where = f"{self._identity.name or 'this organisation'} ({self._identity.kind or 'type not told'})"
            self._ledger.rehearsed.keep(facts_of(found["seen"], at=self._clock.now(), where=where))

    def _cleans_up(self, path: Path) -> str:
        """The command that deletes what the run of this journal has left."""
        words = [] if path.parent == self._folder else ["--file", str(path.with_suffix(".json"))]
        return next_command("rehearse", "--clean-up", *words, account=self._settings.account)

    def _tell_cleaned(self, cleaned: Cleaned, path: Path) -> None:
        """What was deleted, and what is left of the run whose journal this is."""
        if cleaned.number:
            say(f"{number_of(cleaned.number, 'record')} deleted{'' if cleaned.binned else _BIN}.")
        left: dict[tuple[str, str], list[str]] = {}
        for (module, record), why in cleaned.left.items():
            left.setdefault((module, why), []).append(record)
        for (module, why), ids in left.items():
            more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
            say(f"not deleted: {len(ids)} of {module} ({why}): {', '.join(ids[:_NAMED])}{more}.", "red")
        if left:
            by_hand = "Delete them by hand in the CRM (their names begin with mc-rehearsal)"
            hint(f"{by_hand}, or try again: {self._cleans_up(path)}")

    def _tell_question(self, question: Question) -> None:
        self._say_step(f"{question.number} {question.title}")

    def _say_step(self, text: str) -> None:
        if err().is_terminal:
            say(text, "dim")


def _figure(after: str) -> int | None:
    """The credits of the day that a person reads in the CRM's Setup; ``None`` where they leave it out."""
    typed = ask(
        f"Credits used today, {after} (Setup, APIs and SDKs, API usage; - to leave it out)",
        default="-",
        good=lambda text: text == "-" or text.replace(",", "").isdecimal(),
        wanted="a number, or -",
    )
    return None if typed == "-" else int(typed.replace(",", ""))


def read_json(path: Path) -> dict[str, Any]:
    """The file of a rehearsal. Raises InputError where it is none, OSError."""
    try:
        found = json.loads(path.read_bytes().decode("utf-8-sig"))
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise InputError(f"{path} is not the file of a rehearsal.", hint="It is the one that rehearse has written.")
    return found


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat(timespec="seconds")


def _ours() -> str:
    try:
        return f"zoho-mass-convert {version('zoho-mass-convert')}"
    except PackageNotFoundError:  # run from a checkout that was not installed
        return "zoho-mass-convert"
