"""``massconvert login``: from nothing to credentials that work, with one code of Zoho's API console."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from dotenv import dotenv_values
from pydantic import SecretStr

from massconvert.cli.account import command_settings
from massconvert.cli.console import err, out, print_json, print_lines, say, told_by_us
from massconvert.cli.dotenv_file import DOTENV, in_the_way, write_dotenv
from massconvert.cli.interview import agreed, ask, somebody_is_there
from massconvert.cli.layout import Column, Prose, Sheet
from massconvert.cli.output_file import check_output
from massconvert.contract import DEFAULT_ACCOUNT, Exit
from massconvert.doctor.scopes import ALL, NARROW, SCOPES, not_granted
from massconvert.doctor.whose import CHOOSE_EDITION, Whose, refused_entirely, whose
from massconvert.errors import InputError, ZohoError
from massconvert.settings import Settings
from massconvert.values import credential
from massconvert.words.next_command import Name, next_command
from massconvert.words.plurals import number_of
from massconvert.zoho.datacenters import DATA_CENTERS, data_center_of
from massconvert.zoho.login import CONSOLE, Login, LoginServer, SelfClient, in_words, log_in, places
from massconvert.zoho.transport import Transport

#: Where a script puts the code.
GRANT_CODE = "ZOHO_GRANT_CODE"
_TRIES = 3
_INTERRUPTED = 130

_STEPS = (
    f"1 Open {CONSOLE} (your data centre's own: api-console.zoho.eu, .in, …) as a user who may convert leads.",
    "2 Choose Self Client (the first time: Create). The tab Client Secret has an id and a secret.",
    "3 In the tab Generate Code paste these scopes, choose 10 minutes, write any text, and press Create:",
)

_EXAMPLES = """\b
Examples:
  massconvert login                            asks, and writes .env
  massconvert login --scopes                   what to paste in the API console, and what each scope is for
  massconvert login --file self_client.json    the file that the API console's Download gives
  massconvert login --print                    shows what to set, and writes nothing
