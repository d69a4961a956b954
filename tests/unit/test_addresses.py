"""REDIS_URL and CELERY_BROKER_URL: taken as redis-py and Celery need them, or refused in words without a secret."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from massconvert.addresses import (
    check_broker_url,
    check_redis_url,
    for_celery,
    group_of,
    in_quotes,
    place_of,
    sentinels_of_celery,
    without_secrets,
)
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
        ("sentinel://h:26379/0", "names Sentinels in another form"),
        ("redis-sentinel://h:26379?sentinelMasterId=main", "write it like redis+sentinel://"),
        ("redis+sentinel://h:26379", "does not name the service"),
        ("redis+sentinel://h:26379/", "does not name the service"),
        ("redis+sentinel://h:26379/0/x y", "has a blank"),
        ("redis+sentinel://h:26379/main/first", "must end in the number of a database"),
        ("redis+sentinel://h:port,i:1/main", "has no usable host and port"),
        ("redis+sentinel://h:1,/main", "names no host"),
        ("redis+sentinel:///main", "names no host"),
        ("redis+sentinel://h:1;i:2/main", "has a / # ? or ; where none can be"),
        ("redis+sentinel://h/main/0?sentinel_pass=x", "did you mean sentinel_password?"),
        ("redis+sentinel://h/main/0?ssl_cert_reqs=none", "begin it with rediss://"),
        ("redis+sentinel://h1:1/main/0,redis+sentinel://h2:1/main/0", "names more than one server"),
        ("redis+cluster://h:6379/1", "a Redis Cluster has only the first"),
        ("redis+cluster://h:6379?db=2", "a Redis Cluster has only the first"),
        ("redis+cluster://h:6379?sentinel_password=x", "is for Sentinels only"),
        ("redis+cluster://", "names no host"),
    ],
)
def test_what_cannot_be_used_is_told_with_what_is_right(url: str, said: str) -> None:
    assert said in refusal(url)


@pytest.mark.parametrize("char", list("/#?[]@ %\\\n"))
@pytest.mark.parametrize(
    "scheme",
    ["redis", "rediss", "amqp", "amqps", "pyamqp", "sentinel", "redis+sentinel", "rediss+sentinel", "redis+cluster"],
)
def test_a_password_with_a_character_that_is_not_encoded_is_never_repeated(scheme: str, char: str) -> None:
    service = "main/" if "+sentinel" in scheme else ""
    url = f"{scheme}://user:{SECRET[:7]}{char}{SECRET[7:]}@host:5672/{service}0"
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


def test_a_cluster_is_no_broker() -> None:
    assert "names a Redis Cluster, which Celery cannot use" in refusal("rediss+cluster://h:1", broker=True)


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("Redis+Sentinel://h/main", "redis+sentinel://h/main/0"),
        ("redis+sentinel://:p@ss@h:1,[::1]:2/main/3", "redis+sentinel://:p@ss@h:1,[::1]:2/main/3"),
        (
            "rediss+sentinel://u:p@h/m.a-i_n/0?ssl_cert_reqs=CERT_NONE&sentinel_password=a%26b",
            "rediss+sentinel://u:p@h/m.a-i_n/0?ssl_cert_reqs=none&sentinel_password=a%26b",
        ),
        ("redis+cluster://u:p@h,i:7000/0?socket_timeout=2", "redis+cluster://u:p@h,i:7000?socket_timeout=2"),
    ],
)
def test_several_servers_are_taken(given: str, taken: str) -> None:
    assert check_redis_url(given) == check_redis_url(taken) == taken


def test_what_a_url_of_sentinels_names() -> None:
    group = group_of(
        "rediss+sentinel://u:p%23@h,[::1]:2/main/3?ssl_cert_reqs=none&sentinel_username=s&sentinel_password=a%26b"
    )
    assert group
    assert group.hosts == (("h", 26379), ("::1", 2))
    assert (group.service, group.login, group.tls) == ("main", ("s", "a&b"), True)
    assert group.node == "rediss://u:p%23@to-be-found/3?ssl_cert_reqs=none"
    assert str(group) == "h:26379,[::1]:2/main"


def test_what_a_url_of_a_cluster_names() -> None:
    group = group_of("redis+cluster://u:p@h,i:7000?socket_timeout=2")
    assert group
    assert (group.hosts, group.service, group.tls) == ((("h", 6379), ("i", 7000)), "", False)
    assert str(group) == "h:6379,i:7000"
    assert group_of("redis://h/0") is None


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("sentinel://a/0;redis://b/0", "names Sentinels and something else"),
        ("sentinel://a:1,b:2/0", "has a ? or a , in it"),
        ("sentinel://a:1/0?master_name=main", "has a ? or a , in it"),
        ("sentinel://a:1/main", "must end in the number of a database"),
        ("redis+sentinel://a:1", "does not name the service"),
    ],
)
def test_sentinels_that_celery_could_not_use_are_refused(url: str, said: str) -> None:
    assert said in refusal(url, broker=True)


def test_sentinels_as_celery_writes_them_are_those_of_the_ledger() -> None:
    urls = check_broker_url("sentinel://a:26379/1; SENTINEL://u:p@b:26380/1")
    assert sentinels_of_celery(urls, "main") == "redis+sentinel://u:p@a:26379,b:26380/main/1"


def test_sentinels_become_a_url_each_for_celery_and_each_has_the_password() -> None:
    url = "redis+sentinel://u:p%23@a,b:2/main/1?sentinel_password=other"
    assert for_celery(url) == "sentinel://u:p%23@a:26379/1;sentinel://u:p%23@b:2/1"
    assert for_celery("redis+sentinel://a/main/0?username=u&password=p%23") == "sentinel://u:p%23@a:26379/0"


def test_the_ledger_of_several_servers_has_one_place_however_the_user_is_called() -> None:
    """The last batch is remembered by it."""
    assert place_of("redis+sentinel://u:p@a,b/main/1") == place_of(
        "redis+sentinel://a:26379,b/main/1?sentinel_password=x"
    )
    assert place_of("redis+sentinel://a/main/1") != place_of("redis+sentinel://a/main/2")
    assert "secret" not in place_of("redis+cluster://:secret@a?password=secret")


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
    urls = "redis+sentinel://:of-nodes@a,b/main/0?sentinel_password=of%20sentinels"
    assert without_secrets("no of-nodes, no of sentinels", urls) == "no ***, no ***"
