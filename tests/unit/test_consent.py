"""Who is asked before leads are converted, and what the question says; the acceptance tests have a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from massconvert.cli import consent
from massconvert.cli.consent import UNASKED
from massconvert.model import Busy, NotSent, Refused, Unsent
from massconvert.zoho.answers import Body
from massconvert.zoho.identity import Identity, identity_in
from tests.unit.cli_shell import Shell


def org(**facts: Any) -> Body:
    return Body({"org": [{"id": "77", "company_name": "Acme", **facts}]})


class Person:
    """Sits at a terminal, or does not; ``answers`` what is asked, and ``zoho`` what GET org is answered with."""

    def __init__(self, shell: Shell, patch: pytest.MonkeyPatch) -> None:
        self.shell = shell
        self.asked = 0
        self.answers = True
        self.zoho: Any = org(type="production")
        self.terminal(True)
        patch.setattr(consent, "agreed", self._agreed)
        patch.setattr(consent, "connect_finder", lambda _: (None, None))
        patch.setattr(consent, "ask_org", lambda *_: self.zoho)
        for name in ("CLIENT_ID", "CLIENT_SECRET", "REFRESH_TOKEN"):
            patch.setenv(f"ZOHO_{name}", "x")
        for module in ("massconvert.cli.enqueue.demand_ours", "massconvert.cli.enqueue.check_before_enqueue"):
            patch.setattr(module, lambda *_: None)

    def terminal(self, *there: bool) -> None:
        self.shell._patch.setattr(consent, "somebody_is_there", lambda: all(there))

    def _agreed(self, _: str) -> bool:
        self.asked += 1
        return self.answers

    def enqueue(self, count: int, *more: str) -> Any:
        ids = [str(3652397000009850001 + number) for number in range(count)]
        self.shell.write("leads.txt", "\n".join([*ids, *ids[:5]]))
        return self.shell.run("enqueue", "leads.txt", "--no-deal", "--key", "k", *more)


@pytest.fixture
def person(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Person:
    return Person(Shell(monkeypatch, capsys, tmp_path), monkeypatch)


def test_more_than_ten_leads_of_a_production_organisation_are_asked_about_once(person: Person) -> None:
    said = person.enqueue(UNASKED + 1)
    assert (said.code, person.asked) == (0, 1)
    assert "11 leads will be converted. That cannot be undone." in said.err  # the five that are there twice count once
    assert "'Acme', id 77, data centre us, production" in said.err
    assert person.shell.run("status", "k").code == 0


@pytest.mark.parametrize("kind", ["sandbox", "developer", "Sandbox"])
def test_organisations_for_trying_are_not_asked_about(person: Person, kind: str) -> None:
    person.zoho = org(type=kind)
    assert person.enqueue(50).code == 0
    assert person.asked == 0


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (org(), "of a type that Zoho does not tell"),
        (org(type="bigin"), "bigin"),
        (org(type=7), "of a type that Zoho does not tell"),
        (Body({}), "not known, since Zoho does not tell it"),
        (
            Refused(401, "OAUTH_SCOPE_MISMATCH", "invalid scope"),
            "not known, since Zoho answered 401 OAUTH_SCOPE_MISMATCH",
        ),
        (NotSent(Unsent.CREDENTIALS, "no token"), "not known, since no token"),
        (Busy(1.0, "the gate is closed"), "not known, since the gate is closed"),
    ],
)
def test_what_is_not_known_is_asked_about(person: Person, answer: Any, said: str) -> None:
    person.zoho, person.answers = answer, False
    done = person.enqueue(11)
    assert (done.code, person.asked) == (2, 1)
    assert said in done.err
    assert "Nothing was enqueued." in done.err
    assert person.shell.run("status", "k").code == 2  # there is no batch


def test_a_producer_without_credentials_is_asked(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ZOHO_CLIENT_ID")
    assert "not known, since there are no credentials here" in person.enqueue(11).err
    assert person.asked == 1


@pytest.mark.parametrize("arguments", [("--yes",), ("-y",), ("--dry-run",)])
def test_who_has_said_yes_or_only_looks_is_not_asked(person: Person, arguments: tuple[str, ...]) -> None:
    assert person.enqueue(50, *arguments).code == 0
    assert person.asked == 0


def test_ten_leads_and_a_pipe_are_not_asked_about(person: Person) -> None:
    assert person.enqueue(UNASKED).code == 0
    person.terminal(True, False)
    assert person.enqueue(5000).code == 0
    assert person.asked == 0


def test_of_very_many_it_says_at_most(person: Person, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(consent, "_COUNTED", 12)
    assert "At most 16 leads will be converted." in person.enqueue(11).err


def test_the_deal_the_owner_and_the_canary_are_told(person: Person) -> None:
    person.answers = False
    person.shell.write(
        "o.json", '{"Deals": {"Deal_Name": "R", "Stage": "Won", "Closing_Date": "+3d"}, "assign_to": "ann@example.com"}'
    )
    person.shell.write("leads.txt", "\n".join(str(3652397000009850001 + number) for number in range(60)))
    said = person.shell.run("enqueue", "leads.txt", "--options", "o.json", "--canary", "5").err
    assert "deal          Deal_Name R, Stage Won, Closing_Date +3d" in said
    assert "owner         ann@example.com" in said
    assert "cost          4 calls, about 12 credits" in said
    assert "first         5 leads, as a canary" in said


def test_an_organisation_is_read_from_the_answer() -> None:
    assert identity_in(org(type="Production")) == Identity("77", "Acme", "production")