\b
In a script: ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET and ZOHO_GRANT_CODE in the environment. No secret is an argument,
since every user of a machine can read those. Exit status: 0 logged in, 2 wrong input, 3 Zoho says no."""


def register(app: typer.Typer) -> None:
    """Add the command."""
    app.command("login", epilog=_EXAMPLES)(_login)


def _login(
    data_center: Annotated[
        str, typer.Option(metavar="DC", help=f"One of {', '.join(DATA_CENTERS)}; without it all are tried.")
    ] = "",
    file: Annotated[
        str, typer.Option(metavar="F.json", help="Id, secret and code: JSON, or lines as in .env; - for stdin.")
    ] = "",
    scopes: Annotated[bool, typer.Option("--scopes", help="Show the scopes to paste, and end.")] = False,
    replace_: Annotated[bool, typer.Option("--replace", help="Write over credentials that .env has.")] = False,
    print_: Annotated[bool, typer.Option("--print", help="Print what to set, and write nothing.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The same as JSON.")] = False,
) -> None:
    """Get credentials from Zoho, and write them to .env."""
    if scopes:
        _show_scopes(as_json=as_json)
        return
    session = _Session(command_settings(), writes=not (print_ or as_json), replaces=replace_)
    try:
        session.begin(data_center, file)
        session.exchange()
        found = session.look()
        session.end(found, as_json=as_json)
    except KeyboardInterrupt:
        err().print()  # behind the question
        say(f"interrupted. {session.left}")
        raise typer.Exit(_INTERRUPTED) from None


@dataclass(frozen=True)
class _Given:
    """What stands in a file, the environment or .env; blank is what does not."""

    client_id: str = ""
    client_secret: str = ""
    code: str = ""


class _Session:
    """One login. ``left`` says what an interruption leaves behind."""

    def __init__(self, settings: Settings, *, writes: bool, replaces: bool) -> None:
        self._settings, self._writes, self._replaces = settings, writes, replaces
        self._transport = Transport(
            connect_timeout=settings.connect_timeout, deadline=settings.call_deadline / 2, slots=1
        )
        self._places: tuple[LoginServer, ...] = ()
        self._named, self._asks = False, False
        self._client = SelfClient("", SecretStr(""), SecretStr(""))
        self._login: Login | None = None
        self.left = "Nothing was written."

    def begin(self, data_center: str, file: str) -> None:
        """Gather what is to be sent. Raises InputError, SettingsError, typer.Exit for a no."""
        settings = self._settings
        named = data_center_of(data_center)
        if data_center and not named:
            raise InputError(
                f"{data_center!r} is not a data centre of Zoho.", hint=f"Use one of {', '.join(DATA_CENTERS)}."
            )
        given = _given(settings, file)
        self._asks = not given.code and somebody_is_there()
        if self._writes:
            check_output(DOTENV, force=True)  # before a code is used up
        if self._asks:
            self._explain()
            known = "zoho_data_center" in settings.model_fields_set and settings.zoho_data_center
            named = named or self._ask_where(known or "")
            given = _asked(given)
        missing = [word for word, value in vars(given).items() if not value]
        if missing:
            raise InputError(
                f"Not given: {', '.join(missing).replace('_', ' ')}.",
                hint=f"Set ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET and {GRANT_CODE}, or name a file with them: "
                f"{self._command('login', '--file', 'self_client.json')}",
            )
        for word, value in vars(given).items():
            _demand_credential(word, value)
        if not named and "zoho_data_center" in settings.model_fields_set and not self._asks:
            named = settings.zoho_data_center
        self._named = bool(named or settings.zoho_accounts_url)
        self._places = places(named, settings.zoho_accounts_url, settings.zoho_api_domain)
        self._client = SelfClient(given.client_id, SecretStr(given.client_secret), SecretStr(given.code))
        if self._writes and not self._replaces:
            self._demand_room(given)

    def _demand_room(self, given: _Given) -> None:
        """Whether what .env has may be written over, where it is something else. Raises InputError, typer.Exit."""
        there = in_the_way(dict(zip(self._names, (given.client_id, given.client_secret, ""), strict=False)))
        if not there:
            return
        what = f".env has {', '.join(there)} already."
        if not self._asks:
            again = self._command("login", "--replace")
            raise InputError(
                what, hint=f"Nothing was written. Add --print to see what to set, or write over it: {again}"
            )
        say(what)
        if not agreed("Write over it, once the new credentials are there?"):
            say(self.left)
            raise typer.Exit(Exit.USAGE)

    def _explain(self) -> None:
        say("log in to Zoho CRM. It takes about two minutes in a browser.")
        console = err()
        for text in _STEPS:
            console.print(Prose(text, hanging=2))
        console.print(f"\n{','.join(ALL)}\n")
        least = self._command("login", "--scopes")
        console.print(Prose(f"  What each is for, and the least that converts leads: {least}", hanging=2))
        console.print(
            Prose("4 Choose the CRM and its organisation (production, or a sandbox), and copy the code.", hanging=2)
        )

    def _ask_where(self, known: str) -> str:
        if self._settings.zoho_accounts_url:
            return ""
        text = ask(
            "Where you log in to the CRM, like crm.zoho.eu or eu (? if you do not know)",
            default=known or "?",
            good=lambda text: text == "?" or bool(data_center_of(text)),
            wanted=f"one of {', '.join(DATA_CENTERS)}, an address like crm.zoho.eu, or ?",
        )
        return data_center_of(text)

    def exchange(self) -> None:
        """Exchange the code; where a person is there to make another one, again. Raises ZohoError."""
        for left in reversed(range(_TRIES)):
            with told_by_us():
                answer = log_in(self._transport, self._client, self._places, named=self._named)
            if isinstance(answer, Login):
                self._login = answer
                self.left = "Nothing was written, and the code is used up: make a new one."
                break
            what, fix = in_words(answer, self._places)
            if not (self._asks and left and answer.code in ("invalid_code", "invalid_grant")):
                then = self._command("login")
                raise ZohoError(what, hint=f"{fix.removesuffix('.')}, then: {then}", code=answer.code)
            say(what, "red")
            say(fix)
            self._client = replace(self._client, code=SecretStr(_ask_secret("The new code")))
        login = self._done
        if not login.grant.refresh_token.get_secret_value():
            raise ZohoError(
                "Zoho gives an access token for this code, and no refresh token.",
                hint="Use a code of the tab Generate Code of a self client.",
            )
        first = self._places[0].data_center
        if login.place.data_center != first and self._named:
            say(f"the client is of data centre {login.place.data_center}, not {first}.", "yellow")

    def look(self) -> Whose:
        """Ask for the organisation with one call, and judge what came. Raises ZohoError."""
        login = self._done
        missing = not_granted(login.grant.scope)
        needed = [scope for scope in missing if scope.needed]
        if needed:
            again = self._command("login", "--scopes")
            raise ZohoError(
                f"The code is without {', '.join(scope.name for scope in needed)}: {needed[0].without}.",
                hint=f"Nothing was written. Make a code with the scopes that this shows: {again}",
                code="OAUTH_SCOPE_MISMATCH",
            )
        with told_by_us():
            client = login.client(self._transport, self._settings.zoho_api_version)
            answer = client.get("org")
        refused = refused_entirely(answer)
        if refused:
            raise ZohoError(refused[0], hint=f"{refused[1]} Nothing was written.")
        found = whose(answer)
        if missing:
            then = self._command("whoami")
            say(f"{number_of(len(missing), 'scope is', 'scopes are')} left out. What that costs: {then}", "yellow")
        if isinstance(found.organisation, str):
            say(f"the organisation is not known: {found.organisation}.", "yellow")
        tell_trial(found)
        return found

    def end(self, found: Whose, *, as_json: bool) -> None:
        """Write what was got, or show it. Raises InputError where the file cannot be written."""
        values = dict(zip(self._names, self._values(), strict=True))
        if as_json:
            print_json({"settings": values, **as_dict(found)})
            return
        if not self._writes:
            print_lines([f"{name}={value}\n" for name, value in values.items()])
            return
        try:
            write_dotenv(values)
        except InputError:
            say("this is what to set; the code is used up.", "red")
            print_lines([f"{name}={value}\n" for name, value in values.items()])
            raise
        self.left = ".env is written."
        org = found.organisation
        whom = org if isinstance(org, str) else f"{org.name or org.org_id}{f' ({org.kind})' if org.kind else ''}"
        whom = f" to {whom}" if not isinstance(org, str) else ""
        say(f"logged in{whom}; the credentials are in .env, which only you can read.", "green")
        hidden = [name for name, value in values.items() if os.environ.get(name, value) != value]
        if hidden:
            say(f"{', '.join(hidden)} in the environment wins over .env: unset it.", "yellow")
        say(f"next: {self._command('doctor')}")

    @property
    def _done(self) -> Login:
        if self._login is None:
            raise ZohoError("Zoho has given no token.")
        return self._login

    @property
    def _names(self) -> tuple[str, ...]:
        """The variables to set: the account's own."""
        account = self._settings.account
        suffix = "" if account == DEFAULT_ACCOUNT else f"__{account.upper().replace('-', '_')}"
        where = () if self._settings.zoho_accounts_url else (f"ZOHO_DATA_CENTER{suffix}",)
        return (*self._settings.credential_names, *where)

    def _values(self) -> tuple[str, ...]:
        login, client = self._done, self._client
        secrets = (client.client_secret.get_secret_value(), login.grant.refresh_token.get_secret_value())
        where = () if self._settings.zoho_accounts_url else (login.place.data_center,)
        return (client.client_id, *secrets, *where)

    def _command(self, name: Name, *words: str) -> str:
        return next_command(name, *words, account=self._settings.account)


