"""REDIS_URL and CELERY_BROKER_URL: taken as redis-py and Celery need them, or refused in words without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from massconvert.addresses import check_broker_url, check_redis_url, for_celery, in_quotes, without_secrets
from massconvert.errors import SettingsError
from massconvert.nudge import Nudge

SECRET = "hunter2-not-a-real-secret"


def refusal(url: str, *, broker: bool = False) -> str:
    """What is said against a URL."""
    with pytest.raises(ValueError, match=r".") as caught:
        check_broker_url(url) if broker else check_redis_url(url)
    return str(caught.value)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("redis://h", "redis://h"),
        ("REDIS://h:1/2", "redis://h:1/2"),
        ("redis://:p@ss@h/0", "redis://:p@ss@h/0"),  # the last @ is the one that counts
        ("rediss://h:6380/0?ssl_cert_reqs=CERT_NONE", "rediss://h:6380/0?ssl_cert_reqs=none"),
        ("rediss://h:6380/0?ssl_cert_reqs=CERT_REQUIRED", "rediss://h:6380/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_cert_reqs=ssl.CERT_OPTIONAL", "rediss://h/0?ssl_cert_reqs=optional"),
        ("rediss://h/0?ssl_cert_reqs=Required", "rediss://h/0?ssl_cert_reqs=required"),
        ("rediss://h/0?ssl_check_hostname=no", "rediss://h/0?ssl_check_hostname=false"),
        ("redis://h/0?socket_timeout=2.5&client_name=shop", "redis://h/0?socket_timeout=2.5&client_name=shop"),
        ("unix:///run/a%23b/c%20d/redis.sock", "unix:///run/a%23b/c%20d/redis.sock"),
    ],
)
def test_what_can_be_meant_is_taken_as_redis_py_reads_it(given: str, taken: str) -> None:
    assert check_redis_url(given) == taken
    # The connection is made of it, though nobody listens: no option may be one that it does not know.
    with pytest.raises(redis.ConnectionError):
        redis.Redis.from_url(taken.replace("//h", "//127.0.0.1:1").replace(":1:", ":"), retry=None).ping()


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("redis://h/0?foo=bar", "has an option foo after its ? that is not known"),
        ("redis://h/0?ssl_cert_req=none", "did you mean ssl_cert_reqs?"),
        ("redis://h/0?ssl_cert_reqs=none", "begin it with rediss://"),
        ("rediss://h/0?ssl_cert_reqs=maybe", "must be required, optional or none"),
        ("rediss://h/0?ssl_ca_certs=/nowhere/ca.pem", "names a file that is not there: '/nowhere/ca.pem'"),
        ("redis://h/0?socket_timeout=soon", "must be a number above 0"),
        ("redis://h/0?socket_timeout=0", "must be a number above 0"),
        ("redis://h/0?db=first", "must be a whole number"),
        ("redis://h/0?decode_responses=false", "is not known"),
        ("redis://h/0?retry_on_timeout=true", "is not known"),
        ("redis://h:0/0", "has no usable host and port"),
        ("redis://h:99999/0", "has no usable host and port"),
        ("redis://h /0", "has a blank"),
        ("redis://h1:1/0,redis://h2:1/0", "names more than one server"),
        ("redis+sentinel://h:26379/main", "names Sentinels"),
        ("redis+cluster://h:6379", "names a Redis Cluster"),
    ],
)
def test_what_cannot_be_used_is_told_with_what_is_right(url: str, said: str) -> None:
    assert said in refusal(url)


@pytest.mark.parametrize("char", list("/#?[]@ %\\\n"))
@pytest.mark.parametrize("scheme", ["redis", "rediss", "amqp", "amqps", "pyamqp"])
def test_a_password_with_a_character_that_is_not_encoded_is_never_repeated(scheme: str, char: str) -> None:
    url = f"{scheme}://user:{SECRET[:7]}{char}{SECRET[7:]}@host:5672/0"
    try:
        taken = check_broker_url(url)
    except ValueError as error:
        text = str(error)
    else:
        try:
            nudge = Nudge(taken)
        except SettingsError as error:
            text = str(error)
        else:
            text = nudge.place
            nudge.close()
    assert SECRET[:7] not in text
    assert SECRET[7:] not in text


def test_the_broker_of_the_field_report_is_told_to_be_encoded() -> None:
    assert "percent-encoded (# is %23" in refusal("amqp://user:Geh#eim@host:5672//", broker=True)


@pytest.mark.parametrize("url", ["sentinel://:p@a:26379/0;sentinel://b:26379/0", "redis+cluster://h:1"])
def test_a_broker_that_is_not_one_server_is_refused(url: str) -> None:
    assert "is not supported" in refusal(url, broker=True)


def test_of_several_brokers_each_is_checked() -> None:
    assert check_broker_url("redis://a/0; redis://b/0") == "redis://a/0;redis://b/0"
    assert "percent-encoded" in refusal("redis://a/0;redis://:x#y@b/0", broker=True)


def test_with_tls_each_of_several_brokers_is_checked_by_its_certificate() -> None:
    assert for_celery("rediss://a/0").endswith("?ssl_cert_reqs=required")


def test_a_file_of_certificates_that_is_there_is_taken(tmp_path: Path) -> None:
    file = tmp_path / "a ca.pem"
    file.write_text("")
    taken = check_redis_url(f"rediss://h/0?ssl_ca_certs={str(file).replace(' ', '%20')}")
    assert redis.Redis.from_url(taken).connection_pool.connection_kwargs["ssl_ca_certs"] == str(file)


@pytest.mark.parametrize(("value", "quoted"), [("'a'", True), ('"a"', True), ("'a", False), ("'", False), ("a", False)])
def test_quotes_around_a_value_are_known(value: str, quoted: bool) -> None:
    assert in_quotes(value) is quoted


def test_a_password_that_a_library_repeats_is_masked() -> None:
    urls = "amqp://u:p%23ssword@h//;redis://h/0?password=second-one"
    assert without_secrets("no p#ssword, no p%23ssword, no second-one", urls) == "no ***, no ***, no ***"
