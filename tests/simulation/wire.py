"""A connection to a redis-server over its unix socket, with less around it than redis-py has.

A history sends some thousand commands: redis-py's own bookkeeping would take more time than all the rest.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

import hiredis
import redis

#: Every script of the product, by name.
SCRIPTS = tuple(
    sorted(
        entry.name.removesuffix(".lua")
        for entry in (files("massconvert.store") / "lua").iterdir()
        if entry.name.endswith(".lua") and not entry.name.startswith("_")
    )
)
#: Seconds for an answer: no command of a history takes one, on the slowest machine.
ANSWERS_WITHIN = 120.0
#: The words of a command, or these as they are sent (`packed`).
Command = Sequence[Any] | bytes


class Wire:
    """Redis' protocol over a unix socket: some commands in one round trip, and their answers."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.connect(path)
        self._socket.settimeout(ANSWERS_WITHIN)
        self._reader = hiredis.Reader(replyError=redis.ResponseError, encoding="utf-8")
        self._loaded: dict[str, str] = {}
        self._busy = False

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def call(self, *words: Any) -> Any:
        """Send one command and return its answer, decoded. Raises redis.ResponseError."""
        return self.calls(words)[0]

    def calls(self, *commands: Command) -> list[Any]:
        """Send commands in one round trip and return their answers. Raises the first redis.ResponseError."""
        answers = self.exchange(commands)
        for answer in answers:
            if isinstance(answer, redis.ResponseError):
                raise answer
        return answers

    def exchange(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands in one round trip and return their answers, errors among them."""
        if self._busy:  # what is asked next would be given the answers to what was asked before
            raise AssertionError(f"the answers to an earlier command were not read; now: {[*commands][:3]!r:.300}")
        self._busy = True
        self._socket.sendall(b"".join(map(packed, commands)))
        answers = self._answers(len(commands))
        self._busy = False
        return answers

    def script(self, text: str) -> str:
        """Load a script once; return its name on the server."""
        if text not in self._loaded:
            self._loaded[text] = self.call("SCRIPT", "LOAD", text)
        return self._loaded[text]

    def beside(self, *words: Any) -> Any:
        """As `call`, in the other database: that of a primary that was replaced (`forgetting.OldPrimary`)."""
        answer = self.exchange((("SELECT", 1), words, ("SELECT", 0)))[1]
        if isinstance(answer, redis.ResponseError):
            raise answer
        return answer

    def move_beside(self, pattern: str) -> None:
        """Move every key that matches into the other database."""
        if keys := self.call("KEYS", pattern):
            self.calls(*(("MOVE", key, 1) for key in keys))

    def forget(self, pattern: str, *, only_beside: bool = False) -> None:
        """Delete every key that matches, in both databases or in the other one."""
        for call in (self.beside,) if only_beside else (self.call, self.beside):
            keys = call("KEYS", pattern)
            for place in range(0, len(keys), 1000):
                call("DEL", *keys[place : place + 1000])

    def _answers(self, count: int) -> list[Any]:
        answers: list[Any] = []
        while len(answers) < count:
            answer = self._reader.gets()
            if answer is not False:
                answers.append(answer)
                continue
            more = self._socket.recv(1 << 16)
            if not more:
                raise ConnectionError("redis-server closed the connection")
            self._reader.feed(more)
        return answers


def packed(words: Command) -> bytes:
    """A command as it is sent."""
    if isinstance(words, bytes):
        return words
    given: Any = tuple(map(str, words))  # hiredis' stub asks for a tuple of one
    return bytes(hiredis.pack_command(given))
