"""Real refusals of a real redis-server: each passes, or is told to a person; none is taken for a broken ledger."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from massconvert.doctor import Level, examine
from massconvert.doctor.examination import CHECKS
from massconvert.errors import LedgerError, StoreError
from massconvert.ledger import Ledger, Member
from massconvert.ledger.fleet import WORKER
from massconvert.policy import Tuning
from massconvert.store import connect, reaching
from tests.integration.conftest import RedisServer

pytestmark = pytest.mark.integration
OwnRedis = Callable[..., RedisServer]
NOW = 1_795_514_400.0


@pytest.fixture
def server(own_redis: OwnRedis) -> RedisServer:
    """A redis-server that a test may spoil."""
    return own_redis()


@contextmanager
def admin(server: RedisServer, **kwargs: Any) -> Iterator[Any]:
    """A client of the person who runs the server."""
    with redis.Redis(unix_socket_path=server.socket, decode_responses=True, **kwargs) as client:
        yield client


def refused(url: str) -> list[StoreError]:
    """What a ledger at ``url`` meets: by a script, by a plain command, in a pipeline."""
    client = connect(url, socket_timeout=2.0)
    ledger = Ledger(client, "acme", Tuning())
    found = [
        _refusal(ledger.organisation.paused),
        _refusal(lambda: ledger.organisation.take_sweep(1.0, now=NOW)),
        _refusal(lambda: ledger.organisation.pause(now=NOW, reason="by hand")),
        _refusal(lambda: ledger.fleet.note(Member(WORKER, "w1", NOW))),
        _refusal(lambda: open_batch(ledger)),
    ]
    client.close()
    return [error for error in found if error]


def _refusal(ask: Callable[[], Any]) -> StoreError | None:
    try:
        ask()
    except StoreError as error:
        return error
    except LedgerError as error:
        pytest.fail(f"taken for a broken ledger: {error}")
    return None


def open_batch(ledger: Ledger) -> None:
    """Ask for a script that writes much."""
    ledger.batches.open("b1", "fp", {}, now=NOW, leads=1)


def codes(url: str) -> set[str]:
    """The rows of the table that a ledger meets."""
    return {error.code for error in refused(url)}


@pytest.mark.parametrize(
    ("setting", "value", "code"), [("min-replicas-to-write", "1", "NOREPLICAS"), ("maxmemory", "1", "OOM")]
)
def test_a_setting_that_stops_writes(server: RedisServer, setting: str, value: str, code: str) -> None:
    with admin(server) as person:
        person.config_set(setting, value)
        assert codes(server.tcp_url) == {code}
        person.config_set(setting, "0")
        assert codes(server.tcp_url) == set()


def test_a_disk_that_cannot_be_written(server: RedisServer) -> None:
    """A folder in the place of the snapshot's file: Redis cannot rename over it."""
    with admin(server) as person:
        (server.folder / "dump.rdb").mkdir()
        person.config_set("save", "3600 1")
        with pytest.raises(redis.ResponseError):
            person.save()
        person.set("a", "change")
        person.bgsave()
        _await(lambda: person.info("persistence")["rdb_last_bgsave_status"] == "err")
        assert codes(server.tcp_url) == {"MISCONF"}
        (server.folder / "dump.rdb").rmdir()
        person.save()
        assert codes(server.tcp_url) == set()


def test_a_primary_that_becomes_a_replica_and_is_one_no_more(server: RedisServer) -> None:
    """Its connections are dropped, since the next one may lead to the new primary."""
    client = connect(server.tcp_url)
    with admin(server) as person:
        assert client.ping()
        person.replicaof("127.0.0.1", 1)
        with pytest.raises(StoreError) as caught, reaching(client):
            client.eval("return redis.call('SET', KEYS[1], 'x')", 1, "k")
        assert caught.value.code == "READONLY"
        assert [each._sock for each in client.connection_pool._available_connections] == [None]
        assert codes(server.tcp_url) == {"READONLY"}
        person.config_set("replica-serve-stale-data", "no")
        assert "MASTERDOWN" in codes(server.tcp_url)
        person.replicaof("no", "one")
        assert codes(server.tcp_url) == set()
    client.close()


def test_a_wait_that_a_failover_ends(server: RedisServer) -> None:
    client, found = connect(server.tcp_url), list[StoreError]()

    def wait() -> None:
        with pytest.raises(StoreError) as caught, reaching(client):
            client.blpop(["list"], timeout=4)
        found.append(caught.value)

    waiting = threading.Thread(target=wait)
    waiting.start()
    with admin(server) as person:
        _await(lambda: person.info("clients")["blocked_clients"] == 1)
        person.replicaof("127.0.0.1", 1)
        waiting.join(10)
        person.replicaof("no", "one")
    assert [error.code for error in found] == ["UNBLOCKED"]
    client.close()


