"""One table: what each answer of Redis means for us, and in which words it is told.

Most refusals pass: a failover, a full disk, a node that moves. Some stay until a person changes something: a password,
a permission. Both are a `StoreError`, and what was asked for is asked again, since a permission may come within a
minute. Only values that we have not written are a `LedgerError`. What this table does not know passes, too: to try
again costs a call, to give up costs leads (docs/decisions/0020-what-redis-answers.md).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from traceback import walk_tb

import redis
from redis.exceptions import MaxConnectionsError, RedisClusterException


class RefusalKind(Enum):
    """What is to be done about a refusal."""

    AGAIN = "again"  # it passes
    PERSON = "person"  # it stays until a person fixes it; asked again all the same
    BROKEN = "broken"  # the ledger holds what we have not written


@dataclass(frozen=True)
class RedisMeaning:
    """``words`` follow "Redis at host:port"; ``{said}`` in them are Redis' own, ``{asked}`` ours. ``hint``: what to do.

    ``elsewhere``: the server at the other end is not, or no longer, the one to ask, so its connections are dropped.
    """

    kind: RefusalKind
    words: str
    hint: str
    elsewhere: bool = False


@dataclass(frozen=True)
class RedisRefusal:
    """A refusal as it is told: ``code`` is the row of the table, a word of Redis' own where there is one."""

    code: str
    meaning: RedisMeaning
    words: str


def _again(words: str, hint: str, *, elsewhere: bool = False) -> RedisMeaning:
    return RedisMeaning(RefusalKind.AGAIN, words, hint, elsewhere)


def _person(words: str, hint: str, *, elsewhere: bool = False) -> RedisMeaning:
    return RedisMeaning(RefusalKind.PERSON, words, hint, elsewhere)


_BY_ITSELF = "It goes on by itself"
_DATABASE_OF_ITS_OWN = "Something else has written to its keys: give massconvert a Redis database of its own."
_START = "Start it, or set REDIS_URL to where it listens."
_BROKEN = RedisMeaning(RefusalKind.BROKEN, "refused what the ledger asked of it{asked}: {said}.", _DATABASE_OF_ITS_OWN)
FOLLOWS = f"{_BY_ITSELF} when there is another primary."
_PRIMARY = f"{_BY_ITSELF} when a failover has ended; otherwise set REDIS_URL to the primary."
_CLUSTER = f"{_BY_ITSELF}; otherwise look at CLUSTER INFO there."

