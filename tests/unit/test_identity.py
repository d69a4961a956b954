"""Whose credentials these are: what Zoho's answer to GET org says of it, and what nobody can tell."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from massconvert.errors import LedgerMismatchError
from massconvert.model import NotSent, Owner, OwnerKind, PerhapsAccepted, Refused, Unsent
from massconvert.ownership import Ownership
from massconvert.policy.codes import TOKEN_CODES
from massconvert.settings import Settings
from massconvert.zoho.answers import Body
from massconvert.zoho.edition import limit_of
from massconvert.zoho.identity import Papers, Unknown, owner_of, papers_of

PAPERS = Papers("credentials", "client", "eu", "")


def org(**fields: Any) -> Body:
    """An answer to GET org."""
    return Body({"org": [{"id": "3652397000000000001", "company_name": "Acme", **fields}]})


def refused(status: int, code: str) -> Refused:
    return Refused(status=status, code=code, message="")


def test_an_organisation_is_known_by_its_id_whatever_client_asks() -> None:
    first, second = owner_of(org(), PAPERS), owner_of(org(), replace(PAPERS, client="other", credentials="other"))
    assert isinstance(first, Owner)
    assert isinstance(second, Owner)
    assert (first.kind, first.name, first.place) == (OwnerKind.ORGANISATION, "Acme", "eu")
    assert first.digest == second.digest
    assert "3652397" not in first.digest


def test_two_organisations_differ_and_so_do_two_simulators() -> None:
    digests = {
        owner_of(org(), PAPERS).digest,  # type: ignore[union-attr]  # an owner, or the test fails
        owner_of(org(id="3652397000000000002"), PAPERS).digest,  # type: ignore[union-attr]  # as above
        owner_of(org(), replace(PAPERS, apart="127.0.0.1:8600")).digest,  # type: ignore[union-attr]  # as above
        owner_of(org(), replace(PAPERS, apart="127.0.0.1:8601")).digest,  # type: ignore[union-attr]  # as above
    }
    assert len(digests) == 4


@pytest.mark.parametrize(
    "answer",
    [
        refused(401, "OAUTH_SCOPE_MISMATCH"),
        refused(403, "NO_PERMISSION"),
        Body({}),
        Body({"org": []}),
        Body({"org": [1]}),
    ],
)
def test_where_zoho_does_not_tell_the_client_stands_for_it(answer: Any) -> None:
    assert owner_of(answer, PAPERS) == Owner("client", OwnerKind.CLIENT, "", "eu", "client")


@pytest.mark.parametrize(
    "answer",
    [
        NotSent(Unsent.CONNECT, "connection refused"),
        NotSent(Unsent.CREDENTIALS, "invalid_code"),
        PerhapsAccepted("a lost answer"),
        refused(429, "TOO_MANY_REQUESTS"),
        refused(503, ""),
        refused(401, "INVALID_TOKEN"),
    ],
)
def test_an_answer_that_says_nothing_makes_nobody_the_owner(answer: Any) -> None:
    assert isinstance(owner_of(answer, PAPERS), Unknown)


def test_papers_tell_nothing_of_the_credentials() -> None:
    settings = Settings(zoho_client_id="1000.ID", zoho_client_secret="shh", zoho_refresh_token="1000.token")
    papers = papers_of(settings)
    assert not any(secret in repr(papers) for secret in ("1000", "shh", "token"))
    assert papers.place == "us"


def test_a_simulator_is_an_organisation_of_its_own() -> None:
    settings = Settings(zoho_api_domain="http://127.0.0.1:8600", zoho_accounts_url="http://127.0.0.1:8600")
    assert papers_of(settings).apart == "127.0.0.1:8600"
    assert papers_of(Settings(zoho_api_domain="https://zoho-proxy.example.com")).apart == ""


class FakeTitle:
    """A ledger's title in memory."""

    def __init__(self, owner: Owner | None = None) -> None:
        self.is_of, self.seen = owner, set[str]()

    def demand_format(self) -> None:
        """The format is right."""

    def owner(self) -> Owner | None:
        return self.is_of

    def knows(self, credentials: str) -> bool:
        return credentials in self.seen

    def claim(self, owner: Owner, credentials: str) -> None:
        if self.is_of and self.is_of.digest != owner.digest:
            raise LedgerMismatchError("another one's")
        self.is_of = owner
        self.seen.add(credentials)


class FakeZoho:
    """Answers GET org, gives permits, and counts."""

    def __init__(self, *answers: Any) -> None:
        self.answers, self.calls = list(answers), 0

    def get(self, _path: str) -> Any:
        self.calls += 1
        return self.answers.pop(0)

    def acquire(self, _call: Any) -> Any:
        return object()

    def release(self, _permit: Any, _answer: Any = None) -> None:
        pass


def ownership(title: FakeTitle, zoho: FakeZoho, now: list[float]) -> Ownership:
    settings = Settings(zoho_client_id="1000.ID", zoho_client_secret="shh", zoho_refresh_token="1000.t")
    calls: Any = (zoho, zoho)
    return Ownership(title, settings, lambda: calls, monotonic=lambda: now[0])  # type: ignore[arg-type]  # a fake


def test_zoho_is_asked_once_and_credentials_that_are_known_cost_no_call() -> None:
    title, zoho = FakeTitle(), FakeZoho(org())
    first = ownership(title, zoho, [0.0])
    assert first.demand() == first.demand() == ""
    assert ownership(title, zoho, [0.0]).demand() == ""
    assert zoho.calls == 1


def test_what_cannot_be_told_now_is_asked_again() -> None:
    title, zoho = FakeTitle(), FakeZoho(PerhapsAccepted("lost"), org())
    ours = ownership(title, zoho, [0.0])
    assert ours.demand() == "lost"
    assert title.is_of is None
    assert ours.demand() == ""


def test_another_ones_ledger_is_refused_again_and_again_and_zoho_is_not_asked_each_time() -> None:
    now, zoho = [0.0], FakeZoho(org(), org(), org())
    ours = ownership(FakeTitle(Owner("x", OwnerKind.ORGANISATION, "X", "eu")), zoho, now)
    for now[0] in (0.0, 10.0, 20.0, 31.0, 35.0):
        with pytest.raises(LedgerMismatchError):
            ours.demand()
    assert zoho.calls == 2


def test_a_command_does_not_go_on_where_nobody_can_tell_whose_an_owned_ledger_is() -> None:
    taken = FakeTitle(Owner("x", OwnerKind.ORGANISATION, "X", "eu"))
    with pytest.raises(LedgerMismatchError, match=r"belongs to 'X' \(eu\).*cannot be told now: lost"):
        ownership(taken, FakeZoho(PerhapsAccepted("lost")), [0.0]).demand_known()
    ownership(FakeTitle(), FakeZoho(PerhapsAccepted("lost")), [0.0]).demand_known()


@pytest.mark.parametrize("code", sorted(TOKEN_CODES))
def test_a_token_that_has_ended_holds_the_edition_back_for_a_minute_only(code: str) -> None:
    """As after a token that another process has kept; a missing scope is not asked about for an hour."""
    assert limit_of(refused(401, code))[2] == 60
    assert limit_of(refused(401, "OAUTH_SCOPE_MISMATCH"))[2] == 3600
