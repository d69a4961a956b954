"""Each alert fires while its fault lasts, and ends after it: real workers, monitoring/faults, the rules as they are.

Real time is short. What the ledger says during a fault stands for two hours of promtool's time, and what was counted
meanwhile came every ten minutes of it. promtool evaluates the rules over that, their `for` and all.
"""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from massconvert.cli.desk import Desk, open_desk
from massconvert.errors import StoreError
from massconvert.metrics import look, render
from massconvert.settings import load_settings
from massconvert.store import Keys
from tests.acceptance.house import OPTIONS, ROOT, SHORT_LEASES, House, until
from tests.acceptance.test_callbacks import SECRET, Shop
from tests.acceptance.test_profiles import COQL, profile, write

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool (Debian: prometheus)"),
]

MONITORING = ROOT / "monitoring"
ALERTS = [each["alert"] for each in yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"]]
#: Minutes of promtool's time: before a fault, while it lasts, after it; and how soon what was counted comes again.
BEFORE, DURING, AFTER, AGAIN = 60, 120, 120, 10
_SERIES = re.compile(r"^(massconvert_\w+\{.*\}) (\S+)$", re.MULTILINE)
Scrape = dict[str, float]


def faults(name: str) -> list[dict[str, Any]]:
    """A script of monitoring/faults."""
    return list(json.loads((MONITORING / "faults" / f"{name}.json").read_text()))


class Watch:
    """Looks at a house as Prometheus does, and says what fires."""

    def __init__(self, house: House, *profiles: str) -> None:
        self._desk: Desk = open_desk(load_settings(house.environment, dotenv=None))
        self._house, self._profiles = house, profiles
        self.fired: set[str] = set()

    def scrape(self, later: float = 0.0) -> Scrape:
        """The fleet's metrics, as they are so many seconds later if nothing happens; times as seconds ago."""
        desk = self._desk
        try:
            now = desk.clock.now() + later
            text = render(look(desk.ledger, desk.standing(), now, self._profiles))
        except StoreError:
            now, text = 0.0, render(unreachable=[desk.settings.account])
        found = {name: float(value) for name, value in _SERIES.findall(text)}
        return {
            name: now - value if value and "_timestamp_seconds{" in name else value for name, value in found.items()
        }

    def value(self, name: str) -> float:
        """One number of a scrape; 0 where it is not there."""
        return self.scrape().get(f"massconvert_{name}", 0.0)

    def fires(self, folder: Path, before: Scrape, during: Scrape, after: Scrape, *alerts: str) -> None:
        """These alerts fire while the fault lasts, and none before and after it."""
        series = [
            {"series": name, "values": _values(name, before, during, after)}
            for name in sorted(before.keys() | during.keys() | after.keys())
        ]
        ends = (BEFORE, BEFORE + DURING, BEFORE + DURING + AFTER)
        checks = [
            {
                "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
                "eval_time": f"{end - 2}m",
                "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in sorted(expected)],
            }
            for end, expected in zip(ends, ((), alerts, ()), strict=True)
        ]
        test = {"interval": "1m", "input_series": series, "promql_expr_test": checks}
        given = {"rule_files": [str(MONITORING / "alerts.yml")], "evaluation_interval": "1m", "tests": [test]}
        file = folder / "alerts.yml"
        file.write_text(yaml.safe_dump(given))
        done = subprocess.run(["promtool", "test", "rules", str(file)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        self.fired |= set(alerts)


def _values(name: str, before: Scrape, during: Scrape, after: Scrape) -> str:
    """A series of promtool's over the three times."""
    a, b, c = (scrape.get(name) for scrape in (before, during, after))
    if "_total{" in name or re.search(r"_(sum|count)\{", name):
        begun, grows = a or 0.0, ((b if b is not None else a) or 0.0) - (a or 0.0)
        level = begun + grows * DURING / AGAIN
        healed = level + (c or 0.0) - (b if b is not None else a or 0.0)
        return f"{begun}x{BEFORE - 1} {begun}+{grows / AGAIN}x{DURING - 1} {level} {healed}x{AFTER - 1}"
    parts = []
    for value, minutes, began in zip((a, b, c), (BEFORE, DURING, AFTER), (0, BEFORE, BEFORE + DURING), strict=True):
        shown: float | None = value
        if value and "_timestamp_seconds{" in name:
            shown = max(1.0, began * 60 - value)  # so long ago when the time began
        parts.append(f"_x{minutes}" if shown is None else f"{shown}x{minutes - 1}")
    return " ".join(parts)


class Faulty:
    """A house in which one fault after another comes and goes."""

    def __init__(self, house: House, *profiles: str) -> None:
        self.house, self.watch = house, Watch(house, *profiles)
        self._leads = iter(house.leads())

    def enqueue(self, key: str, leads: int, options: Any = OPTIONS, **more: Any) -> Any:
        """So many leads that have not been in a batch yet."""
        given = [next(self._leads) for _ in range(leads)]
        return self.house.producer().enqueue(given, options=options, key=key, **more)

    def goes_through(
        self, name: str, seen: Callable[[], Any], *alerts: str, leads: int = 100, options: Any = OPTIONS
    ) -> None:
        """The script comes, leads are enqueued, ``seen`` says that it is to be seen; it goes, and all leads end."""
        before = self.watch.scrape()
        self.house.set_faults(*faults(name))
        batch = self.enqueue(name, leads, options)
        until(seen, 60, name)
        during = self.watch.scrape()
        self.house.set_faults()
        self.watch._desk.ledger.organisation.resume()  # what `massconvert resume` does
        until(lambda: batch.progress().finished, 60, f"the end of {name}")
        self.house.ledger.delete(Keys("default").credits)  # which an hour does where Zoho says nothing of them
        self.watch.fires(self.house.folder, before, during, self.watch.scrape(), *alerts)


def test_what_zoho_does_is_told_while_it_lasts(house: House) -> None:
    house.environment |= SHORT_LEASES
    write(house, profile("nightly", COQL))
    house.redis()
    house.simulator("--leads", "2400", "--job-seconds", "0.2")
    house.worker()
    faulty = Faulty(house, "nightly")
    value = faulty.watch.value
    well = faulty.enqueue("well", 50)
    until(lambda: well.progress().finished, 30, "a batch without a fault")

    outage = ("MassConvertZohoAway", "MassConvertZohoAwayLong", "MassConvertStalled")
    faulty.goes_through("outage", lambda: value('calls_held{account="default",why="outage"}'), *outage, leads=250)
    faulty.goes_through("refused", lambda: value('paused{account="default",by="zoho"}'), "MassConvertPaused")
    credits_out = ("MassConvertCreditsRunOut", "MassConvertStalled")
    faulty.goes_through("credits", lambda: value('calls_held{account="default",why="credits"}'), *credits_out)

    converted = 'leads_ended_total{account="default",outcome="converted",code=""}'
    ended = value(converted)

    def throttled() -> bool:
        calls = faulty.watch.scrape()
        often = sum(number for name, number in calls.items() if 'answer="throttled"' in name) >= 25
        return often and calls.get(f"massconvert_{converted}", 0.0) > ended

    faulty.goes_through("throttled", throttled, "MassConvertThrottled", leads=1500)
    others = {**OPTIONS, "Deals": {**OPTIONS["Deals"], "Stage": "Qualification"}}
    failed = 'leads_ended_total{account="default",outcome="failed",code="MANDATORY_NOT_FOUND"}'
    faulty.goes_through("failing", lambda: value(failed) >= 80, "MassConvertFailuresHigh", leads=80, options=others)

    before = faulty.watch.scrape()
    house.set_faults(*faults("query"))
    for _ in range(2):
        house.command("profile", "run", "nightly", "--wait", "30")
    during = faulty.watch.scrape()
    house.set_faults()
    house.command("profile", "resume", "nightly")
    faulty.watch.fires(house.folder, before, during, faulty.watch.scrape(), "MassConvertScheduleFails")
    assert faulty.watch.fired == set(ALERTS) - OURS


OURS = {
    "MassConvertLedgerDown",
    "MassConvertMetricsMissing",
    "MassConvertNoWorker",
    "MassConvertLate",
    "MassConvertNobodyTold",
}


def test_what_is_missing_here_is_told_while_it_lasts(house: House) -> None:
    house.environment |= {
        **SHORT_LEASES,
        "MASSCONVERT_WEBHOOK_SECRET": SECRET,
        "MASSCONVERT_WEBHOOK_ALLOW": "127.0.0.1",
    }
    server = house.redis()
    house.simulator("--leads", "400", "--job-seconds", "0.2", "--latency", "0.3")
    worker = house.worker()
    faulty, watch, shop = Faulty(house), Watch(house), Shop()
    try:
        shop.answers = [500] * 100
        before = watch.scrape()
        faulty.enqueue("told", 1, on_complete=shop.url)
        until(lambda: watch.value('callbacks_failing{account="default"}'), 30, "a call that fails")
        during = watch.scrape()
        shop.answers.clear()
        until(lambda: not watch.value('callbacks_failing{account="default"}'), 60, "a call that does not")
        watch.fires(house.folder, before, during, watch.scrape(), "MassConvertNobodyTold")
    finally:
        shop.close()

    before = watch.scrape()
    batch = faulty.enqueue("left", 300)
    until(lambda: house.calls("POST mass_convert") >= 3, 30, "calls")
    house.kill(worker)
    during = watch.scrape(later=300.0)
    house.worker("another")
    until(lambda: batch.progress().finished, 90, "what was left")
    left = ("MassConvertNoWorker", "MassConvertLate", "MassConvertStalled")
    watch.fires(house.folder, before, during, after := watch.scrape(), *left)

    house.kill(server, signal.SIGTERM)
    down = watch.scrape()
    house.redis()
    again = until(watch.scrape, 30, "Redis")
    watch.fires(house.folder, after, down, again, "MassConvertLedgerDown")
    watch.fires(house.folder, after, {}, again, "MassConvertMetricsMissing")
    assert watch.fired == OURS | {"MassConvertStalled"}