TABLE: dict[str, RedisMeaning] = {
    # --- it passes ---
    "UNREACHABLE": _again("cannot be reached.", _START),
    "TIMEOUT": _again("did not answer in time.", _START),
    "LOADING": _again("is still loading its data.", f"{_BY_ITSELF} when all is loaded.", elsewhere=True),
    "READONLY": _again("is a replica and takes no writes.", _PRIMARY, elsewhere=True),
    "UNBLOCKED": _again("has just become a replica.", _PRIMARY, elsewhere=True),
    "MASTERDOWN": _again("is a replica that has lost its primary.", _PRIMARY, elsewhere=True),
    "NOREPLICAS": _again(
        "has fewer replicas than its min-replicas-to-write, and takes no writes.",
        f"{_BY_ITSELF} when a replica is connected again; otherwise start one.",
    ),
    "REPLICAS": _again(
        "has written it, and too few replicas have it: {said}.",
        "Do the same again, which is safe. MASSCONVERT_MIN_REPLICAS says how many must have what is acknowledged.",
    ),
    "OOM": _again("is full and takes no more.", "Give it more memory (maxmemory)."),
    "MISCONF": _again("cannot save to its disk and takes no writes.", "Its log says why; usually the disk is full."),
    "BUSY": _again("is busy with a long script.", f"{_BY_ITSELF} when that has ended; SCRIPT KILL ends it."),
    "KILLED": _again("ended a script by SCRIPT KILL.", "Nothing: it is tried again."),
    # Our scripts' own: a batch that is gone in the middle of a call.
    "UNKNOWN_BATCH": _again(
        "has lost this batch: it failed over, or went back to an older copy.",
        "Enqueue it again with the same key, which is safe.",
    ),
    "NOSCRIPT": _again("has forgotten a script.", "Nothing: it is tried again."),
    "EXECABORT": _again("did not carry out a transaction.", "Nothing: it is tried again."),
    "TRYAGAIN": _again("is moving the ledger's keys to another node.", _CLUSTER, elsewhere=True),
    "ASK": _again("is moving the ledger's keys to another node.", _CLUSTER, elsewhere=True),
    "CLUSTERDOWN": _again("is in a cluster that is down.", _CLUSTER, elsewhere=True),
    "NOPRIMARY": _again(
        "has no primary now, as its Sentinels say.",
        f"{_BY_ITSELF} when a failover has ended; otherwise ask a Sentinel what it sees: SENTINEL MASTERS.",
    ),
    "NOSENTINEL": _again(
        "cannot be found, since none of its Sentinels answers.",
        "Start them, or set REDIS_URL to where they listen; 26379 is their usual port.",
    ),
    "NOSLOT": _again("is a Redis Cluster in which no node has the ledger's keys.", _CLUSTER),
    "NONODE": _again("cannot be found, since no node of the Cluster answers.", _START),
    "MAXCLIENTS": _again(
        "has as many connections as it may.", "Raise its maxclients, or run fewer workers or threads."
    ),
    "CONNECTIONS": _again("is used by too many threads of this process.", "Raise max_connections in REDIS_URL."),
    "": _again("did not do what the ledger asked of it: {said}.", "It is tried again. Its log may say more."),
    # --- a person must fix it ---
    "NOAUTH": _person(
        "wants a password.", "Put the user and the password into REDIS_URL: redis://user:password@host:6379/0"
    ),
    "WRONGPASS": _person(
        "refuses the user or the password.",
        "Put the right ones into REDIS_URL: redis://user:password@host:6379/0",
    ),
    "NOPERM": _person("does not permit this user what the ledger needs: {said}.", "Give the user this permission."),
    "SCRIPTS": _person(
        "does not permit this user to run scripts, which the ledger is made of.",
        "Give the user +@scripting (ACL SETUSER).",
    ),
    "MOVED": _person(
        "is a node of a Redis Cluster, and another node has the ledger's keys.",
        "Begin REDIS_URL with redis+cluster:// (or rediss+cluster://), so that the right node is asked for.",
        elsewhere=True,
    ),
    "NOTCLUSTER": _person("is no node of a Redis Cluster.", "Begin REDIS_URL with redis:// (or rediss:// for TLS)."),
    "NOSERVICE": _person(
        "cannot be found, since its Sentinels watch no service of this name.",
        "Name in REDIS_URL what stands after `sentinel monitor` in their settings: redis+sentinel://host:26379/NAME/0",
    ),
    "SENTINELAUTH": _person(
        "cannot be found, since its Sentinels refuse the user or the password.",
        "Theirs go after the ? of REDIS_URL: sentinel_username=…&sentinel_password=…; the user needs +ping "
        "+sentinel|masters.",
    ),
    "DENIED": _person(
        "is in protected mode and takes no connections from other machines.",
        "Give it a password (requirepass, or ACL SETUSER) and put that into REDIS_URL; or bind it to an address that "
        "only your machines reach, and set `protected-mode no`.",
    ),
    "COMMAND": _person(
        "does not know a command that the ledger needs: {said}.",
        "Use Redis 6.2 or newer, or Valkey, and rename or disable none of its commands.",
    ),
    "DATABASE": _person("has no database of that number.", "Name another at the end of REDIS_URL, such as /0."),
    "CERTIFICATE": _person(
        "has a certificate that is not trusted here.",
        "Name its authority in REDIS_URL: rediss://host:6380/0?ssl_ca_certs=/path/to/ca.pem",
    ),
    "TLS": _person(
        "cannot be spoken to over TLS as REDIS_URL says: {said}.",
        "Look at the files that ssl_ca_certs, ssl_certfile and ssl_keyfile name, and at ssl_password.",
    ),
    "NOTREDIS": _person(
        "is reached, but does not speak as Redis does.",
        "Set REDIS_URL to where Redis listens (with rediss:// if it speaks TLS); something else may listen there.",
    ),
    # --- the ledger is broken ---
    "WRONGTYPE": _BROKEN,
    "MOVE": _BROKEN,  # likewise: a chunk whose leads are not those that it was claimed with
    "SCRIPT": _BROKEN,  # a script that fails by itself, over a value that we have not written
    "VALUE": _BROKEN,
}

#: redis-py takes the first word off the errors for which it has a class; the most special one first.
_CLASSES: tuple[tuple[type[BaseException], str], ...] = (
    (redis.ReadOnlyError, "READONLY"),
    (redis.OutOfMemoryError, "OOM"),
    (redis.exceptions.NoScriptError, "NOSCRIPT"),
    (redis.exceptions.ExecAbortError, "EXECABORT"),
    (redis.exceptions.NoPermissionError, "NOPERM"),
    (redis.exceptions.MasterDownError, "MASTERDOWN"),
    (redis.exceptions.ClusterDownError, "CLUSTERDOWN"),
    (redis.exceptions.TryAgainError, "TRYAGAIN"),
    (redis.exceptions.ClusterCrossSlotError, "MOVED"),
    (redis.exceptions.MovedError, "MOVED"),
    (redis.exceptions.AskError, "ASK"),
    (redis.BusyLoadingError, "LOADING"),
    (MaxConnectionsError, "CONNECTIONS"),
    (redis.exceptions.AuthenticationWrongNumberOfArgsError, "WRONGPASS"),
    (redis.exceptions.AuthorizationError, "NOPERM"),
    (redis.TimeoutError, "TIMEOUT"),
    (redis.exceptions.InvalidResponse, "NOTREDIS"),
    (UnicodeDecodeError, "VALUE"),
)

