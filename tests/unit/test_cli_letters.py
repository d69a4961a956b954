"""massconvert letters: what was not taken is seen, handed back as it came, or dropped by its name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from massconvert.cli import letters
from massconvert.contract import Exit
from massconvert.doctor import Level
from massconvert.doctor.message_checks import check_messages
from massconvert.doctor.site import Site
from massconvert.errors import BrokerError
from massconvert.ledger import Message
from massconvert.settings import Settings
from tests.unit.cli_shell import Shell

NOW = 1_800_000_000.0


class FakeNudge:
    """Notes what is handed back; ``broken`` is a broker that is away."""

    sent: list[tuple[str, Sequence[Any], Mapping[str, Any]]]
    broken = False

    def __init__(self, broker_url: str, account: str = "default") -> None:
        pass

    def enqueue(self, message_id: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
        if FakeNudge.broken:
            raise BrokerError("The message broker cannot be reached.", hint="Start it.")
        FakeNudge.sent.append((message_id, args, kwargs))


@pytest.fixture
def shell(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Shell:
    FakeNudge.sent, FakeNudge.broken = [], False
    monkeypatch.setattr(letters, "Nudge", FakeNudge)
    return shell


def keep(shell: Shell, *names: str, kind: Any = "stuck") -> None:
    """Messages that are kept, the first the oldest."""
    for number, name in enumerate(names):
        kept = Message(name, [["1", "2"]], {"key": f"key-{name}"})
        assert shell.ledger.letters.keep(kept, kind, f"why {name}\x1b[31m", 9, now=NOW + number)


def test_where_all_was_taken_it_says_so(shell: Shell) -> None:
    assert shell.run("letters").out == "Every message that came was taken.\n"
    assert shell.run("letters", "--json").json == {"set_aside": [], "refused": [], "late": []}
    assert shell.run("letters", "--again", "all").out == "No message is set aside.\n"


def test_people_see_which_why_and_since_when(shell: Shell) -> None:
    keep(shell, "m1")
    keep(shell, "m2", kind="refused")
    shell.ledger.letters.note("m3", "no such profile", now=float(shell.connect("").time()[0]))
    said = shell.run("letters").out
    for words in ("m1", "set aside", "why m1", "key-m1", "m2", "refused", "m3", "comes back", "no such profile"):
        assert words in said
    assert "\x1b" not in said


def test_what_is_shown_is_bounded_and_json_has_all(shell: Shell) -> None:
    keep(shell, *(f"m{number}" for number in range(25)))
    said = shell.run("letters")
    assert said.out.count("set aside") == 20
    assert "5 more; --json has all of them." in said.err
    found = shell.run("letters", "--json").json
    assert len(found["set_aside"]) == 25
    assert found["set_aside"][0]["id"] == "m24"
    assert found["set_aside"][0] | {"why": ""} == {
        "id": "m24",
        "at": "2027-01-15T08:00:24.000Z",
        "why": "",
        "tries": 9,
        "leads": 2,
        "key": "key-m24",
        "profile": "",
    }


def test_a_whole_message_can_be_seen(shell: Shell) -> None:
    keep(shell, "m1")
    assert shell.run("letters", "--show", "m1").json == {"id": "m1", "args": [["1", "2"]], "kwargs": {"key": "key-m1"}}


def test_a_message_may_hold_what_no_terminal_takes(shell: Shell) -> None:
    """That may be why it was not taken."""
    assert shell.ledger.letters.keep(
        Message("m1", [["\ud800\x1b[31m"]], {"key": "\ud800"}), "stuck", "\ud800", 1, now=NOW
    )
    for arguments in ((), ("--json",), ("--show", "m1"), ("--again", "m1")):
        said = shell.run("letters", *arguments)
        assert said.code == Exit.OK
        assert "\x1b" not in said.out
    assert FakeNudge.sent == [("m1", [["\ud800\x1b[31m"]], {"key": "\ud800"})]


def test_a_letter_is_handed_back_under_its_own_id_and_gone(shell: Shell) -> None:
    """So that it is the same batch, however often it is sent."""
    keep(shell, "m1", "m2")
    said = shell.run("letters", "--again", "m1")
    assert said.code == Exit.OK
    assert "its batch is key-m1" in said.out
    assert FakeNudge.sent == [("m1", [["1", "2"]], {"key": "key-m1"})]
    assert [letter.id for letter in shell.ledger.letters.latest("stuck")] == ["m2"]


def test_all_that_were_set_aside_are_handed_back_the_oldest_first(shell: Shell) -> None:
    """Not what was refused: that stays wrong, unless somebody names it."""
    keep(shell, "m1", "m2", "m3")
    keep(shell, "r1", kind="refused")
    assert shell.run("letters", "--again", "all", "--json").json == {"again": ["m1", "m2", "m3"]}
    assert [name for name, *_ in FakeNudge.sent] == ["m1", "m2", "m3"]
    assert shell.ledger.letters.counts() == {"stuck": 0, "refused": 1}
    assert shell.run("letters", "--again", "r1").code == Exit.OK


def test_a_letter_that_the_broker_does_not_take_stays(shell: Shell) -> None:
    keep(shell, "m1")
    FakeNudge.broken = True
    assert shell.run("letters", "--again", "m1").code == Exit.UNREACHABLE
    assert shell.ledger.letters.counts()["stuck"] == 1


def test_a_letter_is_dropped_by_its_name_only(shell: Shell) -> None:
    keep(shell, "m1", "m2")
    assert shell.run("letters", "--drop", "all").code == Exit.USAGE
    assert shell.run("letters", "--drop", "m1", "--drop", "m2", "--json").json == {"dropped": ["m1", "m2"]}
    assert shell.ledger.letters.counts()["stuck"] == 0
    assert FakeNudge.sent == []


@pytest.mark.parametrize(
    "arguments", [("--again", "m1", "--again", "x"), ("--drop", "m1", "--drop", "x"), ("--show", "x")]
)
def test_an_unknown_letter_is_told_and_nothing_is_done(shell: Shell, arguments: tuple[str, ...]) -> None:
    keep(shell, "m1")
    said = shell.run("letters", *arguments)
    assert said.code == Exit.USAGE
    assert "There is no letter x." in said.err
    assert FakeNudge.sent == []
    assert shell.ledger.letters.counts()["stuck"] == 1


def test_two_things_at_once_are_refused(shell: Shell) -> None:
    assert shell.run("letters", "--again", "m1", "--drop", "m1").code == Exit.USAGE


def test_status_tells_of_them(shell: Shell) -> None:
    assert "message" not in shell.run("status").out
    shell.ledger.letters.note("m1", "There is no profile 'nightly'.", now=float(shell.connect("").time()[0]))
    keep(shell, "m2", "m3")
    said = shell.run("status").out
    assert "1 message could not be taken since " in said
    assert "There is no profile 'nightly'." in said
    assert "2 messages were set aside; to see why: massconvert letters" in said
    assert shell.run("status", "--json").json["messages"] == {"late": 1, "set_aside": 2, "refused": 0}


def test_the_doctor_tells_of_them(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("massconvert.doctor.site.connect", shell.connect)
    for account, named in (("default", ""), ("emea", " --account emea")):
        site = Site(Settings(MASSCONVERT_ACCOUNT=account))
        assert [finding.level for finding in check_messages(site)] == [Level.OK]
        site.ledger.letters.note("m1", "no such profile", now=float(shell.connect("").time()[0]))
        site.ledger.letters.keep(Message("m2", [], {}), "stuck", "a bug", 9, now=NOW)
        site.ledger.letters.keep(Message("m3", [], {}), "refused", "no ids", 1, now=NOW)
        late, stuck, refused = check_messages(site)
        assert (late.level, stuck.level, refused.level) == (Level.WARNING, Level.WRONG, Level.WARNING)
        assert late.what.startswith("1 message could not be taken since ")
        assert late.what.endswith(": no such profile")
        assert stuck.what.startswith("1 message could not be taken, set aside since 2027-01-")
        assert stuck.fix.endswith(f"massconvert letters --again all{named}")
        assert refused.fix.endswith(f"massconvert letters{named}")
