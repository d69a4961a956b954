"""REDIS_URL and CELERY_BROKER_URL: what may stand in them, and how redis-py and Celery want them written.

What is wrong is said without a piece of the value: a URL that cannot be parsed may hold a password anywhere.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from urllib.parse import SplitResult, parse_qsl, quote, unquote, urlencode, urlsplit

_EXAMPLE = "write it like redis://127.0.0.1:6379/0, rediss://:password@host:6380/0 or unix:///path/to/socket"
_ENCODE = "(characters like / # ? @ in a password must be percent-encoded)"
_BROKER_EXAMPLE = "write it like redis://127.0.0.1:6379/1 or amqp://user:password@host//"
_BROKER_ENCODE = "must have every character like / # ? @ [ in a user or a password percent-encoded (# is %23, / is %2F)"
_QUOTES = "\"'`"
#: The longest piece of a URL that may be a secret by chance, and still is not looked for in other texts.
_TOO_SHORT = 3
#: Servers that only a client of its own kind can follow.
_NOT_ONE_SERVER = "names {}, which is not supported; give the address of the primary itself"
_KINDS = {
    "redis+sentinel": "Sentinels",
    "rediss+sentinel": "Sentinels",
    "redis-sentinel": "Sentinels",
    "sentinel": "Sentinels",
    "redis+cluster": "a Redis Cluster",
    "rediss+cluster": "a Redis Cluster",
}


def in_quotes(value: str) -> bool:
    """Whether a value came with the quotes around it: ``docker --env-file`` and some shells' files keep them."""
    return len(value) > 1 and value[0] in _QUOTES and value[-1] == value[0]


def check_redis_url(url: str) -> str:
    """``url`` as redis-py reads it. Celery's spelling of certificate checks is taken too.

    Raises ValueError with what is wrong, for people, and with no piece of the value.
    """
    scheme, found, rest = url.partition("://")
    scheme = scheme.lower()
    if found and scheme in _KINDS:
        raise ValueError(_NOT_ONE_SERVER.format(_KINDS[scheme]))
    if not found or scheme not in ("redis", "rediss", "unix"):
        raise ValueError(f"must begin with redis://, rediss:// (TLS) or unix://; {_EXAMPLE}")
    if "://" in rest:
        raise ValueError(f"names more than one server; {_EXAMPLE}")
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError(f"has a blank or another character in it that no URL has {_ENCODE}")
    if ";" in rest:  # between brokers it means another one: what stands before it would be taken for a host
        raise ValueError(f"has a ; in it {_ENCODE}; {_EXAMPLE}")
    url = f"{scheme}://{rest}"
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError(f"has no usable host and port {_ENCODE}; {_EXAMPLE}")
    if "#" in url or "@" in parts.path + parts.query:
        raise ValueError(f"has a # or an @ where none can be {_ENCODE}; {_EXAMPLE}")
    _demand_place(parts)
    query = _options(scheme, parts.query)
    return url.partition("?")[0] + (f"?{query}" if query else "")


def _demand_place(parts: SplitResult) -> None:
    database = parts.path.strip("/")
    if parts.scheme == "unix":
        if not database:
            raise ValueError(f"names no socket; {_EXAMPLE}")
    elif not parts.hostname:
        raise ValueError(f"names no host {_ENCODE}; {_EXAMPLE}")
    elif database and not (database.isascii() and database.isdigit()):
        raise ValueError(f"must end in the number of a database, like /0 {_ENCODE}")


def check_broker_url(url: str) -> str:
    """``url`` as Celery reads it: one broker, or several with ``;`` between them; blank stays blank.

    Raises ValueError with what is wrong, for people, and with no piece of the value.
    """
    return ";".join(_one_broker(part.strip()) for part in url.split(";")) if url else ""


def for_celery(url: str) -> str:
    """A redis-py URL in kombu's dialect: sockets are written differently, and an unknown query key is an error there.

    With TLS, certificates are checked unless the URL says otherwise, as redis-py does; kombu's default is not to.
    """
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query))
    user = parts.username or quote(query.get("username", ""), safe="")
    password = parts.password or quote(query.get("password", ""), safe="")
    login = f"{user}{f':{password}' if password else ''}@" if user or password else ""
    if parts.scheme == "unix":
        database = f"?virtual_host={quote(query['db'], safe='')}" if query.get("db") else ""
        return f"redis+socket://{login}{parts.path}{database}"
    tls = {name: value for name, value in query.items() if name.startswith("ssl_")}
    if parts.scheme == "rediss":
        tls.setdefault("ssl_cert_reqs", "required")
    host = parts.netloc.rpartition("@")[2]
    path = f"/{query['db']}" if query.get("db") else parts.path
    return f"{parts.scheme}://{login}{host}{path}{f'?{urlencode(tls)}' if tls else ''}"


def without_secrets(text: str, urls: str) -> str:
    """``text`` with the passwords of ``urls`` (``;`` between them) masked, in case a library repeats one."""
    for url in urls.split(";"):
        try:
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query))
        except ValueError:
            continue
        for secret in (parts.password or parts.username, query.get("password"), query.get("ssl_password")):
            for spelt in filter(None, (secret, unquote(secret or ""))):
                if len(spelt) > _TOO_SHORT:
                    text = text.replace(spelt, "***")
    return text


def _one_broker(url: str) -> str:
    scheme, found, rest = url.partition("://")
    if in_quotes(url):
        raise ValueError("is in quotes: write the value without them")
    if not found or not re.fullmatch(r"[A-Za-z][A-Za-z0-9+.-]*", scheme):
        raise ValueError(f"must be a URL: {_BROKER_EXAMPLE}")
    if scheme.lower() in _KINDS:
        raise ValueError(_NOT_ONE_SERVER.format(_KINDS[scheme.lower()]))
    if scheme.lower() in ("redis", "rediss", "unix"):
        return for_celery(check_redis_url(url)) if scheme.lower() == "unix" else check_redis_url(url)
    if any(char.isspace() or not char.isprintable() for char in url):
        raise ValueError(f"has a blank or another character in it that no URL has; it {_BROKER_ENCODE}")
    try:
        parts = urlsplit(url)
        usable = parts.port != 0
    except ValueError:
        usable = False
    if not usable or "#" in rest or "@" in parts.path + parts.query:
        raise ValueError(_BROKER_ENCODE)
    return url


def _options(scheme: str, query: str) -> str:
    """The options of a Redis URL as redis-py spells them. Raises ValueError for one that is unknown or wrong."""
    if not query:
        return ""
    made = []
    for name, value in parse_qsl(query, keep_blank_values=True):
        check = _OPTIONS.get(name)
        if check is None:
            near = get_close_matches(name, _OPTIONS, n=1)
            # A name that is no word may be a piece of a password.
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
