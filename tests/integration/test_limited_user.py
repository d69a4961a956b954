"""Redis' users: what a managed Redis does not let an ordinary one do, the ledger does not ask for."""

from __future__ import annotations

import re
from typing import Any

import pytest

from massconvert.store.scripts import source
from tests.simulation.wire import SCRIPTS

pytestmark = pytest.mark.integration


def test_no_script_asks_for_what_a_user_without_dangerous_commands_may_not(redis_client: Any) -> None:
    """``-@dangerous`` takes away SORT, KEYS, FLUSHALL and the like: some look at all that there is."""
    dangerous = {command.upper() for command in redis_client.execute_command("ACL", "CAT", "dangerous")}
    used = {word for name in SCRIPTS for word in re.findall(r"redis\.call\('([A-Z]+)'", source(name))}
    assert "SORT" in dangerous
    assert "ZADD" in used
    assert used & dangerous == set()
