"""A whole house on loopback: a redis-server, Zoho's simulator, real Celery workers, each a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import redis

from massconvert import MassConvert
from massconvert.settings import load_settings
from tests.acceptance.broker import broker_for
from tests.acceptance.door import Door
from tests.printed import demand_typed
from tests.servers import find_redis_server, free_port

ROOT = Path(__file__).resolve().parents[2]
#: The environment's name for how simulators behave in these tests: a profile of docs/simulator.md.
PROFILE = "MASSCONVERT_TEST_PROFILE"
#: As short as settings allow: leases end after 13 s, and a lost answer is looked into after 2 s.
SHORT_LEASES = {"MASSCONVERT_CALL_DEADLINE": "1.5", "MASSCONVERT_JOB_WAIT": "2", "MASSCONVERT_PERMIT_WAIT": "0"}
OPTIONS = {
    "Deals": {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "+30d"},
    "assign_to": {"id": "3652397000000281001"},
}


def until(condition: Callable[[], Any], seconds: float, what: str) -> Any:
    """Wait until ``condition`` answers something true; what it answered.

    A dear one, such as a command, is not asked for most of the time: the workers have to go on.
    """
    end = time.monotonic() + seconds
    while (asked := time.monotonic()) < end:
        if answer := condition():
            return answer
        time.sleep(max(0.05, 2 * (time.monotonic() - asked)))
    raise AssertionError(f"waited {seconds} s in vain for {what}")


class House:
    """The processes of one test. ``close`` ends whatever still runs, by its id.

    ``python`` is the one that has massconvert; ``place`` is the working directory of what runs for long.
    """

    def __init__(self, folder: Path, *, python: str = sys.executable, place: Path = ROOT, **environment: str) -> None:
        self.folder = folder
        self.python = python
        self.place = place
        self.port = free_port()
        self.redis_url = f"redis://127.0.0.1:{self.port}/0"
        self.broker = broker_for(self.redis_url)
        self.processes: list[subprocess.Popen[bytes]] = []
        self.sim_url = ""
        self.door: Door | None = None
        self._read_up_to: dict[Path, int] = {}
        self.environment = {
            "PATH": f"{Path(python).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "PYTHONUNBUFFERED": "1",
            "REDIS_URL": self.redis_url,
            "MASSCONVERT_SWEEP_INTERVAL": "2",
            "NO_COLOR": "1",
            **self.broker.environment,
            **environment,
        }

    # --- processes ---

    def run(self, *command: str, name: str) -> subprocess.Popen[bytes]:
        """Start a process in a group of its own, its output in ``<name>.log``."""
        with (self.folder / f"{name}.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.place,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        self.processes.append(process)
        return process

    def redis(self) -> subprocess.Popen[bytes]:
        """Start (or start again) the redis-server, append-only, on the same data."""
        data = self.folder / "redis"
        data.mkdir(exist_ok=True)
        arguments = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(data)]
        process = self.run(
            find_redis_server(),
            *arguments,
            "--appendonly",
            "yes",
            "--save",
            "",
            "--maxmemory-policy",
            "noeviction",
            name="redis",
        )
        client = redis.Redis(port=self.port)

        def answers() -> bool:
            with suppress(redis.RedisError):
                return bool(client.ping())
            return False

        until(answers, 20, "redis-server")
        client.close()
        return process

    def simulator(self, *arguments: str, **behaviour: Any) -> subprocess.Popen[bytes]:
        """Start the simulator, and point what is started afterwards at it.

        ``behaviour`` is what the test needs of what Zoho's pages leave open, whatever profile the tests run with.
        """
        port = free_port()
        profile = ("--profile", os.environ[PROFILE]) if PROFILE in os.environ else ()
        command = [self.python, "-m", "massconvert.simulator", "--port", str(port), *profile, *arguments]
        process = subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=subprocess.PIPE, start_new_session=True
        )
        self.processes.append(process)
        assert process.stdout
        for line in process.stdout:
            name, _, value = line.decode().strip().removeprefix("export ").partition("=")
            if name.startswith("ZOHO_"):
                self.environment[name] = value
            if name == "ZOHO_API_DOMAIN":
                self.sim_url = value
                break
        threading.Thread(target=process.stdout.read, daemon=True).start()
        self.environment.setdefault("ZOHO_CONCURRENCY", "10")
        if behaviour:
            self.ask("behaviour", "PUT", behaviour)
        return process

    def put_door(self) -> Door:
        """Put a door between Zoho's API (not its accounts server) and what is started afterwards."""
        assert self.door is None
        self.door = Door(self.sim_url)
        self.environment["ZOHO_API_DOMAIN"] = self.door.url
        return self.door

    def worker(
        self, name: str = "worker", *arguments: str, app: str = "workers", python: tuple[str, ...] = ("-m", "celery")
    ) -> subprocess.Popen[bytes]:
        """Start a worker and wait until it is ready; ``python`` are the words that make Python run Celery."""
        log = self.folder / f"{name}.log"
        seen = log.stat().st_size if log.exists() else 0
        process = self.run(self.python, *python, "-A", app, "worker", "-n", f"{name}@%h", *arguments, name=name)

        def ready() -> bool:
            assert process.poll() is None, f"the worker ended: {log.read_text()[-2000:]}"
            return b"ready." in log.read_bytes()[seen:]

        until(ready, 40, "the worker")
        return process

    def hurry(self, **tuning: float) -> None:
        """Leave no patience to workers of `hurried_worker`: ``tuning`` are fields of `Tuning`, most of them seconds."""
        self.environment |= {
            "HURRIED_TUNING": json.dumps(tuning),
            "MASSCONVERT_JOB_WAIT": "1",
            "MASSCONVERT_CALL_DEADLINE": "1",
            "MASSCONVERT_SWEEP_INTERVAL": "1",
        }

    def command(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """Run ``massconvert …`` as a user would."""
        command = [self.python, "-m", "massconvert", *arguments]
        done = subprocess.run(
            command, cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=timeout, check=False
        )
        demand_typed(arguments, done.stdout + done.stderr)
        return done

    def kill(self, process: subprocess.Popen[bytes], how: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a process' whole group and wait for its end."""
        with suppress(ProcessLookupError):
            os.killpg(process.pid, how)
        process.wait(60)

    def close(self) -> None:
        """End everything."""
        if self.door:
            self.door.close()
        for process in reversed(self.processes):
            if process.poll() is None:
                self.kill(process)
            if process.stdout:
                process.stdout.close()
        self.broker.close()

    # --- what is done and seen from here ---

    @property
    def ledger(self) -> Any:
        """A client of Redis, whose answers are text."""
        return redis.Redis(port=self.port, decode_responses=True)

    def producer(self) -> MassConvert:
        """The library as an app in another process uses it."""
        return MassConvert(load_settings(self.environment, dotenv=None))

    def log(self, name: str = "worker") -> str:
        """What a process has written since `begin_reading`, or all of it."""
        path = self.folder / f"{name}.log"
        return path.read_bytes()[self._read_up_to.get(path, 0) :].decode()

    def logs(self) -> str:
        """The same of all processes."""
        return "\n".join(self.log(path.stem) for path in sorted(self.folder.glob("*.log")))

    def begin_reading(self) -> None:
        """Let `log` and `logs` begin here."""
        self._read_up_to = {path: path.stat().st_size for path in self.folder.glob("*.log")}

    # --- the simulator's truth ---

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Call the simulator's own pages."""
        data = None if body is None else json.dumps(body).encode()
        with urlopen(Request(f"{self.sim_url}/__simulator__/{path}", data=data, method=method), timeout=10) as answer:
            return json.loads(answer.read())

    def calls(self, kind: str) -> int:
        """How many calls of a kind (``POST mass_convert``) the simulator has had; 0 where none came yet."""
        return int(self.ask("calls").get(kind, 0))

    def truth(self) -> dict[str, Any]:
        """What the simulator knows of each lead."""
        return dict(self.ask("truth"))

    def behaves(self, name: str) -> Any:
        """How the simulator behaves where Zoho's pages leave it open; ``name`` is one of docs/simulator.md."""
        return self.ask("behaviour")[name]

    def leads(self) -> list[str]:
        """All ids that the simulator was started with, the unknown ones too."""
        return list(self.ask("leads"))

    def set_faults(self, *rules: dict[str, Any]) -> None:
        """Replace the simulator's fault script; see massconvert/simulator/faults.py."""
        self.ask("faults", "PUT", list(rules))

    def unfired(self) -> list[dict[str, Any]]:
        """The rules of the fault script that have not struck."""
        return [rule for rule in self.ask("faults") if not rule["fired"]]
