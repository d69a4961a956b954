"""The ledger in a Redis Cluster of three primaries, each with a replica: a node goes, and a slot moves, under load.

The broker is a Redis of its own: Celery knows no Cluster.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from redis.crc import key_slot

from massconvert import MassConvert
from massconvert.settings import load_settings
from massconvert.store import Keys
from tests.acceptance.broker import only_redis
from tests.acceptance.house import OPTIONS, House
from tests.acceptance.street import WITHIN, Street
from tests.acceptance.truth import assert_true, outcomes_of
from tests.servers import Shards

pytestmark = [pytest.mark.acceptance, only_redis, pytest.mark.slow]

CREDENTIALS = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN", "ZOHO_ACCOUNTS_URL", "ZOHO_API_DOMAIN")


def slot_of(account: str) -> int:
    """The slot in which all keys of an account are."""
    return key_slot(Keys(account).prefix.encode())


@pytest.fixture
def group(house: House, own_group: Callable[..., Any]) -> Shards:
    """A Cluster that has the house's ledger; its nodes are missed after 3 s, which busy machines answer within."""
    made: Shards = own_group(Shards, node_timeout=3000)
    house.redis()
    house.environment |= {"REDIS_URL": made.url, "CELERY_BROKER_URL": house.redis_url}
    return made


@pytest.mark.timeout(360)
def test_a_node_that_is_killed_under_load_and_another_account_on_another_node(house: House, group: Shards) -> None:
    """While one node is missing, none of a Cluster takes anything: both accounts wait, and both come through."""
    there = group.owner(slot_of("default"))
    other = next(name for name in ("acme", "emea", "shop", "west") if group.owner(slot_of(name)) != there)
    house.simulator("--credentials", "other-id", "other-secret", "other-token", "--leads", "100")
    theirs, leads_of_theirs = house.sim_url, house.leads()
    (house.folder / "massconvert.toml").write_text(f"[accounts.{other}]\nconcurrency = 10\n")
    house.environment["MASSCONVERT_CONFIG"] = str(house.folder / "massconvert.toml")
    for name in CREDENTIALS:
        house.environment[f"{name}__{other.upper()}"] = house.environment.pop(name)
    street = Street(house)
    names = ("REDIS_URL", "CELERY_BROKER_URL", "MASSCONVERT_CONFIG")  # a producer needs no credentials
    environment = {name: house.environment[name] for name in names}
    app = MassConvert(load_settings({**environment, "MASSCONVERT_ACCOUNT": other}, dotenv=None))
    batch = app.enqueue(leads_of_theirs, options=OPTIONS)
    group.kill(there)
    group.await_other(slot_of("default"), there)
    since = time.monotonic()
    street.moves_on()
    assert time.monotonic() - since < WITHIN
    street.ends_well()
    batch.wait(timeout=120)
    house.sim_url = theirs
    rows = outcomes_of(batch)
    assert set(rows) == set(leads_of_theirs)
    assert_true(house, rows)
    assert {json.dumps(row["outcome"]) for row in rows.values()} == {'"converted"'}


@pytest.mark.timeout(360)
def test_a_slot_that_moves_under_load_there_and_back(house: House, group: Shards) -> None:
    """While it moves, scripts are refused as a whole: none runs on the target's empty ledger, none ends half done.

    Where one does, MIGRATE finds its keys there already.
    """
    house.environment["ZOHO_CONCURRENCY"] = "2"  # so that there is work all the time
    street, slot = Street(house, leads=1500), slot_of("default")
    source = group.owner(slot)
    target = next(port for port in group.ports[:3] if port != source)
    for to in (target, source):
        group.move(slot, to, steps=20, pause=0.2)
        street.moves_on(40)  # what was claimed as the slot began to move is claimed again when its lease has ended
        assert not street.batch.progress().finished, "there was no work any more"
    street.ends_well()
