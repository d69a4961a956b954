"""Sentinels and a Cluster that speak TLS alone: the primary is found and followed, and what does not fit is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from redis.crc import key_slot

from massconvert.addresses import check_redis_url
from massconvert.errors import StoreError
from massconvert.nudge import Nudge
from massconvert.store import Keys, connect, reaching
from tests.certificates import certify
from tests.servers import Shards, Watched, await_true

pytestmark = pytest.mark.integration
SECRETS = ("of-the-nodes", "of-the-sentinels")
Certificate = tuple[Path, Path]


def written(client: Any, key: str = "k") -> bool:
    """Whether a write goes through."""
    try:
        with reaching(client):
            return bool(client.set(key, "v"))
    except StoreError:
        return False


def refusal(url: str) -> str:
    """The code and the words of what keeps the primary from being reached; blank if nothing does."""
    client = connect(check_redis_url(url))
    try:
        with reaching(client):
            client.ping()
    except StoreError as error:
        return f"{error.code}: {error}"
    finally:
        client.close()
    return ""


def test_the_primary_of_sentinels_is_found_and_followed_and_is_the_broker(
    own_group: Callable[..., Any], tls: Certificate
) -> None:
    group = own_group(Watched, password=SECRETS[0], sentinel_password=SECRETS[1], tls=tls)
    assert group.url.startswith("rediss+sentinel://")
    client, nudge = connect(check_redis_url(group.url)), Nudge(check_redis_url(group.url))
    assert written(client)
    nudge.chunk()
    before = group.primary()
    group.kill(before)
    after = group.await_other(before)
    await_true(lambda: written(client), 10, "a write")
    nudge.close()
    again = Nudge(check_redis_url(group.url))
    again.chunk()
    assert group.node(after).llen("massconvert") >= 1
    again.close()
    client.close()


def test_a_slot_that_moves_and_a_node_that_is_killed_are_followed(
    own_group: Callable[..., Any], tls: Certificate
) -> None:
    group, key = own_group(Shards, tls=tls), f"{Keys('default').prefix}k"
    assert group.url.startswith("rediss+cluster://")
    client, slot = connect(check_redis_url(group.url)), key_slot(key.encode())
    assert written(client, key)
    source = group.owner(slot)
    target = next(port for port in group.ports[:3] if port != source)
    group.move(slot, target)
    assert not written(client, key)  # it is told that the slot has moved
    assert written(client, key)
    group.kill(target)
    group.await_other(slot, target)
    await_true(lambda: written(client, key), 20, "a write")
    client.close()


@pytest.mark.parametrize("kind", [Watched, Shards])
def test_a_certificate_that_does_not_fit_is_told_in_words(
    own_group: Callable[..., Any], tls: Certificate, tmp_path: Path, kind: type[Watched | Shards]
) -> None:
    """It is signed by nobody that is trusted, or it is for another name; and a file may be no certificate at all."""
    group = own_group(kind, tls=tls)
    assert refusal(group.url) == ""
    other, _ = certify(tmp_path, "localhost")
    none = tmp_path / "none.pem"
    none.write_text("not a certificate\n")
    for wrong in (
        group.url.partition("?")[0],
        group.url.replace(str(tls[0]), str(other)),
        group.url.replace("127.0.0.1", "localhost"),
    ):
        said = refusal(wrong)
        assert said.startswith("CERTIFICATE: "), said
        assert "has a certificate that is not trusted here." in said
        assert "ssl_ca_certs=/path/to/ca.pem" in said
    said = refusal(group.url.replace(str(tls[0]), str(none)))
    assert said.startswith("TLS: "), said
    assert "Look at the files that ssl_ca_certs" in said