#: Words inside of errors that begin with none of the table's, in this order. A script's error has Redis' words inside.
_SIGNS: tuple[tuple[str, str], ...] = (
    ("max number of clients", "MAXCLIENTS"),
    ("CERTIFICATE_VERIFY_FAILED", "CERTIFICATE"),
    ("WRONG_VERSION_NUMBER", "NOTREDIS"),
    ("[X509", "TLS"),
    ("PEM lib", "TLS"),
    ("NO_START_LINE", "TLS"),
    ("ALERT_", "TLS"),
    ("Authentication required", "NOAUTH"),
    ("read only replica", "READONLY"),
    ("> 'maxmemory'", "OOM"),
    ("not enough memory", "OOM"),
    ("Script killed by user", "KILLED"),
    ("executing the script can't", "NOPERM"),
    ("ACL failure", "NOPERM"),
    ("no permissions to", "NOPERM"),
    ("non local key", "MOVED"),
    ("undeclared key", "MOVED"),
    ("unknown command", "COMMAND"),
    ("Unknown Redis command", "COMMAND"),
    ("Error compiling script", "COMMAND"),
    ("DB index", "DATABASE"),
    ("SELECT is not allowed in cluster mode", "DATABASE"),
    ("is not an integer", "VALUE"),
    ("not a valid float", "VALUE"),
    ("is not a float", "VALUE"),
    ("user_script:", "SCRIPT"),
)

_OF_A_PIPELINE = re.compile(r"\ACommand # \d+ \(.*\) of pipeline caused error: ", re.DOTALL)
_OF_A_SCRIPT = re.compile(
    r"\AError running script \(call to \w+\): (?:@?user_script: ?\d+: )*-?"
    r"| script: [0-9a-f]{40}, on @user_script:\d+\.?\Z"
)
_FIRST_WORD = re.compile(r"-?([A-Z][A-Z_]+)(?![^ ])")
_WORD_INSIDE = re.compile(r"[ :]-([A-Z][A-Z_]+) ")
_SCRIPTING = re.compile(r"'(eval|evalsha|script)\b", re.IGNORECASE)
#: What redis-py may raise beyond its own errors: over a socket that is closed under its hands, or a server's nonsense.
_NONSENSE = (OSError, ValueError, TypeError, AttributeError, LookupError, AssertionError, RecursionError)
_LONGEST = 200


def refusal_of(error: BaseException, asked: str = "") -> RedisRefusal | None:
    """What an error from a call to Redis means; ``None`` for one that is not Redis' doing but a bug of ours.

    ``asked`` names what Redis was asked for.
    """
    if not _is_of_redis(error):
        return None
    said = _OF_A_PIPELINE.sub("", str(error))
    code = _code(error, said)
    meaning = TABLE[code]
    words = meaning.words.replace("{asked}", f" ({asked})" if asked else "").replace("{said}", _shown(said))
    return RedisRefusal(code, meaning, words)


def _is_of_redis(error: BaseException) -> bool:
    if isinstance(error, redis.DataError | UnicodeEncodeError):  # what we gave it cannot be sent
        return False
    if isinstance(error, redis.RedisError | RedisClusterException):
        return True
    return isinstance(error, _NONSENSE) and any(
        name == "redis" or name.startswith("redis.") for name in _modules(error)
    )


def _modules(error: BaseException) -> Iterator[str]:
    """The modules through which an error was raised."""
    for frame, _ in walk_tb(error.__traceback__):
        yield str(frame.f_globals.get("__name__", ""))


def _code(error: BaseException, said: str) -> str:
    code = next((code for kind, code in _CLASSES if isinstance(error, kind)), "") or _code_of_words(said)
    if code == "NOPERM" and _SCRIPTING.search(said):
        return "SCRIPTS"
    if code or isinstance(error, redis.ResponseError):
        return code
    if isinstance(error, redis.AuthenticationError):
        return "WRONGPASS"
    if isinstance(error, redis.ConnectionError | OSError | RedisClusterException | AttributeError):
        return "UNREACHABLE"
    if isinstance(error, ValueError) and "closed file" in said:
        return "UNREACHABLE"
    return "" if isinstance(error, redis.RedisError) else "NOTREDIS"


def _code_of_words(said: str) -> str:
    for pattern in (_FIRST_WORD.match, _WORD_INSIDE.search):
        found = pattern(said)
        if found and found[1] in TABLE:
            return found[1]
    return next((code for sign, code in _SIGNS if sign in said), "")


def _shown(said: str) -> str:
    """Redis' words in one line. Not what follows "with args": the arguments may be anything, an access token too."""
    line = " ".join(_OF_A_SCRIPT.sub("", re.split(r",? with args", said)[0]).split()).rstrip(".") or "no reason given"
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"