def tell_trial(found: Whose) -> None:
    """Say that the trial is over, and the way on, where it is so."""
    if found.trial_ends is not None and found.trial_over(time.time()):
        day = datetime.fromtimestamp(found.trial_ends, timezone.utc).date()
        say(f"the organisation's trial ended on {day}: Zoho may refuse calls.", "yellow")
        say(CHOOSE_EDITION)


def as_dict(found: Whose) -> dict[str, Any]:
    """What is known of an organisation and its user, for scripts."""
    org = found.organisation
    named = {"id": org.org_id, "name": org.name, "environment": org.kind} if not isinstance(org, str) else None
    return {
        "organisation": named,
        "edition": found.edition or None,
        "trial_ends": _iso(found.trial_ends),
        "paid_until": _iso(found.paid_until),
        "user": {"name": found.user, "email": found.email, "profile": found.profile} if found.user else None,
    }


def _iso(moment: float | None) -> str | None:
    return None if moment is None else datetime.fromtimestamp(moment, timezone.utc).isoformat()


def _show_scopes(*, as_json: bool) -> None:
    if as_json:
        print_json({"all": ALL, "least": NARROW, "without": {scope.name: scope.without for scope in SCOPES}})
        return
    console = out()
    rows = [(scope.name, "yes" if scope.name in NARROW else "", scope.without) for scope in SCOPES]
    console.print(Sheet((Column("scope"), Column("least"), Column("without it", prose=True)), rows))
    for title, names in (("All, to paste:", ALL), ("The least that converts leads by their ids:", NARROW)):
        console.print(f"\n{title}\n{','.join(names)}")


