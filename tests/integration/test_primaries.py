"""A ledger behind Sentinels or in a Cluster: its primary is found, followed, and nothing else is written to."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import redis
from redis.crc import key_slot

from massconvert.addresses import check_redis_url
from massconvert.doctor import Level, examine
from massconvert.doctor.examination import CHECKS
from massconvert.doctor.finding import Finding
from massconvert.errors import BrokerError, StoreError
from massconvert.ledger import Ledger
from massconvert.nudge import Nudge
from massconvert.policy import Tuning
from massconvert.store import Clients, Keys, connect, reaching
from tests.servers import Shards, Watched, await_true

pytestmark = pytest.mark.integration
OwnGroup = Callable[..., Any]
SECRETS = ("of-the-nodes", "of-the-sentinels")


def primary_of(client: Any) -> int:
    """The port of the primary that a client has found."""
    return int(client.connection_pool.connection_kwargs["primary"].known[1])


def refusal(client: Any) -> StoreError:
    """What is said where a ledger cannot be reached."""
    with pytest.raises(StoreError) as caught, reaching(client):
        client.get("k")
    assert not any(secret in f"{caught.value}" for secret in SECRETS)
    return caught.value


def writes(client: Any) -> bool:
    """Whether a write goes through."""
    try:
        with reaching(client):
            return bool(client.set("k", "v"))
    except StoreError:
        return False


# --- Sentinels


def test_the_primary_of_a_service_is_found_with_two_passwords(sentinels: Watched) -> None:
    client = connect(check_redis_url(sentinels.url))
    with reaching(client):
        assert client.set("a", "b")
    assert primary_of(client) == sentinels.nodes[0]
    assert sentinels.node(sentinels.nodes[0]).get("a") == "b"
    client.close()


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        (lambda url: url.replace("mc-main", "another"), "NOSERVICE", "watch no service of this name"),
        (lambda url: url.replace("=of-the-sentinels", "=wrong"), "SENTINELAUTH", "refuse the user or the password"),
        (lambda url: url.partition("?")[0], "SENTINELAUTH", "refuse the user or the password"),
        (lambda url: url.replace(":of-the-nodes@", ":wrong@"), "WRONGPASS", "refuses the user or the password"),
        (
            lambda url: "redis+sentinel://127.0.0.1:1,127.0.0.1:2/mc-main/0",
            "NOSENTINEL",
            "none of its Sentinels answers",
        ),
    ],
)
def test_what_keeps_the_primary_from_being_found_is_told(
    sentinels: Watched, change: Callable[[str], str], code: str, said: str
) -> None:
    """With the line that names the remedy, and without a password."""
    began = time.monotonic()
    client = connect(change(sentinels.url))
    error = refusal(client)
    assert (error.code, said in error.message) == (code, True), error
    assert time.monotonic() - began < 3
    client.close()


def test_a_data_node_is_no_sentinel(sentinels: Watched) -> None:
    url = f"redis+sentinel://127.0.0.1:{sentinels.nodes[0]}/mc-main/0?sentinel_password=of-the-nodes"
    assert refusal(connect(url)).code == "NOSENTINEL"


def test_a_killed_primary_is_followed_by_a_client_of_many_threads(own_group: OwnGroup) -> None:
    """Each call ends, each with a StoreError at worst, and all are back when there is another primary."""
    group = own_group(Watched)
    client, stop, wrong = connect(group.url, socket_timeout=2.0), threading.Event(), list[BaseException]()

    def work() -> None:
        while not stop.is_set():
            try:
                writes(client)
            except BaseException as error:  # noqa: BLE001 - whatever it is, it must fail the test
                wrong.append(error)
                return
            time.sleep(0.01)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    before = group.primary()
    group.kill(before)
    after = group.await_other(before)
    await_true(lambda: writes(client), 10, "a write")
    stop.set()
    for thread in threads:
        thread.join(10)
    assert not wrong
    assert not any(thread.is_alive() for thread in threads)
    assert primary_of(client) == after
    client.close()


def test_a_frozen_primary_is_left_when_there_is_another(own_group: OwnGroup) -> None:
    """Its kernel keeps connections open, and nothing on them says that it is gone."""
    group = own_group(Watched)
    client = connect(group.url, socket_timeout=1.0)
    assert writes(client)
    before = group.primary()
    group.signal(before, signal.SIGSTOP)
    group.await_other(before)
    await_true(lambda: writes(client), 10, "a write")
    group.signal(before, signal.SIGCONT)  # it thinks that it is a primary for some seconds more
    assert writes(client)
    assert group.node(before).dbsize() <= 1
    assert primary_of(client) != before
    client.close()


def test_after_a_planned_failover_no_write_goes_to_the_old_primary_for_long(own_group: OwnGroup) -> None:
    """It would take them for ten seconds more, and then throw them away."""
    group = own_group(Watched)
    client = connect(group.url)
    assert writes(client)
    before = group.primary()
    group.ask(group.sentinels[0]).execute_command("SENTINEL FAILOVER", group.service)
    group.await_other(before)
    time.sleep(1.1)  # the time between two looks: real, since the servers' is
    assert group.node(before).role()[0] == "master"  # it does not know yet
    for number in range(20):
        with reaching(client):
            assert client.set(f"n{number}", "v")
    assert not group.node(before).exists("n0")
    client.close()


def test_a_demoted_primary_is_not_read_from_though_its_sentinel_still_names_it(own_group: OwnGroup) -> None:
    group = own_group(Watched, down_after=30_000)
    client = connect(group.url)
    group.node(group.nodes[0]).replicaof("127.0.0.1", 1)
    assert refusal(client).code == "READONLY"
    group.node(group.nodes[0]).replicaof("no", "one")
    assert writes(client)
    client.close()


def test_a_silent_sentinel_costs_its_time_once(own_group: OwnGroup) -> None:
    group = own_group(Watched)
    group.signal(group.sentinels[0], signal.SIGSTOP)
    client = connect(group.url)
    assert writes(client)  # after the time-out of the first
    client.connection_pool.disconnect()
    began = time.monotonic()
    assert writes(client)
    assert time.monotonic() - began < 1
    group.signal(group.sentinels[0], signal.SIGCONT)
    client.close()


# --- the broker


def test_sentinels_are_the_broker_too(sentinels: Watched) -> None:
    nudge = Nudge(sentinels.url)
    assert nudge.place == sentinels.url.rpartition("@")[2].partition("?")[0].removesuffix("/0")
    nudge.chunk()
    assert nudge.waiting(["massconvert"])["massconvert"] >= 1
    with nudge.redis() as client:
        assert client.delete("massconvert")
    nudge.close()


@pytest.mark.parametrize("change", [("=of-the-sentinels", "=wrong-of-the-sentinels"), ("mc-main", "another")])
def test_a_broker_whose_sentinels_name_nobody_is_told_without_their_password(
    sentinels: Watched, change: tuple[str, str]
) -> None:
    """redis-py's own words have it."""
    nudge = Nudge(sentinels.url.replace(*change))
    began = time.monotonic()
    with pytest.raises(BrokerError) as caught:
        nudge.chunk()
    assert "no Sentinel names a primary of" in caught.value.message
    assert not any(secret in f"{caught.value}{caught.value.__cause__!r}" for secret in SECRETS)
    assert time.monotonic() - began < 3
    nudge.close()


