"""What the workshop does besides a step: tell the broker of what the step has left to others."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from massconvert import wiring
from massconvert.errors import BrokerError
from massconvert.model import Again, Next, Resend
from massconvert.nudge import Nudge
from massconvert.policy import Tuning
from massconvert.profiles import ConfigFile
from massconvert.settings import Settings
from massconvert.steps.ports import Ports
from massconvert.wiring import Workshop


class Broker:
    """Remembers which chunks it was told of; ``away`` takes none."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.told: list[str] = []

    def convert(self, chunk_id: str) -> None:
        """A chunk to be sent."""
        if self.away:
            raise BrokerError("The broker is away.")
        self.told.append(chunk_id)


def step(monkeypatch: pytest.MonkeyPatch, what_next: Next, broker: Broker) -> Next:
    """Convert chunk 1 where its step says ``what_next``."""
    monkeypatch.setattr(wiring, "advance", lambda *_: what_next)
    return Workshop(cast("Ports", None), cast("Nudge", broker), 15.0, ConfigFile(Path("none.toml"))).convert("1")


@pytest.mark.parametrize("kind", [Again, Resend])
def test_a_chunk_that_was_split_off_is_told_of_at_once(monkeypatch: pytest.MonkeyPatch, kind: Any) -> None:
    broker = Broker()
    assert step(monkeypatch, kind(0.0, siblings=("2",)), broker) == kind(0.0, siblings=("2",))
    assert broker.told == ["2"]


def test_without_a_broker_it_is_left_to_the_sweep(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert step(monkeypatch, Again(0.0, siblings=("2",)), Broker(away=True)) == Again(0.0, siblings=("2",))
    assert caplog.messages == ["The broker is away."]


def test_the_defaults_of_the_settings_are_those_of_the_pipeline() -> None:
    assert wiring.tuning(Settings()) == Tuning()


@pytest.mark.parametrize("deadline", [1.0, 8.0, 30.0, 120.0])
@pytest.mark.parametrize("wait", [0.0, 5.0, 30.0])
def test_a_lease_outlives_the_time_to_send_and_the_call(deadline: float, wait: float) -> None:
    """Whatever the settings: a sender that lives has its answer when another may take it for lost."""
    numbers = wiring.tuning(Settings(MASSCONVERT_CALL_DEADLINE=deadline, MASSCONVERT_PERMIT_WAIT=wait))
    assert numbers.lease >= numbers.send_within + deadline + 5.0
    assert numbers.send_within >= 5.0
