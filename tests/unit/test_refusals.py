"""The table of what Redis answers: each error is one of three kinds, and is told by its real cause."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis
from redis._parsers.base import BaseParser
from redis.exceptions import ClusterError, MaxConnectionsError, RedisClusterException

from massconvert.errors import LedgerError, MassConvertError, StoreError
from massconvert.store import connect, reaching
from massconvert.store.refusals import TABLE, RedisMeaning, RefusalKind, refusal_of

OURS = "Something else has written to its keys"


class Refusing:
    """A Redis whose every command ends in ``error``."""

    def __init__(self, error: BaseException) -> None:
        self.error = error
        self.connection_pool = connect("redis://:hunter2@db.example:7000/0").connection_pool
        self.dropped = 0
        self.connection_pool.disconnect = self._drop

    def _drop(self, inuse_connections: bool = True) -> None:
        assert not inuse_connections  # other threads may be reading from those
        self.dropped += 1

    def ask(self) -> None:
        raise self.error


def told(error: BaseException, what: str = "") -> MassConvertError:
    """What becomes of an error."""
    client = Refusing(error)
    with pytest.raises((StoreError, LedgerError)) as caught, reaching(client, what):
        client.ask()
    assert client.dropped == TABLE[caught.value.code].elsewhere
    assert caught.value.hint
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is error
    return caught.value


def said(line: str) -> redis.RedisError:
    """What redis-py makes of an error line of a server."""
    parse: Any = BaseParser.parse_error
    found: redis.RedisError = parse(line)
    return found


OLD = "ERR Error running script (call to f_bd6f): @user_script:3: @user_script: 3: "
NEW = " script: bd6f3018b28bbdb36260f19d3c44afed740db987, on @user_script:3."
#: Seen with servers 6.2, 7.0, 8 and Valkey 8; or, of the rare ones, in their source.
PASSING = {
    "READONLY You can't write against a read only replica.": "is a replica",
    "NOREPLICAS Not enough good replicas to write.": "min-replicas-to-write",
    "NOGOODSLAVE No suitable replica to promote": "NOGOODSLAVE",
    "MISCONF Redis is configured to save RDB snapshots, but it is not able to persist": "cannot save to its disk",
    "OOM command not allowed when used memory > 'maxmemory'.": "is full",
    "LOADING Redis is loading the dataset in memory": "is still loading",
    "BUSY Redis is busy running a script. You can only call SCRIPT KILL": "is busy with a long script",
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.": "has lost its primary",
    "CLUSTERDOWN Hash slot not served": "in a cluster that is down",
    "TRYAGAIN Multiple keys request during rehashing of slot": "is moving",
    "ASK 12182 127.0.0.1:7001": "is moving",
    "UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)": "has just become",
    "UNKNOWN_BATCH OOM BUSY": "has lost this batch",
    "REPLICAS 0 of 2 have it": "too few replicas have it: REPLICAS 0 of 2",
    "NOSCRIPT No matching script. Please use EVAL.": "has forgotten a script",
    "EXECABORT Transaction discarded because of previous errors.": "did not carry out",
    "ERR max number of clients reached": "has as many connections",
    "ERR Some word that nobody knows": "Some word that nobody knows",
    "FROZEN by an update": "FROZEN by an update",
    "ERR wrong number of arguments for 'set' command": "wrong number of arguments",
}
FOR_A_PERSON = {
    "NOAUTH Authentication required.": "wants a password",
    "WRONGPASS invalid username-password pair or user is disabled.": "refuses the user or the password",
    "ERR invalid password": "refuses the user or the password",
    "NOPERM this user has no permissions to run the 'set' command": "permissions to run the 'set' command",
    "NOPERM No permissions to access a key": "No permissions to access a key",
    "NOPERM User app has no permissions to run the 'evalsha' command": "does not permit this user to run scripts",
    f"{OLD}The user executing the script can't run this command or subcommand": "can't run this command",
    f"ERR The user executing the script can't access at least one of the keys{NEW}": "at least one of the keys",
    "MOVED 12182 127.0.0.1:7001": "is a node of a Redis Cluster",
    "CROSSSLOT Keys in request don't hash to the same slot": "is a node of a Redis Cluster",
    f"{OLD}Lua script attempted to access a non local key in a cluster node": "is a node of a Redis Cluster",
    "DENIED Redis is running in protected mode because protected mode is enabled": "is in protected mode",
    "ERR unknown command 'HSET', with args beginning with: 'mc:{a}:token' 'value' 'hunter2'": "unknown command 'HSET'",
    "ERR DB index is out of range": "has no database of that number",
    "ERR SELECT is not allowed in cluster mode": "has no database of that number",
}
BROKEN = {
    "WRONGTYPE Operation against a key holding the wrong kind of value": "WRONGTYPE",
    f"WRONGTYPE Operation against a key holding the wrong kind of value{NEW}": "WRONGTYPE",
    "MOVE nothing is open in chunk 7": "MOVE nothing is open in chunk 7",
    f"{OLD}user_script:3: attempt to compare number with nil": "attempt to compare number with nil",
    f"ERR user_script:3: attempt to compare number with nil{NEW}": "attempt to compare number with nil",
    f"ERR value is not an integer or out of range{NEW}": "value is not an integer",
    "ERR hash value is not an integer": "hash value is not an integer",
}


@pytest.mark.parametrize(("line", "words"), [*PASSING.items(), *FOR_A_PERSON.items()])
def test_what_passes_and_what_a_person_fixes_is_a_store_error_with_its_real_cause(line: str, words: str) -> None:
    """None of it is final: a permission may be granted in a minute."""
    error = told(said(line), "add_leads b1")
    assert type(error) is StoreError
    assert words in error.message
    assert error.message.startswith("Redis at db.example:7000 ")
    assert OURS not in str(error)
    kind = RefusalKind.AGAIN if line in PASSING else RefusalKind.PERSON
    assert TABLE[error.code].kind is kind


@pytest.mark.parametrize(
    "line", [line for line in PASSING if line[:3] not in ("ERR", "FRO", "NOG", "ASK", "LOA", "EXE")]
)
def test_a_passing_refusal_inside_a_script_is_the_same_refusal(line: str) -> None:
    """Redis 6.2 wraps it into its own words and a minus; later ones put the script behind it."""
    plain = told(said(line))
    old, new = told(said(f"{OLD}-{line}")), told(said(f"{line}{NEW}"))
    assert plain.code == old.code == new.code != ""
    assert plain.message == old.message == new.message


@pytest.mark.parametrize(("line", "words"), BROKEN.items())
def test_only_what_we_have_not_written_is_a_broken_ledger(line: str, words: str) -> None:
    """Its line names what was asked, and who is to blame."""
    error = told(said(line), "add_leads b1")
    assert type(error) is LedgerError
    assert words in error.message
    assert "(add_leads b1)" in error.message
    assert OURS in error.hint


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (redis.ConnectionError("Error 111 connecting to h:1. Connection refused."), "UNREACHABLE"),
        (redis.ConnectionError("SSL: CERTIFICATE_VERIFY_FAILED self-signed certificate"), "CERTIFICATE"),
        (redis.ConnectionError("[SSL: WRONG_VERSION_NUMBER] wrong version number"), "NOTREDIS"),
        (redis.sentinel.MasterNotFoundError("No master found for 's': Redis<password=hunter2>"), "UNREACHABLE"),
        (redis.TimeoutError("slow"), "TIMEOUT"),
        (redis.BusyLoadingError("loading"), "LOADING"),
        (MaxConnectionsError("Too many connections"), "CONNECTIONS"),
        (redis.InvalidResponse("Protocol Error: b'HTTP/1.1 400 Bad Request'"), "NOTREDIS"),
        (RedisClusterException("Redis Cluster cannot be connected."), "UNREACHABLE"),
        (ClusterError("TTL exhausted."), ""),
    ],
)
def test_what_is_no_answer_of_redis_is_told_too(error: BaseException, code: str) -> None:
    assert told(error).code == code


def test_a_pipeline_s_error_is_the_command_s() -> None:
    """redis-py puts the command in front, with all that it was to write."""
    told_of = told(said("ERR Some word"), "x")
    in_pipe = told(redis.ResponseError("Command # 1 (HSET k secret 'hunter2\\n') of pipeline caused error: Some word"))
    assert in_pipe.message == told_of.message
    wrong = redis.ResponseError("Command # 2 (HGET OOM BUSY) of pipeline caused error: WRONGTYPE Operation against")
    assert type(told(wrong)) is LedgerError


def test_long_answers_are_cut() -> None:
    assert len(told(said(f"ERR {'x' * 5000}")).message) < 400


def test_bugs_of_ours_are_not_taken_for_redis() -> None:
    """They are to be seen as what they are."""
    for bug in (ValueError("ours"), TypeError("ours"), redis.DataError("Invalid input of type: 'dict'"), KeyError("x")):
        client = Refusing(bug)
        with pytest.raises(type(bug)), reaching(client):
            client.ask()
    with pytest.raises(LedgerError, match="as it was"), reaching(Refusing(ValueError())):
        raise LedgerError("as it was")
    client = connect("redis://127.0.0.1:1/0")
    with pytest.raises(UnicodeEncodeError), reaching(client):  # a lone surrogate: what was given cannot be sent
        client.connection_pool.get_encoder().encode("\ud800")


def test_every_row_has_words_and_a_fix() -> None:
    for code, meaning in TABLE.items():
        assert isinstance(meaning, RedisMeaning), code
        assert meaning.words.endswith("."), code
        assert meaning.hint.endswith((".", "0", ".pem")), code
        assert (OURS in meaning.hint) == (meaning.kind is RefusalKind.BROKEN), code
    assert refusal_of(KeyboardInterrupt()) is None


# --- servers that are no Redis, and sockets that close under our hands


@pytest.fixture
def answering() -> Iterator[Callable[[bytes], Any]]:
    """A client of a server that answers everything with the same bytes."""
    doors: list[socket.socket] = []
    clients: list[Any] = []

    def serve(answer: bytes) -> Any:
        door = socket.create_server(("127.0.0.1", 0))
        doors.append(door)
        threading.Thread(target=_serve, args=(door, answer), daemon=True).start()
        clients.append(connect(f"redis://127.0.0.1:{door.getsockname()[1]}/0", socket_timeout=2.0))
        return clients[-1]

    yield serve
    for client in clients:
        client.close()
    for door in doors:
        door.shutdown(socket.SHUT_RDWR)
        door.close()


def _serve(door: socket.socket, answer: bytes) -> None:
    while True:
        try:
            caller, _ = door.accept()
        except OSError:
            return
        with caller:
            try:
                caller.recv(65_536)
                caller.sendall(answer)
            except OSError:
                continue


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n",
        b"220 mail.example ESMTP ready\r\n",
        b"$abc\r\n",
        b"*x\r\n",
        b"*1\r\n" * 3000,
        b"-DENIED Redis is running in protected mode because protected mode is enabled\r\n",
        b"-FROZEN\r\n",
        b"+SURE\r\n",
        b":1\r\n",
        b"\x16\x03\x01\x00\r\n",
        b"",
    ],
)
def test_whatever_a_server_answers_is_told_in_words(answering: Callable[[bytes], Any], answer: bytes) -> None:
    """Be it no Redis at all."""
    client = answering(answer)
    with pytest.raises(StoreError), reaching(client):
        client.ping()


def test_bytes_that_are_no_text_are_a_broken_ledger(answering: Callable[[bytes], Any]) -> None:
    """We write UTF-8 only."""
    client = answering(b"$2\r\n\xff\xfe\r\n")
    with pytest.raises(LedgerError, match="codec"), reaching(client):
        client.get("key")


def test_a_socket_that_is_closed_under_our_hands_is_a_redis_out_of_reach(
    answering: Callable[[bytes], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """redis-py then raises what Python does: a ValueError of a closed file, an AttributeError of None."""
    client = answering(b"+PONG\r\n")
    connection = client.connection_pool.make_connection()
    with pytest.raises(StoreError) as caught, reaching(client):
        connection._parser.read_response()  # it has no buffer: AttributeError
    assert caught.value.code == "UNREACHABLE"
