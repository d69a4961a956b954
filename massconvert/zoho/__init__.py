"""The wire: calls to Zoho, what comes back, the access token, and permits."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from massconvert.policy import CallRules, Holding
from massconvert.store import Clock, Keys, Redis
from massconvert.zoho.client import ZohoClient
from massconvert.zoho.datacenters import hosts_of
from massconvert.zoho.governor import Governor
from massconvert.zoho.grants import Credentials
from massconvert.zoho.oauth import TokenSource
from massconvert.zoho.transport import Transport

if TYPE_CHECKING:
    from massconvert.settings import Settings

__all__ = ["Governor", "TokenSource", "ZohoClient", "connect_zoho"]


def connect_zoho(
    settings: Settings,
    redis: Redis,
    clock: Clock,
    *,
    transport_of: Callable[..., Transport] = Transport,
    obeys_pause: bool = False,
) -> tuple[ZohoClient, Governor]:
    """The client and the governor that the settings name; nothing is called before their first use.

    ``transport_of`` makes the transports, as `Transport` itself does: over HTTP, unless a test has another way.
    ``obeys_pause``: there is no permit while a person has paused the organisation.

    Raises SettingsError when a credential is missing, or a data centre or URL is wrong.
    """
    settings.require_zoho()
    hosts = hosts_of(settings)
    keys = Keys(settings.account)
    deadline = settings.call_deadline
    transport = transport_of(connect_timeout=settings.connect_timeout, deadline=deadline)
    # A token is had, or not, within one deadline: half of it to wait for another worker, half to refresh it oneself.
    accounts = transport_of(connect_timeout=settings.connect_timeout, deadline=deadline / 2, slots=1)
    tokens = TokenSource(
        redis,
        keys,
        clock,
        accounts,
        Credentials.of(settings),
        hosts,
        data_center="" if settings.zoho_accounts_url else settings.zoho_data_center,
        wait=deadline / 2,
        lease=deadline,
    )
    client = ZohoClient(tokens, transport, settings.zoho_api_version)
    governor = Governor(
        redis,
        keys,
        clock,
        limit=settings.zoho_concurrency,
        ask_org=lambda: client.get("org"),
        rules=CallRules(holding=Holding(reserve=settings.credits_reserve), calls_a_minute=settings.calls_per_minute),
        wait=settings.permit_wait,
        # A permit outlives the wait for a token and the call itself.
        lease=2 * deadline + 10.0,
        obeys_pause=obeys_pause,
    )
    return client, governor