def test_a_redis_that_loads_its_data(own_redis: OwnRedis) -> None:
    """A server that starts over a large file answers so until it has read it; to us after each 2 MiB."""
    server = own_redis("--key-load-delay", "100", "--rdbcompression", "no")
    with admin(server) as person:
        person.eval("for n = 1, 30000 do redis.call('SET', 'k' .. n, string.rep('x', 250)) end", 0)
        person.save()
    server.kill()
    server._await_answer = lambda: None  # type: ignore[method-assign]  # it answers, but not with PONG
    server.start()
    _await(lambda: "LOADING" in codes(server.tcp_url))


def test_a_script_that_does_not_end(server: RedisServer) -> None:
    with admin(server) as person, admin(server) as other:
        person.config_set("lua-time-limit", 20)
        stuck = threading.Thread(target=_refused_script, args=(other,))
        stuck.start()
        _await(lambda: codes(server.tcp_url) == {"BUSY"})
        _await(lambda: _killed(person))
        stuck.join(10)
        assert codes(server.tcp_url) == set()


def test_permissions_and_passwords(server: RedisServer) -> None:
    """Which permission, which password: a person can fix it, and it goes on."""
    place = f"127.0.0.1:{server.port}/0"
    with admin(server) as person:
        person.execute_command("ACL", "SETUSER", "app", "on", ">hunter2", "~*", "&*", "+@all", "-@scripting")
        (*_, last) = refused(f"redis://app:hunter2@{place}")
        assert last.code == "SCRIPTS"
        assert "+@scripting" in last.hint
        person.execute_command("ACL", "SETUSER", "app", "+@scripting", "-hgetall")
        assert any("hgetall" in error.message for error in refused(f"redis://app:hunter2@{place}"))
        assert codes(f"redis://app:hunter2@{place}") == {"NOPERM"}
        person.execute_command("ACL", "SETUSER", "app", "+@all", "resetkeys", "~other:*")
        assert codes(f"redis://app:hunter2@{place}") == {"NOPERM"}
        person.execute_command("ACL", "SETUSER", "app", "~mc:*")
        assert codes(f"redis://app:hunter2@{place}") == set()
        assert codes(f"redis://app:hunter3@{place}") == {"WRONGPASS"}
        person.config_set("requirepass", "hunter2")
    assert codes(f"redis://{place}") == {"NOAUTH"}
    with admin(server, password="hunter2") as person:
        person.config_set("requirepass", "")
    assert codes(f"redis://{place}99") == {"DATABASE"}


def test_more_connections_than_it_may_have(server: RedisServer) -> None:
    with admin(server) as person:
        person.config_set("maxclients", 1)
        assert person.ping()
        assert codes(server.tcp_url) == {"MAXCLIENTS"}
        person.config_set("maxclients", 100)
        assert codes(server.tcp_url) == set()


def test_a_node_of_a_cluster(own_redis: OwnRedis) -> None:
    """One that has no slots yet, and one whose neighbour has ours."""
    server = own_redis("--cluster-enabled", "yes")
    assert codes(server.tcp_url) == {"CLUSTERDOWN"}
    other = own_redis("--cluster-enabled", "yes")
    with admin(server) as person, admin(other) as neighbour:
        person.execute_command("CLUSTER", "MEET", "127.0.0.1", other.port)
        slot = person.execute_command("CLUSTER", "KEYSLOT", "{acme}")
        neighbour.execute_command("CLUSTER", "ADDSLOTS", slot)
        for node in (person, neighbour):
            node.config_set("cluster-require-full-coverage", "no")
        _await(lambda: codes(server.tcp_url) == {"MOVED"}, 20)
        assert "redis+cluster://" in refused(server.tcp_url)[0].hint
    assert codes(f"{server.tcp_url[:-1]}1") == {"DATABASE"}


def test_the_doctor_names_what_stops_writes_though_redis_answers(server: RedisServer) -> None:
    """A PING is answered all the while."""
    checks = [check for check in CHECKS if check.name == "redis"]
    with admin(server) as person:
        person.config_set("min-replicas-to-write", 1)
        assert person.ping()
        (found,) = examine({"REDIS_URL": server.tcp_url}, checks=checks)
        assert (found.check, found.level) == ("redis", Level.WRONG)
        assert "min-replicas-to-write" in found.what
        person.config_set("min-replicas-to-write", 0)
        assert examine({"REDIS_URL": server.tcp_url}, checks=checks)[0].level is Level.OK
        assert person.keys() == []


def test_a_value_that_something_else_has_written(server: RedisServer) -> None:
    """Only then does the line say so."""
    client = connect(server.tcp_url)
    ledger = Ledger(client, "acme", Tuning())
    client.set("mc:{acme}:batches", "not ours")
    with pytest.raises(LedgerError, match="Something else has written") as caught:
        open_batch(ledger)
    assert "open_batch b1" in str(caught.value)
    client.close()


def _await(condition: Callable[[], Any], seconds: float = 10.0) -> None:
    """There is no event to await of a process of somebody else's."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def _refused_script(client: Any) -> None:
    with pytest.raises(redis.ResponseError):
        client.eval("while true do end", 0)


def _killed(person: Any) -> bool:
    try:
        return bool(person.script_kill())
    except redis.ResponseError:
        return False