# --- a Cluster


def test_each_account_is_led_to_the_node_that_has_its_slot(cluster: Shards) -> None:
    clients = Clients(check_redis_url(cluster.url))
    ports = set()
    for account in ("default", "emea", "acme", "shop"):
        ledger = Ledger(clients.of(account), account, Tuning())
        ledger.batches.open("b1", "fp", {}, now=1_795_514_400.0, leads=1)
        assert ledger.batches.status("b1").batch == "b1"
        ports.add(primary_of(clients.of(account)))
        assert primary_of(clients.of(account)) == cluster.owner(key_slot(Keys(account).prefix.encode()))
    assert len(ports) > 1
    assert clients.of("emea") is clients.of("emea")


def test_a_killed_node_is_followed(own_group: OwnGroup) -> None:
    group = own_group(Shards)
    client = connect(group.url)
    key = f"{Keys('default').prefix}k"
    with reaching(client):
        client.set(key, "v")
    group.kill(primary_of(client))

    def read() -> bool:
        try:
            with reaching(client):
                return bool(client.get(key) == "v")
        except StoreError:
            return False

    await_true(read, 40, "the other node")
    client.close()


def test_a_lone_redis_is_no_cluster_and_nobody_no_node(redis_tcp_url: str) -> None:
    assert refusal(connect(redis_tcp_url.replace("redis:", "redis+cluster:"))).code == "NOTCLUSTER"
    assert refusal(connect("redis+cluster://127.0.0.1:1")).code == "NONODE"


