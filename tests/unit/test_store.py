"""The connection to Redis, its clock, its keys and its scripts."""

from __future__ import annotations

import inspect
import re
import time
from importlib.resources import files
from typing import Any

import fakeredis
import pytest
import redis

from massconvert.errors import StoreError
from massconvert.store import Keys, RedisClock, Scripts, connect
from massconvert.store.scripts import source


@pytest.fixture
def client() -> Any:
    return fakeredis.FakeRedis(decode_responses=True)


class Away:
    """A Redis whose every command ends in ``error``."""

    def __init__(self, error: Exception, **arguments: Any) -> None:
        self.error = error
        self.connection_pool = connect("redis://:hunter2@db.example:7000/0").connection_pool
        self.connection_pool.connection_kwargs.update(arguments)

    def time(self) -> None:
        raise self.error


# --- connection


@pytest.mark.parametrize(
    "url", ["user:hunter2@host:6379", "http://:hunter2@host", "redis://:hunter2/x@host:6379/0", "redis://[hunter2", ""]
)
def test_an_unusable_url_is_told_without_its_password(url: str) -> None:
    with pytest.raises(StoreError) as caught:
        connect(url)
    assert "REDIS_URL" in str(caught.value)
    assert "hunter2" not in f"{caught.value}{caught.value.__cause__}"
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "rediss://127.0.0.1:1/0", "unix:///nowhere/redis.sock"])
def test_every_kind_of_url_makes_connections(url: str) -> None:
    """The arguments fit the kind: a unix socket takes no keep-alive, for one."""
    assert connect(url).connection_pool.make_connection()


def test_the_connection_layer_repeats_nothing() -> None:
    arguments = connect("redis://127.0.0.1:6379/0").connection_pool.connection_kwargs
    assert arguments["retry"].get_retries() == 0
    assert arguments["socket_timeout"] == arguments["socket_connect_timeout"] == 5.0


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@h:1/0?foo=bar",
        "rediss://:hunter2@h:1/0?ssl_cert_reqs=never",
        "redis://h/0?health_check_interval=x",
    ],
)
def test_an_option_that_there_is_not_is_told_before_the_first_command(url: str) -> None:
    """It was a traceback of redis-py's at the first command."""
    with pytest.raises(StoreError, match="REDIS_URL") as caught:
        connect(url)
    assert "hunter2" not in str(caught.value)


# --- clock


def test_the_clock_is_that_of_redis_each_time() -> None:
    """Nothing is carried on by the machine's own clock, which may stand still, or be read before a hang."""
    asked = [1_000_000]

    class Timed:
        def time(self) -> tuple[int, int]:
            asked.append(asked[-1] + 1000)
            return asked[-1], 500_000

    clock = RedisClock(Timed())
    assert (clock.now(), clock.now()) == (1_001_000.5, 1_002_000.5)


def test_the_clock_of_a_redis_that_is_away_is_a_store_error() -> None:
    with pytest.raises(StoreError):
        RedisClock(Away(redis.ConnectionError("refused"))).now()


# --- keys


def all_keys(keys: Keys) -> dict[str, str]:
    """Each key of an account by its name in the catalogue; where there is one for each of something, for "0"."""
    found = {}
    for name in vars(Keys):
        if not name.startswith("_") and name not in ("account", "prefix"):
            key: Any = getattr(keys, name)
            found[name] = key(*["0"] * len(inspect.signature(key).parameters)) if callable(key) else key
    return found


def test_every_key_has_the_accounts_hash_tag_its_type_and_a_name_of_its_own() -> None:
    names = all_keys(Keys("acme"))
    for name in names:
        doc = vars(Keys)[name].__doc__
        assert re.match("(HASH|LIST|SET|ZSET|STRING|STREAM)", doc), f"{name} does not say its type"
    assert all(key.startswith("mc:{acme}:") for key in names.values())
    assert len(set(names.values())) == len(names)


# --- scripts


def test_a_script_runs_also_when_redis_has_forgotten_it(client: Any) -> None:
    scripts = Scripts(client)
    client.set("lock", "me")
    assert scripts.run("free_lock", keys=["lock"], args=["you"]) == 0
    client.script_flush()
    assert scripts.run("free_lock", keys=["lock"], args=["me"]) == 1


def test_floats_reach_a_script_exactly(client: Any) -> None:
    now = 1795514400.1234567
    Scripts(client).run("take_sweep", keys=["p:"], args=[now, 0.5])
    assert float(client.get("p:sweep")) == pytest.approx(now + 0.5, abs=1e-5)


def test_a_script_asks_redis_for_the_time_and_a_clock_of_a_test_is_handed_in(client: Any) -> None:
    Scripts(client).run("take_sweep", keys=["p:"], args=[None, 0.5])
    assert abs(float(client.get("p:sweep")) - 0.5 - time.time()) < 5.0
    Scripts(client, RedisClock(client)).run("take_sweep", keys=["q:"], args=[None, 0.5])
    assert abs(float(client.get("q:sweep")) - 0.5 - time.time()) < 5.0

    class Handed:
        def now(self) -> float:
            return 1795514400.1234567

    Scripts(client, Handed()).run("take_sweep", keys=["r:"], args=[None, 0.5])
    assert float(client.get("r:sweep")) == pytest.approx(1795514400.1234567 + 0.5, abs=1e-5)


def test_a_script_on_a_redis_that_is_away_is_a_store_error() -> None:
    server = fakeredis.FakeServer()
    server.connected = False
    with pytest.raises(StoreError):
        Scripts(fakeredis.FakeRedis(server=server)).run("free_lock", keys=["a"], args=["b"])


def test_every_script_opens_by_saying_what_it_does_and_takes() -> None:
    for file in (files("massconvert.store") / "lua").iterdir():
        text = file.read_text(encoding="utf-8")
        assert text.startswith("-- "), file.name
        if not file.name.startswith("_"):
            assert "-- KEYS[1]" in text, file.name
            assert "-- Returns" in text, file.name
            assert source(file.name.removesuffix(".lua")), file.name


def test_a_script_has_the_functions_that_it_names_and_no_other() -> None:
    """Lua makes all of them at each run, and says that one is missing only where it is called."""
    lua = list((files("massconvert.store") / "lua").iterdir())
    names = {name for file in lua for name in re.findall(r"local function (\w+)", file.read_text(encoding="utf-8"))}
    for script in (file.name.removesuffix(".lua") for file in lua if not file.name.startswith("_")):
        text = source(script)
        for name in names:
            made = text.find(f"local function {name}(")
            named = [at.start() for at in re.finditer(rf"(?<!local function )\b{name}\b", text)]
            called = re.search(rf"(?<!function )\b{name}\(", text)
            assert made < 0 or any(at > made for at in named), (script, name)
            assert called is None or 0 <= made < called.start(), (script, name)


def test_of_all_keys_only_those_of_the_access_token_begin_with_a_t() -> None:
    """The user for producers in docs/settings.md leaves out those, as `mc:{*}:[^t]*`."""
    keys = Keys("emea")
    for name, key in all_keys(keys).items():
        assert key.removeprefix(keys.prefix).startswith("t") == name.startswith("token"), key
