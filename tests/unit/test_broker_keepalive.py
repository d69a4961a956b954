"""How soon a vanished host is found out."""

from __future__ import annotations

import socket

from massconvert.broker import keepalive_options


def test_every_option_is_one_that_a_socket_of_this_platform_takes() -> None:
    """And the dead end is found within half a minute: before the watchdog or a person would."""
    options = keepalive_options()
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in options.items():
            one.setsockopt(socket.IPPROTO_TCP, name, value)
            assert one.getsockopt(socket.IPPROTO_TCP, name) == value
    if hasattr(socket, "TCP_KEEPIDLE"):
        silence = options[socket.TCP_KEEPIDLE] + options[socket.TCP_KEEPINTVL] * options[socket.TCP_KEEPCNT]
        assert 10 <= silence <= 30
