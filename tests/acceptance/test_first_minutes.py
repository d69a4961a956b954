"""The first minute with wrong credentials, or without a network: told once, in words, and never for ever."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.acceptance.house import OPTIONS, ROOT, House
from tests.servers import free_port

pytestmark = pytest.mark.acceptance

CREDENTIALS = ("--credentials", "1000.ID", "shh", "1000.good")


@pytest.fixture
def alone(house: House) -> House:
    """A machine without a Redis of its own, and a file of options."""
    del house.environment["REDIS_URL"]
    house.environment["XDG_STATE_HOME"] = str(house.folder / "state")
    (house.folder / "options.json").write_text(json.dumps(OPTIONS))
    (house.folder / "none.json").write_text("{}")
    return house


def convert(house: House, leads: list[str], options: str) -> tuple[subprocess.CompletedProcess[str], float]:
    """Run the command, and how many seconds it took."""
    began = time.monotonic()
    done = house.command("convert", *leads, "--options", options)
    return done, time.monotonic() - began


@pytest.mark.parametrize("options", ["options.json", "none.json"])
def test_refused_credentials_end_it_and_the_right_ones_go_on(alone: House, options: str) -> None:
    """With a deal the command finds out itself; without one its worker does."""
    alone.simulator("--leads", "60", "--job-seconds", "0.2", *CREDENTIALS)
    leads = alone.leads()
    alone.environment["ZOHO_REFRESH_TOKEN"] = "1000.revoked"
    refused, _ = convert(alone, leads, options)
    assert refused.returncode == 3, refused.stderr
    assert refused.stderr.count("invalid_code") == 1, refused.stderr
    assert "Traceback" not in refused.stderr
    assert "1000.revoked" not in refused.stderr
    assert alone.calls("POST mass_convert") == 0
    alone.environment["ZOHO_REFRESH_TOKEN"] = "1000.good"
    done, _ = convert(alone, leads, options)
    assert done.returncode == 0, done.stderr
    assert all(lead["converted"] for lead in alone.truth().values())


def test_where_zoho_cannot_be_reached_it_ends_and_the_same_command_goes_on(alone: House) -> None:
    """Nothing is lost; the second time, too, although the payload waits for its next try."""
    alone.simulator("--leads", "60", "--job-seconds", "0.2")
    leads, there = alone.leads(), dict(alone.environment)
    nowhere = f"http://127.0.0.1:{free_port()}"
    alone.environment |= {
        "ZOHO_API_DOMAIN": nowhere,
        "ZOHO_ACCOUNTS_URL": nowhere,
        "MASSCONVERT_UNREACHABLE_AFTER": "5",
    }
    for words in ("gave no answer: ", "going on with batch"):
        away, _ = convert(alone, leads, "none.json")
        assert away.returncode == 3, away.stderr
        assert words in away.stderr
        assert "Zoho has given no usable answer for 5 s" in away.stderr
        assert "the same command goes on" in away.stderr
        assert away.stderr.count("Connection refused") == 1, away.stderr
    alone.environment |= {name: there[name] for name in ("ZOHO_API_DOMAIN", "ZOHO_ACCOUNTS_URL")}
    done, _ = convert(alone, leads, "none.json")
    assert done.returncode == 0, done.stderr
    assert all(lead["converted"] for lead in alone.truth().values())


def test_a_state_directory_may_have_any_name(alone: House) -> None:
    """What means something in a URL means nothing in a path."""
    folder = alone.folder / "c# ? %20 é" / "state"
    alone.environment["MASSCONVERT_STATE_DIR"] = str(folder)
    alone.simulator("--leads", "20", "--job-seconds", "0.2")
    done, _ = convert(alone, alone.leads(), "none.json")
    assert done.returncode == 0, done.stderr
    (home,) = (folder / "organisations").iterdir()
    assert (home / "redis").is_dir()
    assert (home / "logs" / "worker-1.log").is_file()


WRONG = [
    ("CELERY_BROKER_URL", "amqp://user:Geh#eim@127.0.0.1:1//", "percent-encoded"),
    ("CELERY_BROKER_URL", "sentinel://:Geheim@127.0.0.1:1/0;sentinel://127.0.0.1:2/0", "names Sentinels"),
    ("CELERY_BROKER_URL", "geheim://user:Geheim@127.0.0.1//", "a broker that Celery does not know"),
    ("REDIS_URL", "redis://:Geheim@127.0.0.1:1/0?foo=bar", "an option foo"),
    ("REDIS_URL", "rediss://:Geheim@127.0.0.1:1/0?ssl_ca_certs=/nowhere.pem", "a file that is not there"),
    ("REDIS_URL", "'redis://:Geheim@127.0.0.1:1/0'", "is in quotes"),
]
COMMANDS: dict[str, list[str]] = {
    "worker": ["-m", "celery", "-A", "workers", "worker"],
    "beat": ["-m", "celery", "-A", "workers", "beat"],
    "enqueue": ["-m", "massconvert", "enqueue", "3652397000009850001", "--options", "none.json"],
    "library": ["-c", "from massconvert import MassConvert; MassConvert()"],
}


@pytest.mark.parametrize(("name", "value", "words"), WRONG, ids=[value[:12] for _, value, _ in WRONG])
def test_a_wrong_address_is_refused_by_all_in_words_without_a_secret(
    alone: House, tmp_path: Path, name: str, value: str, words: str
) -> None:
    """The worker, beat, a command, the library: nothing listens there, so that none may get as far as to try."""
    alone.environment |= {
        "ZOHO_CLIENT_ID": "1000.X",
        "ZOHO_CLIENT_SECRET": "not-a-secret",
        "ZOHO_REFRESH_TOKEN": "1000.x",
        "MASSCONVERT_STATE_DIR": str(tmp_path),
        "PYTHONPATH": str(ROOT),
        name: value,
    }
    running = {
        what: subprocess.Popen(
            [sys.executable, *words_of], cwd=alone.folder, env=alone.environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )
        for what, words_of in COMMANDS.items()
    }  # fmt: skip
    alone.processes += running.values()  # type: ignore[arg-type]  # its pipes are text
    for what, process in running.items():
        said, _ = process.communicate(timeout=60)
        assert process.returncode not in (0, None), (what, said)
        assert words in said, (what, said)
        assert name in said, (what, said)
        assert "Geh" not in said, what
        assert "eim@" not in said, what
        if what != "library":  # there it is an exception
            assert "Traceback" not in said, (what, said)
            assert process.returncode == 3, (what, said)
