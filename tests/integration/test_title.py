"""A ledger has one owner and one format: whoever comes with another is refused, before anything is written or sent."""

from __future__ import annotations

from typing import Any

import pytest

from massconvert import MassConvert
from massconvert.errors import LedgerMismatchError
from massconvert.ledger import Ledger
from massconvert.ledger.title import FORMAT
from massconvert.model import Owner, OwnerKind
from massconvert.policy import Tuning
from massconvert.settings import Settings

pytestmark = pytest.mark.integration

ACME = Owner("acme", OwnerKind.ORGANISATION, "Acme", "eu", client="client-1")
OTHER = Owner("other", OwnerKind.ORGANISATION, "Other", "us", client="client-2")
LEADS = ["3652397000009850001"]


@pytest.fixture
def ledger(redis_client: Any) -> Ledger:
    return Ledger(redis_client, "default", Tuning())


# --- claim_title ---


def test_who_comes_first_owns_it_and_all_credentials_of_the_same_organisation_may_use_it(ledger: Ledger) -> None:
    ledger.title.claim(ACME, "credentials-1")
    ledger.title.claim(ACME, "credentials-2")
    assert ledger.title.owner() == Owner("acme", OwnerKind.ORGANISATION, "Acme", "eu")
    assert ledger.title.knows("credentials-1")
    assert ledger.title.knows("credentials-2")


def test_another_organisation_is_refused_and_changes_nothing(ledger: Ledger, redis_client: Any) -> None:
    ledger.title.claim(ACME, "credentials-1")
    before = redis_client.hgetall("mc:{default}:ledger")
    with pytest.raises(
        LedgerMismatchError, match=r"belongs to 'Acme' \(eu\).*of 'Other' \(us\).*Nothing was sent"
    ) as told:
        ledger.title.claim(OTHER, "credentials-2")
    assert "another account" in told.value.hint
    assert redis_client.hgetall("mc:{default}:ledger") == before


def test_a_client_that_may_not_ask_is_known_by_itself_until_it_may(ledger: Ledger) -> None:
    alone = Owner("client-1", OwnerKind.CLIENT, "", "eu", client="client-1")
    ledger.title.claim(alone, "credentials-1")
    ledger.title.claim(alone, "credentials-2")
    with pytest.raises(LedgerMismatchError):
        ledger.title.claim(Owner("client-2", OwnerKind.CLIENT, "", "eu", client="client-2"), "credentials-3")
    ledger.title.claim(ACME, "credentials-4")  # the same client, with a scope more
    assert ledger.title.owner() == Owner("acme", OwnerKind.ORGANISATION, "Acme", "eu")
    ledger.title.claim(alone, "credentials-5")  # and with one less again
    assert ledger.title.owner() == Owner("acme", OwnerKind.ORGANISATION, "Acme", "eu")
    with pytest.raises(LedgerMismatchError):
        ledger.title.claim(OTHER, "credentials-6")


# --- producers ---


def settings(url: str, token: str = "") -> Settings:
    return Settings(redis_url=url, zoho_client_id="1000.X", zoho_client_secret="not-a-secret", zoho_refresh_token=token)


def test_a_producer_without_credentials_may_use_it(ledger: Ledger, redis_url: str) -> None:
    ledger.title.claim(ACME, "credentials-1")
    assert MassConvert(settings(redis_url)).enqueue(LEADS, options={}).accepted == 1


def test_a_producer_with_the_owners_credentials_may_use_it(ledger: Ledger, redis_url: str) -> None:
    ours = settings(redis_url, token="1000.a")
    ledger.title.claim(ACME, ours.credentials_digest)
    assert MassConvert(ours).enqueue(LEADS, options={}).accepted == 1


def test_a_producer_with_other_credentials_is_refused_and_writes_nothing(
    ledger: Ledger, redis_url: str, redis_client: Any
) -> None:
    ledger.title.claim(ACME, "credentials-1")
    before = redis_client.keys()
    with pytest.raises(LedgerMismatchError, match="make them known: massconvert doctor"):
        MassConvert(settings(redis_url, token="1000.b")).enqueue(LEADS, options={})
    assert redis_client.keys() == before


# --- the format ---


def test_a_new_ledger_gets_the_number_of_this_version(ledger: Ledger, redis_client: Any) -> None:
    ledger.title.demand_format()
    assert redis_client.hget("mc:{default}:ledger", "format") == str(FORMAT)
    ledger.title.demand_format()


@pytest.mark.parametrize(
    ("found", "hint"), [("2", "the newer version"), ("0", "docs/upgrading.md"), ("x", "upgrading")]
)
def test_another_number_is_refused_with_what_to_do(ledger: Ledger, redis_client: Any, found: str, hint: str) -> None:
    redis_client.hset("mc:{default}:ledger", "format", found)
    with pytest.raises(LedgerMismatchError, match=f"has format {found}") as told:
        ledger.title.demand_format()
    assert hint in told.value.hint


def test_a_ledger_of_before_the_numbers_is_taken_over_where_it_can_be_read(ledger: Ledger, redis_client: Any) -> None:
    redis_client.zadd("mc:{default}:batches", {"b": 1.0})
    redis_client.sadd("mc:{default}:batch:b:chunks", "1")
    ledger.title.demand_format()


def test_one_that_cannot_be_read_is_refused(ledger: Ledger, redis_client: Any) -> None:
    redis_client.zadd("mc:{default}:batches", {"b": 1.0})
    redis_client.rpush("mc:{default}:batch:b:chunks", "1")  # a list, as it once was
    with pytest.raises(LedgerMismatchError, match="an older format"):
        ledger.title.demand_format()
    assert not redis_client.exists("mc:{default}:ledger")