def _given(settings: Settings, file: str) -> _Given:
    """What need not be asked. Raises InputError for a file that cannot be used."""
    if file:
        return _from_file(file)
    return _Given(
        settings.zoho_client_id,
        settings.zoho_client_secret.get_secret_value(),
        os.environ.get(GRANT_CODE, "").strip(),
    )


def _from_file(file: str) -> _Given:
    text = sys.stdin.read() if file == "-" else Path(file).read_bytes().decode("utf-8-sig", "replace")
    try:
        found = json.loads(text)
    except ValueError:
        lines = dotenv_values(stream=StringIO(text))
        names = {"client_id": "ZOHO_CLIENT_ID", "client_secret": "ZOHO_CLIENT_SECRET", "code": GRANT_CODE}
        found = {key: lines.get(name) for key, name in names.items()}
    found = found if isinstance(found, Mapping) else {}
    values = [found.get(key) for key in ("client_id", "client_secret", "code")]
    if not all(isinstance(value, str) and value.strip() for value in values):
        raise InputError(
            f"{file} has no client_id, client_secret and code.",
            hint="Use the file that the API console's Download gives after Generate Code.",
        )
    return _Given(*(str(value).strip() for value in values))


def _asked(given: _Given) -> _Given:
    client_id = ask("Client id", default=given.client_id or None, good=_fits, wanted="the id: it begins with 1000.")
    same = client_id == given.client_id and given.client_secret
    kept = " (Enter: the one that is set)" if same else ""
    secret = _ask_secret(f"Client secret{kept}", given.client_secret if same else "")
    return _Given(client_id, secret, _ask_secret("Code"))


def _ask_secret(question: str, kept: str = "") -> str:
    """A secret, which is not shown. ``kept`` is what Enter alone means."""
    return ask(
        f"{question}, which is not shown",
        default=kept or None,
        good=_fits,
        wanted="what the API console shows, whole",
        hidden=True,
    )


def _fits(text: str) -> bool:
    try:
        return bool(credential(text))
    except ValueError:
        return False


def _demand_credential(word: str, value: str) -> None:
    if not _fits(value):
        name = word.replace("_", " ")
        raise InputError(f"The {name} has a character in it that none of Zoho's has.", hint="Copy it again, whole.")
