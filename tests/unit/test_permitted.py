"""Whom a message may have called: which tasks on which queues, and which addresses on the network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from massconvert import contract
from massconvert.caller import Never
from massconvert.errors import InputError, SettingsError
from massconvert.on_complete.permitted import ANY_OF_AN_APP, Permitted
from massconvert.on_complete.targets import HookTarget, TaskTarget, demand_permitted, parse_targets
from massconvert.producer.mass_convert import MassConvert
from massconvert.profiles import ConfigFile
from massconvert.settings import Settings
from massconvert.testing import FakeCrm
from tests.unit.test_callbacks import SECRET, Wire, caller

OURS = sorted(value for name, value in vars(contract).items() if name.startswith("TASK_"))
QUEUES = [contract.QUEUE, contract.QUEUE_CONVERT, contract.QUEUE_STATUS]

# --- tasks ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("allowed", ["", "*", "*@*", "massconvert.*@massconvert", "celery.*"])
@pytest.mark.parametrize(
    "task",
    [*OURS, "massconvert.new", "massconvert", "celery.chord", "celery.backend_cleanup", "celery.group", "celery"],
)
def test_a_task_of_massconvert_s_or_of_celery_s_own_is_never_called(allowed: str, task: str) -> None:
    """Whatever a setting says: such a message would move a chunk, or be code of Celery's."""
    for queue in ("celery", "shop", *QUEUES):
        with pytest.raises(InputError, match=r"on_complete names the task \S+, which only \S+ itself may send"):
            demand_permitted(parse_targets({"task": task, "queue": queue}), Permitted.parse(allowed))


@pytest.mark.parametrize("queue", [*QUEUES, "massconvert.other"])
def test_a_queue_of_ours_is_not_an_app_s_unless_the_setting_says_so(queue: str) -> None:
    assert "massconvert's own" in ANY_OF_AN_APP.refuses_task("shop.converted", queue)
    assert "massconvert's own" in Permitted.parse("*, shop.*").refuses_task("shop.converted", queue)
    assert Permitted.parse(f"shop.*@{queue}").refuses_task("shop.converted", queue) == ""
    assert Permitted.parse(f"shop.*@{queue}").refuses_task("crm.converted", queue)


def test_what_the_page_promises_apps_needs_no_setting() -> None:
    """Any task of theirs, on any queue of theirs."""
    for target in ("shop.converted@shop", "shop.converted", {"task": "t", "queue": "q"}, "https://shop.example.com/x"):
        demand_permitted(parse_targets(target), ANY_OF_AN_APP)
    assert ANY_OF_AN_APP.refuses_task("massconverted.leads", "massconvertible") == ""


def test_patterns_bound_tasks_and_queues() -> None:
    rules = Permitted.parse("shop.*@shop, crm.converted  *.told@a?c")
    for task, queue in (("shop.x", "shop"), ("shop.a.b", "shop"), ("crm.converted", "anything"), ("x.told", "abc")):
        assert rules.refuses_task(task, queue) == ""
    for task, queue in (("shop.x", "celery"), ("Shop.x", "shop"), ("crm.other", "crm"), ("x.told", "abbc")):
        assert "MASSCONVERT_ON_COMPLETE_TASKS does not allow" in rules.refuses_task(task, queue)


def test_a_message_that_names_such_a_task_enqueues_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    crm = FakeCrm()
    for target in ("massconvert.convert@massconvert.convert", {"task": "celery.chord"}, "shop.converted@massconvert"):
        with pytest.raises(InputError, match="on_complete names the"):
            crm.receive({"lead_ids": ["7000000000000000001"], "on_complete": [HOOK, target]}, "m1")
        with pytest.raises(InputError, match="on_complete names the"):
            MassConvert(Settings()).enqueue(["7000000000000000001"], on_complete=target)
    assert crm.batches() == []


def test_a_profile_that_names_such_a_task_is_refused_with_its_file(tmp_path: Path) -> None:
    """As soon as somebody reads it; its runs would enqueue with nobody there to be told."""
    file = tmp_path / "massconvert.toml"
    file.write_text("""[profiles.nightly]\noptions = {}\non_complete = "massconvert.sweep@massconvert"\n""")
    with pytest.raises(
        SettingsError, match=r"names the task massconvert\.sweep, which only massconvert itself may send"
    ):
        ConfigFile(file).config()


def test_what_stands_in_the_ledger_is_looked_at_again_when_it_is_called() -> None:
    """A producer with other settings, or of an older version, has written it; no other try would fix it."""
    wire = Wire(None)
    why = caller(wire).call(TaskTarget("massconvert.sweep", "massconvert"), {})
    assert isinstance(why, Never)
    assert wire.sent == []


# --- addresses ------------------------------------------------------------------------------------------------

