"""Whom a message may have called when its batch has finished: which tasks, on which queues, and which addresses.

Anybody who can write to the broker names them. The worker that makes the call stands inside of
the company's network, and may send anything to the broker. So only addresses of the public internet are called, and
only tasks that are an app's own, unless the settings say otherwise.
"""

from __future__ import annotations

import re
import socket
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from massconvert.contract import QUEUE

Address = IPv4Address | IPv6Address

TASKS_SETTING = "MASSCONVERT_ON_COMPLETE_TASKS"
HOSTS_SETTING = "MASSCONVERT_WEBHOOK_ALLOW"
#: Tasks that nobody but massconvert and Celery themselves may send.
_NEVER = ("massconvert.", "celery.")
_PATTERN = re.compile(r"(?P<task>[\w.:/*?-]{1,200})(@(?P<queue>[\w.:/*?-]{1,200}))?")
_HOST = re.compile(r"(\*\.)?[a-z0-9_-]+(\.[a-z0-9_-]+)*")
#: Addresses behind which an IPv4 address stands in the last four bytes (RFC 6052; RFC 4291, 2.5.5.1).
_WITH_IPV4 = (ip_network("64:ff9b::/96"), ip_network("::/96"))
#: Of one's own network, whatever their form and whichever Python says so: NAT64 of one's own (RFC 8215), protocols'
#: (RFC 6890; Oracle's metadata is there), Azure's metadata.
_OWN = (ip_network("64:ff9b:1::/48"), ip_network("192.0.0.0/24"), ip_network("168.63.129.16/32"))


def _network(word: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(word.strip("[]"), strict=False)
    except ValueError:
        return None


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


@dataclass(frozen=True)
class Permitted:
    """The rules of one process; as they stand here: any task of an app's own, and public addresses."""

    tasks: tuple[tuple[str, str], ...] = ()  # patterns of names and queues; a blank queue is any but ours
    hosts: tuple[str, ...] = ()
    networks: tuple[IPv4Network | IPv6Network, ...] = ()

    @classmethod
    def parse(cls, tasks: str = "", hosts: str = "") -> Permitted:
        """The rules that the two settings say. Raises ValueError, which repeats nothing of them."""
        patterns, names, networks = list[tuple[str, str]](), list[str](), list[IPv4Network | IPv6Network]()
        for number, word in enumerate(_words(tasks), start=1):
            if not (found := _PATTERN.fullmatch(word)):
                raise ValueError(f"has no pattern at place {number}; write them like shop.*@shop, with commas between")
            patterns.append((found["task"], found["queue"] or ""))
        for number, word in enumerate(_words(hosts.lower()), start=1):
            if network := _network(word):
                networks.append(network)
            elif _HOST.fullmatch(word):
                names.append(word)
            else:
                raise ValueError(
                    f"has no host or network at place {number}; write them like hooks.internal, 10.1.0.0/16"
                )
        return cls(tuple(patterns), tuple(names), tuple(networks))

    def refuses_task(self, task: str, queue: str) -> str:
        """Why this task must not be called on this queue, or nothing."""
        if f"{task}.".startswith(_NEVER):
            return f"names the task {task}, which only {task.partition('.')[0]} itself may send"
        allowed = [place for name, place in self.tasks if fnmatchcase(task, name) and fnmatchcase(queue, place or "*")]
        if f"{queue}.".startswith(f"{QUEUE}."):
            if any(allowed):
                return ""
            return f"names the queue {queue}, which is massconvert's own; {TASKS_SETTING} can allow it"
        if self.tasks and not allowed:
            return f"names the task {task} on {queue}, which {TASKS_SETTING} does not allow"
        return ""

    def refuses_address(self, host: str, address: str) -> str:
        """Why ``address``, to which the host of a web hook leads, must not be called, or nothing."""
        if any(fnmatchcase(host.lower().rstrip("."), name) for name in self.hosts):
            return ""
        found = ip_address(address.partition("%")[0])
        if all(self._is_permitted(each) for each in _faces(found)):
            return ""
        of = "" if host == address else f" of {host}"
        return f"the address {address}{of} is not of the public internet; {HOSTS_SETTING} on the workers can allow it"

    def refuses_literal(self, host: str) -> str:
        """The same of a host that is an address itself, in whatever form; nothing of a name."""
        literal = _literal(host)
        return self.refuses_address(host, str(literal)) if literal else ""

    def _is_permitted(self, address: Address) -> bool:
        if any(address in network for network in self.networks if network.version == address.version):
            return True
        return not (
            address.is_multicast
            or address.is_reserved
            or not address.is_global
            or (isinstance(address, IPv6Address) and address.is_site_local)
            or any(address in network for network in _OWN if network.version == address.version)
        )


#: The rules where no setting says otherwise.
ANY_OF_AN_APP = Permitted()


def _faces(address: Address) -> Iterator[Address]:
    """The address and what stands behind it, each of which must be permitted."""
    if isinstance(address, IPv4Address):
        yield address
        return
    if address.ipv4_mapped:
        yield address.ipv4_mapped
        return
    if any(address in network for network in _WITH_IPV4) and int(address) > 1:
        yield IPv4Address(int(address) & 0xFFFFFFFF)
        return
    yield address
    if address.sixtofour:
        yield address.sixtofour
    if address.teredo:
        yield address.teredo[1]


def _literal(host: str) -> Address | None:
    """The address that a host is without being looked up: also as one number, in hexadecimal, octal, or shortened."""
    text = unicodedata.normalize("NFKC", host).replace("\u3002", ".").strip("[]").rstrip(".").partition("%")[0]
    try:
        return ip_address(text)
    except ValueError:
        pass
    try:
        return IPv4Address(socket.inet_aton(text))
    except (OSError, ValueError):
        return None
