"""REDIS_URL and CELERY_BROKER_URL: what may stand in them, and how redis-py and Celery want them written.

What is wrong is said without a piece of the value: a URL that cannot be parsed may hold a password anywhere.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from ipaddress import ip_address
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

_EXAMPLE = "write it like redis://127.0.0.1:6379/0, rediss://:password@host:6380/0 or unix:///path/to/socket"
_ENCODE = "(characters like / # ? @ in a password must be percent-encoded)"
_BROKER_EXAMPLE = "write it like redis://127.0.0.1:6379/1 or amqp://user:password@host//"
_BROKER_ENCODE = "must have every character like / # ? @ [ in a user or a password percent-encoded (# is %23, / is %2F)"
_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019\u00ab\u00bb"
#: The longest piece of a URL that may be a secret by chance, and still is not looked for in other texts.
_TOO_SHORT = 3
_SENTINELS = "write it like redis+sentinel://:password@host1:26379,host2:26379/SERVICE/0 (rediss+sentinel:// with TLS)"
_CLUSTER = "write it like redis+cluster://:password@host1:6379,host2:6379 (rediss+cluster:// with TLS)"
#: What a URL of several servers begins with → the port of theirs that goes without saying.
_GROUPS = {"redis+sentinel": 26379, "rediss+sentinel": 26379, "redis+cluster": 6379, "rediss+cluster": 6379}
#: How Sentinels' service may be called: what Redis takes in its configuration.
_SERVICE = re.compile(r"[A-Za-z0-9._-]{1,100}")
_CLUSTERS = ("redis+cluster", "rediss+cluster")
#: How Celery writes a Sentinel, and what it cannot have as a broker.
CELERY_SENTINEL = "sentinel://"
_CELERY_SENTINELS = (
    "write it like sentinel://:password@host1:26379/0;sentinel://:password@host2:26379/0, or like "
    "redis+sentinel://:password@host1:26379,host2:26379/SERVICE/0"
)
NO_BROKER = "Celery cannot use as its broker: name a Redis without cluster mode, Sentinels or RabbitMQ"
_OF_SENTINELS = ("sentinel_username", "sentinel_password")


@dataclass(frozen=True)
class NodeGroup:
    """Several servers of which one has the ledger: those that Sentinels watch, or a Redis Cluster.

    ``hosts`` are the Sentinels, or some of the Cluster's nodes; ``service`` is the Sentinels' name for what they watch,
    blank for a Cluster. ``node`` is the URL of a data node as redis-py reads it, but for the host, which is to be found
    out. ``login``: user and password for the Sentinels, blank where they want none.
    """

    hosts: tuple[tuple[str, int], ...]
    service: str
    node: str
    login: tuple[str, str] = ("", "")

    @property
    def tls(self) -> bool:
        """Whether all of them speak TLS."""
        return self.node.startswith("rediss:")

    @property
    def names(self) -> list[str]:
        """The hosts as a URL has them."""
        return [f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts]

    def __str__(self) -> str:
        return "/".join(filter(None, (",".join(self.names), self.service)))


def group_of(url: str) -> NodeGroup | None:
    """The servers of a URL that `check_redis_url` has returned; ``None`` where it names one alone."""
    scheme, _, rest = url.partition("://")
    if scheme not in _GROUPS:
        return None
    # Newer Pythons' urlsplit refuses a second host in brackets. A login that was checked has no / and no ?.
    place, _, options = rest.partition("?")
    netloc, _, path = place.partition("/")
    login, _, names = netloc.rpartition("@")
    service, _, database = path.strip("/").partition("/") if "sentinel" in scheme else ("", "", "")
    query = dict(parse_qsl(options))
    users = (query.pop("sentinel_username", ""), query.pop("sentinel_password", ""))
    node = f"{scheme.partition('+')[0]}://{f'{login}@' if login else ''}to-be-found/{database or 0}"
    hosts = [urlsplit(f"//{name}") for name in names.split(",")]
    found = tuple((host.hostname or "", host.port or _GROUPS[scheme]) for host in hosts)
    return NodeGroup(found, service, f"{node}?{urlencode(query)}" if query else node, users)


def place_of(url: str) -> str:
    """Where a ledger is, without what its user is called: the same for each way to write the same URL."""
    group = group_of(url)
    parts = urlsplit(group.node if group else url)
    where = str(group) if group else f"{parts.hostname or ''}:{parts.port or 6379}"
    return f"{where}{parts.path} {dict(parse_qsl(parts.query)).get('db', '')}"


def in_quotes(value: str) -> bool:
    """Whether a value came with the quotes around it: ``docker --env-file`` keeps them, and some editors bend them."""
    return len(value) > 1 and value[0] in _QUOTES and value[-1] in _QUOTES


def check_service(name: str) -> str:
    """The name of what Sentinels watch, or blank. Raises ValueError with what is wrong, for people."""
    if name and not _SERVICE.fullmatch(name):
        raise ValueError("must be letters, digits, - . or _, as after `sentinel monitor` in the Sentinels' settings")
    return name


def check_redis_url(url: str) -> str:
    """``url`` as redis-py reads it, or as `group_of` does. Celery's spelling of certificate checks is taken too.

    Raises ValueError with what is wrong, for people, and with no piece of the value.
    """
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    if found and scheme in ("sentinel", "redis-sentinel"):
        raise ValueError(f"names Sentinels in another form than is read here; {_SENTINELS}")
    if found and scheme in _GROUPS:
        return _check_group(scheme, rest)
    return _check_server(scheme if found else "", rest, _EXAMPLE)


def _check_group(scheme: str, rest: str) -> str:
    """A group's URL, in which each server was checked as one alone would be."""
    example = _SENTINELS if "sentinel" in scheme else _CLUSTER
    login, at, tail = rest.rpartition("@")
    place, _, query = tail.partition("?")
    names, _, path = place.partition("/")
    service, _, database = path.strip("/").partition("/") if example is _SENTINELS else ("", "", path.strip("/"))
    if any(char in rest for char in "#;") or any(char in login for char in "/?"):
        raise ValueError(f"has a / # ? or ; where none can be {_ENCODE}; {example}")
    if example is _SENTINELS and not _SERVICE.fullmatch(service):
        raise ValueError(f"does not name the service that the Sentinels watch after the hosts; {example}")
    given = parse_qsl(query, keep_blank_values=True)
    ours = [(name, value) for name, value in given if name in _OF_SENTINELS and service]
    theirs = urlencode([pair for pair in given if pair not in ours], safe="/:")
    if example is _CLUSTER and (database.strip("0") or dict(given).get("db", "0").strip("0")):
        raise ValueError("names a database, and a Redis Cluster has only the first: leave the number out")
    checked = ""
    for name in names.split(","):
        checked = _check_server(scheme.partition("+")[0], f"{login}{at}{name}/{database}?{theirs}", example)
    query = "&".join(filter(None, (checked.partition("?")[2], urlencode(ours))))
    end = f"/{service}/{database or 0}" if service else ""
    return f"{scheme}://{login}{at}{names}{end}{f'?{query}' if query else ''}"


