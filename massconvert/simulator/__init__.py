"""A Zoho CRM for a laptop and for CI: OAuth, mass convert, Get Records and names, with invented leads and faults.

It imports nothing else of massconvert, so that it can judge it.
"""

from __future__ import annotations

from massconvert.simulator.accounts import Credentials
from massconvert.simulator.command import run
from massconvert.simulator.messages import Fate, Request, Response, SimulatorError
from massconvert.simulator.organisation import Organisation
from massconvert.simulator.rules import Rules
from massconvert.simulator.server import Simulator

__all__ = [
    "Credentials",
    "Fate",
    "Organisation",
    "Request",
    "Response",
    "Rules",
    "Simulator",
    "SimulatorError",
    "run",
]