# --- the doctor


def test_the_doctor_sees_replicas_sentinels_and_what_they_are_set_to(sentinels: Watched) -> None:
    checks = [check for check in CHECKS if check.name == "redis"]
    found = {each.check: each for each in examine({"REDIS_URL": sentinels.url}, checks=checks)}
    assert found["redis replicas"].what == "Attached: 2."
    assert found["redis sentinels"].what == "Sentinels: 3; they act after 1 s."
    assert found["redis min-replicas"].level is Level.WARNING
    assert found["redis history"].level is Level.OK
    assert "redis priorities" not in found
    sentinels.node(sentinels.nodes[0]).config_set("min-replicas-to-write", 1)
    (at_fault,) = [each for each in examine({"REDIS_URL": sentinels.url}, checks=checks) if "max-lag" in each.what]
    sentinels.node(sentinels.nodes[0]).config_set("min-replicas-to-write", 0)
    assert "Sentinels act after 1 s" in at_fault.what


def test_the_doctor_of_a_user_who_may_not_ask_much_judges_what_it_is_told(own_redis: Callable[..., Any]) -> None:
    server = own_redis()
    rights = "~mc:* +@all -@admin -info -config -role"
    with redis.Redis(port=server.port) as person:
        person.execute_command("ACL", "SETUSER", "app", "on", ">hunter2", *rights.split())
    url = f"redis://app:hunter2@127.0.0.1:{server.port}/0"
    found = {each.check: each for each in examine({"REDIS_URL": url}, checks=[c for c in CHECKS if c.name == "redis"])}
    assert found["redis history"].level is Level.WARNING
    assert "+info" in found["redis history"].fix


def test_the_doctor_tells_of_a_break_in_the_history_before_and_after_a_script_has_met_it(
    own_redis: Callable[..., Any],
) -> None:
    url = f"redis://127.0.0.1:{own_redis().port}/0"
    client = connect(url)
    ledger = Ledger(client, "default", Tuning())

    def said() -> Finding:
        found = examine({"REDIS_URL": url}, checks=[check for check in CHECKS if check.name == "redis"])
        return next(each for each in found if each.check == "redis history")

    def take(batch: str) -> None:
        ledger.batches.open(batch, "f" * 16, {}, leads=0)
        ledger.batches.seal(batch, flush=True)

    assert said().level is Level.OK  # nothing is there yet
    take("before")
    assert said().level is Level.OK
    client.execute_command("REPLICAOF", "127.0.0.1", "1")
    client.execute_command("REPLICAOF", "NO", "ONE")  # as after a failover: it goes on with a history of its own
    assert (said().level, "just now" in said().what) == (Level.WARNING, True)
    take("after")
    assert said().level is Level.WARNING
    assert "massconvert missing worker.log" in said().fix
    client.hset(Keys("default").history, "since", time.time() - 25 * 3600)
    assert said().level is Level.OK


def test_the_doctor_sees_a_cluster(cluster: Shards) -> None:
    checks = [check for check in CHECKS if check.name in ("redis", "broker")]
    found = {each.check: each for each in examine({"REDIS_URL": cluster.url}, checks=checks)}
    assert found["redis replicas"].what == "Attached: 1."
    assert (found["broker"].level, "CELERY_BROKER_URL" in found["broker"].what) == (Level.WRONG, True)