def _check_server(scheme: str, rest: str, example: str) -> str:
    if scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"must begin with redis://, rediss:// (TLS) or unix://; {example}")
    if "://" in rest:
        raise ValueError(f"names more than one server; {example}")
    url = f"{scheme}://{rest}"
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError(f"has a blank or another character in it that no URL has {_ENCODE}")
    if ";" in rest:  # between brokers it means another one: what stands before it would be taken for a host
        raise ValueError(f"has a ; in it {_ENCODE}; {example}")
    parts = _parts(url)
    if parts is None:
        raise ValueError(f"has no usable host and port {_ENCODE}; {example}")
    if "#" in url or "@" in parts.path + parts.query:
        raise ValueError(f"has a # or an @ where none can be {_ENCODE}; {example}")
    _demand_place(parts, example)
    query = _options(scheme, parts.query)
    return url.partition("?")[0] + (f"?{query}" if query else "")


def _parts(url: str) -> SplitResult | None:
    """``url`` taken apart; ``None`` where its host and port cannot be used."""
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        return None
    return parts if usable else None


def _demand_place(parts: SplitResult, example: str) -> None:
    database = parts.path.strip("/")
    if parts.scheme == "unix":
        if not database:
            raise ValueError(f"names no socket; {example}")
    elif not parts.hostname:
        raise ValueError(f"names no host {_ENCODE}; {example}")
    elif database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"must end in the number of a database, like /0 {_ENCODE}")