HOOK = "https://shop.example.com/converted"
NOT_PUBLIC = {
    "loopback": ["127.0.0.1", "127.1.2.3", "::1"],
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd12:3456::1"],
    "link-local": ["169.254.1.1", "fe80::1", "fe80::1%eth0", "febf::1"],
    "metadata": ["169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192", "168.63.129.16"],
    "shared": ["100.64.0.1", "100.127.255.255"],
    "multicast": ["224.0.0.1", "239.255.255.255", "224.0.1.1", "ff02::1", "ff0e::1"],
    "reserved": ["240.0.0.1", "255.255.255.255", "192.0.2.1", "198.18.0.1", "203.0.113.7", "2001:db8::1", "100::1"],
    "site-local": ["fec0::1"],
    "mapped": ["::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::ffff:a9fe:a9fe", "::127.0.0.1"],
    "NAT64": ["64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1", "64:ff9b:1::1"],
    "6to4 and Teredo": ["2002:7f00:1::1", "2002:a9fe:a9fe::1", "2001:0:4136:e378:8000:63bf:80ff:fffe"],
}
PUBLIC = ["8.8.8.8", "93.184.216.34", "172.32.0.1", "2606:2800:220:1::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", [each for kind in NOT_PUBLIC.values() for each in kind])
def test_an_address_that_is_not_public_is_refused_and_where_it_can_be_allowed_is_said(address: str) -> None:
    why = ANY_OF_AN_APP.refuses_address("shop.example.com", address)
    assert address in why
    assert "shop.example.com" in why
    assert "MASSCONVERT_WEBHOOK_ALLOW" in why


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_is_called(address: str) -> None:
    assert ANY_OF_AN_APP.refuses_address("shop.example.com", address) == ""


def test_a_setting_allows_hosts_addresses_and_networks() -> None:
    rules = Permitted.parse(hosts="Hooks.internal, *.shop.internal 10.1.0.0/16,[::1],127.0.0.1, fd00::/8")
    for host, address in (
        ("hooks.internal", "192.168.1.1"),
        ("HOOKS.internal.", "192.168.1.1"),
        ("a.b.shop.internal", "127.9.9.9"),
        ("x", "10.1.2.3"),
        ("x", "::ffff:10.1.2.3"),
        ("x", "::1"),
        ("x", "127.0.0.1"),
        ("x", "fd00::7"),
    ):
        assert rules.refuses_address(host, address) == "", (host, address)
    for host, address in (("shop.internal", "10.2.0.1"), ("xhooks.internal", "10.2.0.1"), ("x", "127.0.0.2")):
        assert rules.refuses_address(host, address), (host, address)


@pytest.mark.parametrize(
    "host",
    [
        *(each for kind in NOT_PUBLIC.values() for each in kind if "%" not in each),
        *("2130706433", "0x7f000001", "0X7F.1", "0177.0.0.1", "127.1", "127.0.1", "017700000001", "3232235777", "0"),
        *("0xa9fea9fe", "2852039166", "127.0.0.1.", "\uff11\uff12\uff17.0.0.1", "127\u30020\u30020\u30021", "1"),
    ],
)
def test_an_address_is_known_in_whatever_form_it_is_written_and_is_never_tried_again(host: str) -> None:
    """As the resolver of the operating system takes it: decimal, hexadecimal, octal, shortened."""
    assert ANY_OF_AN_APP.refuses_literal(host)
    wire = Wire(None)
    written = f"[{host}]" if ":" in host else host
    why = caller(wire).call(HookTarget(f"https://{written}:8443/x"), {})
    assert isinstance(why, Never)
    assert "MASSCONVERT_WEBHOOK_ALLOW" in why
    assert wire.sent == []


@pytest.mark.parametrize("host", ["shop.example.com", "localhost", "1.example.com", "a.b", "x" * 300, "", "8.8.8.8"])
def test_a_name_is_no_address(host: str) -> None:
    """Where it leads is known when it is connected to."""
    assert ANY_OF_AN_APP.refuses_literal(host) == ""


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MASSCONVERT_WEBHOOK_ALLOW", "10.0.0.0/99"),
        ("MASSCONVERT_WEBHOOK_ALLOW", "https://hooks.internal"),
        ("MASSCONVERT_WEBHOOK_ALLOW", "a*b"),
        ("MASSCONVERT_WEBHOOK_ALLOW", "10.0.0.1, hooks.internal:8080"),
        ("MASSCONVERT_ON_COMPLETE_TASKS", "shop.*@"),
        ("MASSCONVERT_ON_COMPLETE_TASKS", "a@b@c"),
        ("MASSCONVERT_ON_COMPLETE_TASKS", "ok, ü ö;"),
    ],
)
def test_a_setting_that_is_wrong_is_told_by_its_name_and_how_to_write_it(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"^{name} has no .* at place [123]; write them like"):
        Settings(**{name: value})


def test_settings_make_the_rules() -> None:
    given: dict[str, Any] = {"MASSCONVERT_WEBHOOK_ALLOW": "127.0.0.0/8", "MASSCONVERT_ON_COMPLETE_TASKS": "shop.*"}
    rules = Settings(**given).permitted
    assert rules.refuses_literal("127.0.0.1") == ""
    assert rules.refuses_task("crm.x", "celery")
    assert Settings().permitted == ANY_OF_AN_APP
    assert SECRET not in str(rules)
