"""Celery's broker, as Celery is told of it: by workers and by producers."""

from __future__ import annotations

import re
from typing import Any

from massconvert.addresses import for_celery, group_of
from massconvert.keepalive import keepalive_options
from massconvert.store.primary import node_arguments, sentinel_arguments, within


def celery_broker(url: str, timeout: float) -> dict[str, Any]:
    """Celery's settings for the broker at ``url``, which is `Settings.broker_url`.

    ``timeout``: seconds that a broker may take to answer; one that hangs would block publishers and the worker's loop
    for ever.
    """
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # Dead connections behind a NAT or firewall are found out; the default finds them at the next write.
        "socket_keepalive": True,
        "socket_keepalive_options": keepalive_options(),
        "health_check_interval": 10,
    }
    group = group_of(url)
    if group is None:
        return {"broker_url": url, "broker_transport_options": options}
    options["master_name"] = group.service
    # Given at all, these replace the time-outs above for the Sentinels; and redis-py would retry for ten seconds.
    options["sentinel_kwargs"] = {**sentinel_arguments(group), **within(timeout)}
    settings = {"broker_url": for_celery(url), "broker_transport_options": options}
    if group.tls:
        tls = {name: value for name, value in node_arguments(group).items() if name.startswith("ssl_")}
        settings["broker_use_ssl"] = {"ssl_cert_reqs": "required", **tls}
    return settings


def in_short(text: str) -> str:
    """``text`` without what redis-py tells of Sentinels that name no primary: all they are connected to with."""
    return re.sub(r"No master found for ('[^']*').*", r"no Sentinel names a primary of \1", text)