def check_broker_url(url: str) -> str:
    """``url`` as Celery reads it: one broker, or several with ``;`` between them; blank stays blank.

    Sentinels may be written as the ledger's are, or as Celery does it. Raises ValueError with what is wrong, for
    people, and with no piece of the value.
    """
    parts = [part.strip() for part in url.split(";")] if url else []
    if any(part.lower().startswith(CELERY_SENTINEL) for part in parts):
        return ";".join(_one_sentinel(part) for part in parts)
    return ";".join(_one_broker(part) for part in parts)


def sentinels_of_celery(urls: str, service: str) -> str:
    """Celery's ``sentinel://…;sentinel://…``, as `check_broker_url` returned it, in the form that `group_of` reads."""
    parts = [urlsplit(url) for url in urls.split(";")]
    login = next((name for part in parts if (name := part.netloc.rpartition("@")[0])), "")
    names = ",".join(part.netloc.rpartition("@")[2] for part in parts)
    return f"redis+sentinel://{f'{login}@' if login else ''}{names}/{service}/{parts[0].path.strip('/') or 0}"


def for_celery(url: str) -> str:
    """A ledger's URL in kombu's dialect: sockets are written differently, and an unknown query key is an error there.

    With TLS, certificates are checked unless the URL says otherwise, as redis-py does; kombu's default is not to.
    Sentinels become several URLs, in which the rest of what there is to say has no place (`massconvert.broker`).
    """
    group = group_of(url)
    parts = urlsplit(group.node if group else url)
    query = dict(parse_qsl(parts.query))
    user = parts.username or quote(query.get("username", ""), safe="")
    password = parts.password or quote(query.get("password", ""), safe="")
    login = f"{user}{f':{password}' if password else ''}@" if user or password else ""
    if parts.scheme == "unix":
        database = f"?virtual_host={quote(query['db'], safe='')}" if query.get("db") else ""
        return f"redis+socket://{login}{parts.path}{database}"
    path = f"/{query['db']}" if query.get("db") else parts.path
    if group:
        # With each: kombu goes from one to the next.
        return ";".join(f"{CELERY_SENTINEL}{login}{host}{path}" for host in group.names)
    tls = {name: value for name, value in query.items() if name.startswith("ssl_")}
    if parts.scheme == "rediss":
        tls.setdefault("ssl_cert_reqs", "required")
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{login}{host}{path}{f'?{urlencode(tls)}' if tls else ''}"


def without_secrets(text: str, urls: str) -> str:
    """``text`` with the passwords of ``urls`` (``;`` between them) masked, in case a library repeats one."""
    for url in urls.split(";"):
        try:
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query))
        except ValueError:
            continue
        secrets = (query.get(name) for name in ("password", "ssl_password", "sentinel_password"))
        for secret in (parts.password or parts.username, *secrets):
            for spelt in filter(None, (secret, unquote(secret or ""))):
                if len(spelt) > _TOO_SHORT:
                    text = text.replace(spelt, "***")
    return text


def _one_broker(url: str) -> str:
    scheme, found, rest = url.partition("://")
    if not found or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise ValueError(f"must be a URL: {_BROKER_EXAMPLE}")
    if scheme.lower() in _CLUSTERS:
        raise ValueError(f"names a Redis Cluster, which {NO_BROKER}")
    if scheme.lower() in (*_GROUPS, "redis-sentinel"):
        return check_redis_url(url)
    if scheme.lower() in ("redis", "rediss", "unix"):
        return for_celery(check_redis_url(url)) if scheme.lower() == "unix" else check_redis_url(url)
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError(f"has a blank or another character in it that no URL has; it {_BROKER_ENCODE}")
    parts = _parts(url)
    if parts is None or "#" in rest or "@" in parts.path + parts.query:
        raise ValueError(_BROKER_ENCODE)
    return url


