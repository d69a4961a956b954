"""An app that enqueues before its server forks, as gunicorn does with --preload: no connection is shared."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from massconvert.contract import QUEUE
from massconvert.store import Keys, connect

pytestmark = pytest.mark.integration
ROOT = Path(__file__).resolve().parents[2]
CHILDREN, BATCHES, LEADS = 4, 20, 30

#: Uses the library, forks, and goes on in all processes at once. Each child says what it found on its line.
PARENT = f"""
import json, os, sys, traceback
from massconvert import MassConvert

mc = MassConvert()
first = mc.enqueue(["3652397000009850001"], key="first")
pool, producers = mc._nudge._app.pool, mc._nudge._app.producer_pool
redis = mc._ledger.callbacks._redis
sockets = list(redis.connection_pool._available_connections)  # kept, so that no other object has their place

def enqueue(who):
    for number in range({BATCHES}):
        first = 7000000000000000000 + who * 1000000 + number * 1000
        batch = mc.enqueue([first + lead for lead in range({LEADS})], key=f"p{{who}}-{{number}}")
        assert batch.accepted == {LEADS}, batch.accepted
        assert mc.batch(batch.id).progress().total == {LEADS}

children = []
for who in range(1, {CHILDREN} + 1):
    child = os.fork()
    if child == 0:
        try:
            enqueue(who)
            ours = redis.connection_pool._available_connections
            print(json.dumps({{
                "pool": mc._nudge._app.pool is pool or mc._nudge._app.producer_pool is producers,
                "sockets": any(mine is theirs for mine in ours for theirs in sockets),
            }}), flush=True)
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    children.append(child)
enqueue(0)
assert mc._nudge._app.pool is pool
sys.exit(max(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children))
"""


def test_four_forked_children_enqueue_beside_their_parent_and_share_no_connection(
    redis_tcp_url: str, tmp_path: Path
) -> None:
    """Each batch has its leads, each worker hint is a whole message, and the parent's connections still work."""
    environment = {"REDIS_URL": redis_tcp_url, "PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", PARENT],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = [json.loads(line) for line in done.stdout.splitlines()]
    assert said == [{"pool": False, "sockets": False}] * CHILDREN
    client = connect(redis_tcp_url)
    keys = Keys("default")
    batches = client.zrange(keys.batches, 0, -1)
    assert len(batches) == (CHILDREN + 1) * BATCHES + 1
    totals: Counter[Any] = Counter(client.hget(keys.batch(batch), "total") for batch in batches)
    assert totals == {str(LEADS): (CHILDREN + 1) * BATCHES, "1": 1}
    messages = [json.loads(message) for message in client.lrange(QUEUE, 0, -1)]
    client.close()
    assert messages
    assert {message["headers"]["task"] for message in messages} == {"massconvert.chunk"}
