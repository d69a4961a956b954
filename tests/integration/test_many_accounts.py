"""One process that serves many accounts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from massconvert.ledger.fleet import WORKER, Member
from massconvert.profiles import Accounts
from massconvert.store import connect
from massconvert.wiring import Workshops
from tests.integration.conftest import RedisServer
from workers.notes import Notes

pytestmark = pytest.mark.integration

NAMES = ("EMEA", "APAC", "LATAM")
SECRETS = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")


def test_the_accounts_of_a_process_share_its_connections(tmp_path: Path, own_redis: Callable[..., RedisServer]) -> None:
    """Ten workers that serve a thousand accounts with one connection each would be more than Redis takes."""
    config = tmp_path / "massconvert.toml"
    config.write_text("".join(f"[accounts.{name.lower()}]\n" for name in NAMES))
    url = own_redis().url
    environ = {"REDIS_URL": url, "MASSCONVERT_CONFIG": str(config), "HOME": str(tmp_path)}
    environ |= {f"{secret}__{name}": "invented" for name in NAMES for secret in SECRETS}
    accounts = Accounts(environ, None)
    fleet, notes = Workshops(accounts), Notes(accounts)
    fleet.sweep()
    notes.note(lambda now: Member(WORKER, "w", now))
    asks = connect(url)
    assert len(asks.keys("mc:{*}:fleet")) == len(NAMES)
    assert len(asks.client_list()) == 3  # the fleet's, the notes', and who asks
    for client in (asks, *(ports.ledger.shelf._redis for ports in (fleet.workshop(n.lower()).ports for n in NAMES))):
        client.close()
    notes._clients.of("any").close()