def _one_sentinel(url: str) -> str:
    scheme, _, rest = url.partition("://")
    if f"{scheme.lower()}://" != CELERY_SENTINEL:
        raise ValueError(f"names Sentinels and something else; {_CELERY_SENTINELS}")
    if "?" in rest or "," in rest.rpartition("@")[2]:
        raise ValueError(f"has a ? or a , in it, which Celery does not take there; {_CELERY_SENTINELS}")
    checked = _check_server("redis", rest, _CELERY_SENTINELS)
    return f"{CELERY_SENTINEL}{checked.partition('://')[2]}"


def _options(scheme: str, query: str) -> str:
    """The options of a Redis URL as redis-py spells them. Raises ValueError for one that is unknown or wrong."""
    if not query:
        return ""
    made = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        check = _OPTIONS.get(name)
        if name in _OF_SENTINELS:
            raise ValueError(f"has {name}, which is for Sentinels only: begin it with redis+sentinel://")
        if check is None:
            near = get_close_matches(name, (*_OPTIONS, *_OF_SENTINELS), n=1)
            # A name that is not a word may be a piece of a password.
            named = f" {name}" if re.fullmatch(r"[a-z]{2,12}(_[a-z]{2,12}){0,3}", name) else ""
            meant = f"; did you mean {near[0]}?" if near else "; docs/settings.md lists those that are"
            raise ValueError(f"has an option{named} after its ? that is not known{meant} {_ENCODE}")
        if name.startswith("ssl_") and scheme != "rediss":
            raise ValueError(f"has {name}, which is for TLS only: begin it with rediss://")
        made.append((name, check(name, value)))
    return urlencode(made, safe="/:")


def _any(_name: str, value: str) -> str:
    return value


def _number(name: str, value: str) -> str:
    try:
        good = math.isfinite(float(value)) and float(value) > 0
    except ValueError:
        good = False
    if not good:
        raise ValueError(f"has {name}, which must be a number above 0")
    return value


def _whole(name: str, value: str) -> str:
    if not re.fullmatch("[0-9]{1,9}", value):
        raise ValueError(f"has {name}, which must be a whole number")
    return value


def _yes_or_no(name: str, value: str) -> str:
    if value.lower() not in _WORDS:
        raise ValueError(f"has {name}, which must be true or false")
    return _WORDS[value.lower()]


def _certificates(name: str, value: str) -> str:
    """redis-py's ``required``, ``optional``, ``none``; Celery and Python write ``CERT_REQUIRED`` and so on."""
    plain = value.lower().removeprefix("ssl.").removeprefix("cert_")
    if plain not in ("required", "optional", "none"):
        raise ValueError(f"has {name}, which must be required, optional or none")
    return plain


def _file(name: str, value: str) -> str:
    if not os.path.isfile(value):
        raise ValueError(f"has {name}, which names a file that is not there: {value[:200]!r}")
    return value


def _folder(name: str, value: str) -> str:
    if not os.path.isdir(value):
        raise ValueError(f"has {name}, which names a directory that is not there: {value[:200]!r}")
    return value


_WORDS: Mapping[str, str] = {
    **dict.fromkeys(("true", "1", "yes", "y", "on"), "true"),
    **dict.fromkeys(("false", "0", "no", "n", "off"), "false"),
}

#: What redis-py's connections take from a URL, but for what would change what they answer, or have a script run twice.
_OPTIONS: Mapping[str, Callable[[str, str], str]] = {
    "db": _whole,
    "username": _any,
    "password": _any,
    "client_name": _any,
    "protocol": _whole,
    "max_connections": _whole,
    "health_check_interval": _whole,
    "socket_timeout": _number,
    "socket_connect_timeout": _number,
    "socket_keepalive": _yes_or_no,
    "ssl_cert_reqs": _certificates,
    "ssl_check_hostname": _yes_or_no,
    "ssl_ca_certs": _file,
    "ssl_ca_path": _folder,
    "ssl_certfile": _file,
    "ssl_keyfile": _file,
    "ssl_password": _any,
    "ssl_ciphers": _any,
}


def is_loopback(host: str) -> bool:
    """Whether ``host`` is this machine by name or address: the one place to which something may go unprotected.

    Nothing is resolved.
    """
    if host.lower() == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
