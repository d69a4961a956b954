"""Whatever stands in the environment: settings, or words of ours by the variable's name, and no piece of a secret."""

from __future__ import annotations

import time
from random import Random

import pytest

from massconvert.addresses import for_celery
from massconvert.errors import SettingsError
from massconvert.nudge import Nudge
from massconvert.settings import SECRETS, Settings, load_settings, variables
from massconvert.store import connect
from tests.unit.fuzz import cases, generator

SECRET = "Geheim7"
_SCHEMES = ("redis", "rediss", "unix", "amqp", "amqps", "sentinel", "redis+cluster", "http", "sqs", "memory", "", "x")
_HOSTS = ("h", "127.0.0.1", "[::1]", "[::1", "h:6379", "h:0", "h:port", "h:99999", "", "a b", "hé", "h,i:1")
_PATHS = ("", "/", "/0", "//", "/zero", "/0?foo=bar", "/0?ssl_cert_reqs=CERT_NONE", "/0?db=x", "/0#x", "/run/r.sock")
_ODD = "/#?[]@ %\\\n\t;,:'\"&=\udc80é"


def address(chance: Random) -> str:
    """A URL that somebody may have made, with a secret where people put it, and characters that they forget."""
    secret = SECRET
    for _ in range(chance.randrange(3)):
        place = chance.randrange(len(secret) + 1)
        secret = secret[:place] + chance.choice(_ODD) + secret[place:]
    login = chance.choice((f"user:{secret}@", f":{secret}@", f"{secret}@", ""))
    url = f"{chance.choice(_SCHEMES)}://{login}{chance.choice(_HOSTS)}{chance.choice(_PATHS)}"
    if chance.random() < 0.1:
        url += f"?password={secret}"
    if chance.random() < 0.1:
        url = f"{url};{url}"
    return f'"{url}"' if chance.random() < 0.05 else url


def value(chance: Random, name: str) -> str:
    """A value for a variable: nearly right, or anything."""
    if name in ("REDIS_URL", "CELERY_BROKER_URL", "ZOHO_ACCOUNTS_URL", "ZOHO_API_DOMAIN"):
        return address(chance)
    words = ("", " ", "0", "1", "5", "-1", "1e9", "nan", "inf", "true", "v8", "eu", "x" * 300, "'1'", "é\udc80", "a\nb")
    return SECRET * 3 if name in SECRETS else chance.choice(words)


def pieces(text: str) -> bool:
    """Whether a piece of the secret stands in ``text``."""
    return any(SECRET[start : start + 4] in text for start in range(len(SECRET) - 3))


def use(settings: Settings) -> str:
    """Make of the settings what every command makes; what is said of the broker."""
    connect(settings.redis_url).close()
    for_celery(settings.redis_url)
    nudge = Nudge(settings.broker_url)
    nudge.close()
    return f"{nudge.place} {settings!r} {settings.hints}"


@pytest.mark.parametrize("seed", range(4))
def test_every_environment_ends_in_settings_or_in_words_without_a_secret(seed: int) -> None:
    chance = generator(seed)
    for number in range(cases(2000) // 4):
        names = chance.sample(sorted(variables()), chance.randrange(1, 5))
        if chance.random() < 0.7:
            names.append(chance.choice(("REDIS_URL", "CELERY_BROKER_URL")))
        environ = {name: value(chance, name) for name in names}
        began = time.process_time()
        try:
            said = use(load_settings(environ, dotenv=None))
        except SettingsError as error:
            said = str(error)
            assert any(name in said for name in environ), (seed, number, said)
        assert not pieces(said), (seed, number, said)
        assert time.process_time() - began < 1.0, (seed, number)
