"""The stack as the command sees it: start it, wait until it is ready, end it."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from massconvert.celery import celery_command
from massconvert.embedded.plan import GO, HURRY, KEPT, REDIS, ChildPlan, Doing, StackPlan, last_lines, log_path
from massconvert.embedded.redis_server import find_redis_server, keep_history, redis_child
from massconvert.errors import EmbeddedError
from massconvert.settings import load_settings, read_dotenv
from massconvert.store import connect
from massconvert.store.connection import reaching

if TYPE_CHECKING:
    from typing_extensions import Self

log = logging.getLogger("massconvert")

#: Where `massconvert` is.
_ROOT = Path(__file__).resolve().parents[2]
#: The longest path of a unix socket that all systems take is 103 bytes.
_LONGEST_SOCKET = 100


class BusyError(EmbeddedError):
    """Somebody else has the directory."""


class Stack:
    """A Redis (unless REDIS_URL names one), workers and beat, as child processes that end with this one.

    ``environ`` overrides the environment and the ``.env`` file of the working directory. Redis' data, the logs and
    beat's schedule are in ``state_dir`` (default: MASSCONVERT_STATE_DIR, else the user's state directory); without
    ``keep_data`` in a temporary one, which is removed at the end. ``concurrency`` is of each worker; ``stop_grace`` is
    how long workers may finish what runs when the stack ends, in seconds. With ``wait_for_go`` workers and beat start
    when `go` is called.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        environ: Mapping[str, str] | None = None,
        workers: int = 1,
        concurrency: int = 20,
        beat: bool = True,
        keep_data: bool = True,
        stop_grace: float = 10.0,
        wait_for_go: bool = False,
    ) -> None:
        self.environment: dict[str, str] = {**read_dotenv(Path(".env")), **os.environ, **(environ or {})}
        self.pids: dict[str, int] = {}
        self._state_dir = state_dir
        self._workers, self._concurrency, self._beat = workers, concurrency, beat
        self._keep_data, self._stop_grace = keep_data, stop_grace
        self._ended_in_order = False  # the Redis of before: nothing of the ledger was lost
        self._history_kept = False
        self._wait_for_go = wait_for_go
        self._supervisor: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None
        self._changed = threading.Condition()
        self._ready: set[str] = set()
        self._expected: set[str] = set()
        self._trouble: EmbeddedError | None = None

    # --- what callers use ---

    @property
    def redis_url(self) -> str:
        """The Redis of this stack; known once it is started."""
        return self.environment["REDIS_URL"]

    @property
    def state_dir(self) -> Path:
        """Where Redis' data, the logs and beat's schedule are; known once it is started."""
        return Path(self.environment["MASSCONVERT_STATE_DIR"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def start(self) -> None:
        """Start the processes; ``wait_ready`` waits for them.

        Raises EmbeddedError when there is no redis-server, BusyError when another stack has the same directory;
        SettingsError; StoreError when the Redis that REDIS_URL names does not answer.
        """
        try:
            plan = self._plan()
            self._launch(plan)
            self._await(lambda: "supervisor" in self.pids, 60.0)
        except BaseException:
            self.close()
            raise

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Wait until Redis answers and every worker takes messages; before `go`, Redis alone.

        Raises EmbeddedError with the reason.
        """
        expected = self._expected & {REDIS} if self._wait_for_go else self._expected
        self._await(lambda: expected <= self._ready, timeout)
        client = connect(self.redis_url)
        with reaching(client):
            client.ping()
        if REDIS in self._expected and not self._history_kept:
            keep_history(client, in_order=self._ended_in_order)
            self._history_kept = True
            self._say(KEPT)
        client.close()

    def go(self) -> None:
        """Start the workers and beat of a stack that waits for it, and wait until they are ready, as `wait_ready`."""
        self._wait_for_go = False
        self._say(GO)
        self.wait_ready()

    def hurry(self) -> None:
        """End now, without time for what workers have under way; for another thread or a signal's handler."""
        supervisor = self._supervisor
        if supervisor is not None:
            supervisor.send_signal(HURRY)

    def check(self) -> None:
        """Raise EmbeddedError when a child has died so often that it is no longer started again."""
        with self._changed:
            if self._trouble:
                raise self._trouble

    def close(self) -> None:
        """End everything, workers before Redis; safe to call again. At Ctrl-C it does not wait for workers."""
        supervisor = self._supervisor
        if supervisor is None:
            return
        assert supervisor.stdin is not None  # noqa: S101 - opened as a pipe
        with suppress(BrokenPipeError):
            supervisor.stdin.close()
        end = time.monotonic() + self._stop_grace + 40.0
        while supervisor.returncode is None:
            self._await_end(supervisor, end)
        self._supervisor = None
        if self._reader:
            self._reader.join()
        if supervisor.returncode:  # it was killed, and could not end the others
            for pid in self.pids.values():
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(pid, signal.SIGKILL)
        self.pids.clear()

    def _await_end(self, supervisor: subprocess.Popen[str], end: float) -> None:
        try:
            supervisor.wait(max(0.0, end - time.monotonic()))
        except KeyboardInterrupt:
            self.hurry()
        except subprocess.TimeoutExpired:
            supervisor.kill()

    # --- the plan ---

    def _plan(self) -> StackPlan:
        _demand_posix()
        settings = load_settings(self.environment, dotenv=None)
        remove: list[str] = []
        if self._keep_data:
            folder = self._state_dir or settings.state_dir
            _make_private(folder)
        else:
            folder = Path(tempfile.mkdtemp(prefix="massconvert-", dir=self._state_dir))
            remove.append(str(folder))
        folder = folder.resolve()
        children: list[ChildPlan] = []
        socket: Path | None = None
        if settings.redis_url_given:
            client = connect(settings.redis_url)
            with reaching(client):
                client.ping()
            client.close()
        else:
            socket = _socket_path(folder, remove)
            data = folder / "redis"
            data.mkdir(mode=0o700, exist_ok=True)
            children.append(redis_child(find_redis_server(self.environment), data, socket))
            self.environment["REDIS_URL"] = socket_url(socket)
        self.environment |= {
            "MASSCONVERT_STATE_DIR": str(folder),
            "MASSCONVERT_CONFIG": str(settings.config_file),  # the children have another working directory
            # The workers' line "ready." is an INFO, and the log goes to a file anyway.
            "MASSCONVERT_LOG_LEVEL": "DEBUG" if settings.log_level == "DEBUG" else "INFO",
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_ROOT), self.environment.get("PYTHONPATH")))),
            "PYTHONUNBUFFERED": "1",
        }
        children += self._celery_children()
        self._expected = {child.name for child in children}
        return StackPlan(str(folder), tuple(children), tuple(remove), str(socket or ""), self._wait_for_go)

    def _celery_children(self) -> list[ChildPlan]:
        made = []
        for number in range(1, self._workers + 1):
            node = f"massconvert-{os.getpid()}-{number}@%h"
            command = celery_command("worker", "-n", node, "-c", str(self._concurrency))
            made.append(ChildPlan(f"worker-{number}", command, ready=" ready.", phase=1, grace=self._stop_grace))
        if self._beat:
            made.append(
                ChildPlan("beat", celery_command("beat"), ready="beat: Starting...", phase=1, grace=self._stop_grace)
            )
        return made

    # --- the supervisor ---

    def _launch(self, plan: StackPlan) -> None:
        log_path(plan.state_dir, "x").parent.mkdir(mode=0o700, exist_ok=True)
        with log_path(plan.state_dir, "supervisor").open("ab") as errors:
            self._supervisor = subprocess.Popen(
                [sys.executable, "-m", "massconvert.embedded.supervisor"],
                cwd=plan.state_dir,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                start_new_session=True,  # a Ctrl-C in the terminal is ours; the children are ended in order
            )
        self._reader = threading.Thread(target=self._read, args=(self._supervisor,), name="supervisor", daemon=True)
        self._reader.start()
        self._say(plan.dump())

    def _say(self, line: str) -> None:
        supervisor = self._supervisor
        assert supervisor is not None  # noqa: S101 - asked for only after start()
        assert supervisor.stdin is not None  # noqa: S101 - opened as a pipe
        with suppress(BrokenPipeError):  # it died at once; what is awaited next says so
            supervisor.stdin.write(f"{line}\n")
            supervisor.stdin.flush()

    def _read(self, supervisor: subprocess.Popen[str]) -> None:
        assert supervisor.stdout is not None  # noqa: S101 - opened as a pipe
        with supervisor.stdout as lines:
            for line in lines:
                with self._changed:
                    self._note(json.loads(line))
                    self._changed.notify_all()
        with self._changed:
            if self._supervisor is not None and self._trouble is None:
                said = last_lines(log_path(self.state_dir, "supervisor"))
                self._trouble = EmbeddedError(
                    f"The supervisor of the embedded processes ended by itself. {said}".strip()
                )
            self._changed.notify_all()

    def _note(self, event: Mapping[str, Any]) -> None:
        name = str(event.get("name", ""))
        what = event["event"]
        if what == "started":
            self.pids["supervisor"] = int(event["pid"])
            self._ended_in_order = bool(event["in_order"])
        elif what == "busy":
            does = "runs its workers over" if event["doing"] == Doing.WORKING.value else "has not let go of"
            self._trouble = BusyError(
                f"Another massconvert (process {event['pid']}) {does} {self.state_dir}.",
                hint="Wait until it has ended, or name another directory in MASSCONVERT_STATE_DIR.",
            )
        elif what == "up":
            self.pids[name] = int(event["pid"])
        elif what == "ready":
            self._ready.add(name)
        else:
            self._note_death(name, what, int(event["status"]), str(event["log"]))

    def _note_death(self, name: str, what: str, status: int, last_words: str) -> None:
        self.pids.pop(name, None)
        self._ready.discard(name)
        how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
        if what == "died":
            log.warning("The embedded %s %s; it is started again.", name, how)
            return
        self._trouble = EmbeddedError(
            f"The embedded {name} {how}, and starting it again does not help. Its last lines:\n{last_words}",
            hint=f"The whole log: {log_path(self.state_dir, name)}" if self._keep_data else "",
        )

    def _await(self, condition: Any, timeout: float) -> None:
        end = time.monotonic() + timeout
        with self._changed:
            while not condition():
                if self._trouble:
                    raise self._trouble
                left = end - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    missing = ", ".join(sorted(self._expected - self._ready))
                    raise EmbeddedError(
                        f"Not ready after {timeout:g} s: {missing}.", hint=f"Their logs: {self.state_dir / 'logs'}"
                    )


def socket_url(socket: str | Path) -> str:
    """The URL of a Redis that listens there."""
    return f"unix://{quote(str(socket))}"


def _demand_posix() -> None:
    if os.name != "posix":
        raise EmbeddedError("The embedded workers need Linux or macOS.", hint="Use docker compose up, or WSL.")


def _make_private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise EmbeddedError(
            f"The state directory {folder} cannot be made: {error.strerror}.",
            hint="Name another in MASSCONVERT_STATE_DIR.",
        ) from None


def _socket_path(folder: Path, remove: list[str]) -> Path:
    """In the state directory, where another terminal can find it; in a temporary one when that path is too long."""
    socket = folder / "redis.sock"
    if len(os.fsencode(socket)) > _LONGEST_SOCKET:
        short = tempfile.mkdtemp(prefix="massconvert-")
        remove.append(short)
        socket = Path(short) / "redis.sock"
    return socket
