"""A RabbitMQ node of a test's own: a process on loopback that a test may kill, and start again over its data."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
from kombu import Connection

from tests.servers import await_true, free_port

#: Debian's `rabbitmq-server` on the PATH changes to a user of its own; this is the script that it runs.
_OF_DEBIAN = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_PATIENCE = 60.0  # seconds for a node to start or to end: Erlang takes its time on a busy machine


def find_rabbitmq_server() -> str:
    """The script that starts a node; the test is skipped where there is none."""
    for path in (_OF_DEBIAN, shutil.which("rabbitmq-server")):
        if path and os.access(path, os.X_OK) and shutil.which("epmd"):
            return path
    pytest.skip("no rabbitmq-server here: install the package of that name")


class RabbitNode:
    """A node with a name, ports, data and logs of its own, and the `epmd` by which Erlang's nodes find each other.

    One that is made ``beside`` another can `join` it.
    """

    def __init__(self, folder: Path, beside: RabbitNode | None = None) -> None:
        folder.mkdir()
        self._folder = folder
        self._server = find_rabbitmq_server()
        self.port, bus = free_port(), free_port()
        self.name = f"mc{self.port}@localhost"
        folder.joinpath("plugins").write_text("[].\n")
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),  # for the cookie
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(bus),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(folder / "none"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "none"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_EPMD_PORT": str(free_port()),
        }
        if beside:
            self._environment |= {name: beside._environment[name] for name in ("HOME", "ERL_EPMD_PORT")}
        self._names = None if beside else self._run("epmd")
        self._node: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """CELERY_BROKER_URL for it."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def start(self) -> None:
        """Start it over the data that it had, and wait until it takes connections."""
        self._node = self._run(self._server)
        await_true(self._answers, _PATIENCE, "RabbitMQ")

    def join(self, other: RabbitNode) -> None:
        """Become a node of the other's cluster. Queues are where they were first declared."""
        for words in (("stop_app",), ("join_cluster", other.name), ("start_app",)):
            command = [str(Path(self._server).with_name("rabbitmqctl")), "-n", self.name, *words]
            subprocess.run(command, env=self._environment, check=True, capture_output=True, timeout=_PATIENCE)

    def end(self, how: signal.Signals = signal.SIGKILL) -> None:
        """End it: at once, as a crash would, or by SIGTERM in order."""
        if self._node:
            os.killpg(self._node.pid, how)
            self._node.wait(_PATIENCE)
            self._node = None

    def close(self) -> None:
        """End all of it."""
        self.end()
        if self._names:
            self._names.kill()
            self._names.wait(_PATIENCE)

    def _run(self, *command: str) -> subprocess.Popen[bytes]:
        with (self._folder / "output").open("ab") as log:
            return subprocess.Popen(
                command, cwd=self._folder, env=self._environment, stdout=log, stderr=log, start_new_session=True
            )

    def _answers(self) -> bool:
        assert self._node
        assert self._node.poll() is None, (self._folder / "output").read_text(errors="replace")[-3000:]
        with Connection(self.url, connect_timeout=5) as connection:
            return bool(connection.connect())
