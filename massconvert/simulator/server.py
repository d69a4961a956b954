"""The simulator as a test or a command starts it: an organisation behind a loopback port."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from random import Random
from types import TracebackType
from typing import Any

from massconvert.simulator.accounts import Credentials
from massconvert.simulator.messages import SimulatorError
from massconvert.simulator.organisation import Organisation
from massconvert.simulator.rules import Rules
from massconvert.simulator.wire import CarryingServer


class Simulator:
    """Zoho CRM and its accounts server on one origin of this machine, within ``with``.

    ``leads`` ids, of which ``unknown`` do not exist and ``converted`` have been converted before; ``seed`` decides
    which. ``port`` 0 takes a free one. ``latency`` are seconds that each API call takes, ``job_seconds`` those of a
    job (None: as in ``rules``). ``faults`` is a fault script, see the module of that name; ``credentials`` are those
    that must be sent, otherwise any will do. Raises SimulatorError where that makes no sense or the port is taken.
    """

    def __init__(
        self,
        leads: int = 100,
        *,
        unknown: int = 0,
        converted: int = 0,
        seed: int = 0,
        host: str = "127.0.0.1",
        port: int = 0,
        latency: float = 0.0,
        job_seconds: float | None = None,
        rules: Rules | None = None,
        faults: Any = (),
        credentials: Credentials | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        rules = rules or Rules()
        if job_seconds is not None:
            rules = replace(rules, job_seconds=job_seconds)
        self.organisation = Organisation(
            clock=clock,
            random=Random(seed),
            leads=leads,
            unknown=unknown,
            converted=converted,
            rules=rules,
            faults=faults,
            credentials=credentials,
        )
        self._credentials = credentials or Credentials()
        self._address = (host, port)
        self._latency = latency
        self._server: CarryingServer | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> Simulator:
        """Begin to answer. Raises SimulatorError if the port cannot be had."""
        host, port = self._address
        try:
            self._server = CarryingServer(self._address, self.organisation, self._latency)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or str(error)
            raise SimulatorError(f"the simulator cannot listen on {host} port {port}: {why}") from None
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="simulator", daemon=True)
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop answering; what still hangs is dropped. May be called twice."""
        if self._server is not None and self._thread is not None:
            self._server.close()
            self._thread.join()
            self._server = self._thread = None

    def __enter__(self) -> Simulator:  # noqa: PYI034 - Self is in typing from Python 3.11 on
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    @property
    def url(self) -> str:
        """Where it answers, e.g. ``http://127.0.0.1:40123``: accounts server and API."""
        if self._server is None:
            raise SimulatorError("the simulator has not been started")
        host, port = self._server.server_address[:2]
        return f"http://{'127.0.0.1' if host == '0.0.0.0' else str(host)}:{port}"

    def environment(self) -> dict[str, str]:
        """What points a worker at it."""
        return {
            "ZOHO_CLIENT_ID": self._credentials.client_id,
            "ZOHO_CLIENT_SECRET": self._credentials.client_secret,
            "ZOHO_REFRESH_TOKEN": self._credentials.refresh_token,
            "ZOHO_ACCOUNTS_URL": self.url,
            "ZOHO_API_DOMAIN": self.url,
        }

    def lead_ids(self) -> list[str]:
        """All ids, those of leads that do not exist too."""
        return self.organisation.lead_ids()

    def truth(self) -> dict[str, dict[str, Any]]:
        """What became of each lead that exists, by id."""
        return self.organisation.truth()

    def calls(self) -> Counter[str]:
        """How many calls came, by name: ``POST mass_convert``, ``GET mass_convert``, ``GET Leads``, ``POST token`` …"""
        return self.organisation.calls()

    def load(self) -> dict[str, int]:
        """The most calls at once (``highest``, ``highest_heavy``), how many were refused (``throttled``), credits."""
        return self.organisation.load()

    def set_limits(self, **wanted: int | None) -> None:
        """Change limits while calls are made: ``neighbour`` (calls at once of another client), ``concurrency``,
        ``heavy_concurrency``, ``credits``. Raises SimulatorError for anything else."""
        self.organisation.set_limits(wanted)

    def fired(self) -> Counter[str]:
        """How often each fault rule has fired, by its name."""
        return self.organisation.fired()

    def set_faults(self, script: Any) -> None:
        """Replace the fault script. Raises SimulatorError, and keeps the old one, if the new one is wrong."""
        self.organisation.set_faults(script)
