"""A Redis, workers and beat for one machine and one command, as child processes."""

from __future__ import annotations

from massconvert.embedded.home import Home as Home
from massconvert.embedded.redis_server import find_redis_server as find_redis_server
from massconvert.embedded.stack import Stack as Stack
from massconvert.embedded.visit import Visit as Visit
from massconvert.embedded.visit import visit as visit

__all__ = ["Home", "Stack", "Visit", "find_redis_server", "visit"]
