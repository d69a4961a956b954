"""Zoho's own Python SDK does a mass convert against the simulator: a judge of the judge."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from massconvert.simulator import Organisation, Request, Simulator
from massconvert.simulator.organisation import Call
from tests.sdk.make_env import FOLDER, NoEnvironmentError, python_of

pytestmark = pytest.mark.integration
CONVERT = Path(__file__).parents[1] / "sdk" / "convert.py"


@pytest.fixture(scope="module")
def sdk_python() -> str:
    """The Python that has Zoho's SDK."""
    try:
        return str(python_of())
    except (NoEnvironmentError, OSError) as error:
        pytest.skip(f"Zoho's SDK is not in {FOLDER.name} and cannot be had: {error}")


@pytest.mark.timeout(400)  # the environment may have to be made first
def test_the_official_sdk_converts_leads_and_reads_the_status(
    sdk_python: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It sends ids as numbers, and understands what the simulator answers, refusals included."""
    posts: list[bytes] = []
    arrive = Organisation.arrive

    def noting(organisation: Organisation, request: Request) -> Call:
        if request.method == "POST" and request.path.endswith("/mass_convert"):
            posts.append(request.body)
        return arrive(organisation, request)

    monkeypatch.setattr(Organisation, "arrive", noting)
    with Simulator(5, job_seconds=0) as sim:
        leads = sim.lead_ids()[:3]
        command = [sdk_python, str(CONVERT), sim.url, str(tmp_path), *leads]
        environment = {**os.environ, "NO_PROXY": "127.0.0.1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        truth, calls = sim.truth(), sim.calls()
    told = json.loads(done.stdout)
    assert told["first"]["code"] == "SCHEDULED"
    assert not told["first"]["refused"]
    assert told["status"] == {"status": "COMPLETED", "total": 3, "converted": 3, "not_converted": 0, "failed": 0}
    assert told["again"] == {
        "http": 400,
        "refused": True,
        "code": "INVALID_DATA",
        "details": {"api_name": "ids", "json_path": "$.ids[0]"},
    }
    assert [lead for lead, known in truth.items() if known["converted"]] == leads
    assert all(truth[lead]["deal_id"] for lead in leads)
    assert json.loads(posts[0])["ids"] == [int(lead) for lead in leads]  # numbers, not text
    assert calls["POST token"] == 1
