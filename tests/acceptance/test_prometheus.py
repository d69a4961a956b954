"""A real Prometheus: each panel of Grafana's dashboard shows something, each alert rule is well."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
import yaml

from tests.acceptance.browser import Served
from tests.acceptance.house import OPTIONS, ROOT, House, until
from tests.acceptance.test_alerts import faults
from tests.acceptance.test_profiles import COQL, profile, write
from tests.servers import free_port

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.skipif(not shutil.which("prometheus"), reason="no prometheus (Debian: prometheus)"),
]

MONITORING, TOKEN = ROOT / "monitoring", "not-a-real-token-0123456789"
DASHBOARD: dict[str, Any] = json.loads((MONITORING / "grafana" / "massconvert.json").read_text())
PANELS = {
    f"{panel['title']}, {target['refId']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}
#: As Grafana fills them in: all accounts, and four times the interval of scrapes.
VARIABLES = {"$account": ".+", "$__rate_interval": "15s"}


class Prometheus:
    """Scrapes a house each second, as monitoring/prometheus.yml says: the page with its token, and workers."""

    def __init__(self, house: House, page: str) -> None:
        given = yaml.safe_load((MONITORING / "prometheus.yml").read_text())
        (house.folder / "token").write_text(TOKEN)
        fleet, workers = given["scrape_configs"]
        fleet["authorization"]["credentials_file"] = str(house.folder / "token")
        fleet["static_configs"] = [{"targets": [page.removeprefix("http://")]}]
        del workers["dns_sd_configs"]
        workers["file_sd_configs"] = [
            {"files": [str(house.folder / "state" / "metrics-*.json")], "refresh_interval": "1s"}
        ]
        given["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
        given["rule_files"] = [str(MONITORING / "alerts.yml")]
        file, port = house.folder / "prometheus.yml", free_port()
        file.write_text(yaml.safe_dump(given))
        arguments = [f"--config.file={file}", f"--storage.tsdb.path={house.folder / 'tsdb'}"]
        house.run("prometheus", *arguments, f"--web.listen-address=127.0.0.1:{port}", name="prometheus")
        self._url = f"http://127.0.0.1:{port}/api/v1"

    def ask(self, what: str, **asked: str) -> Any:
        """What its API answers; ``None`` while it does not."""
        try:
            with urlopen(f"{self._url}/{what}?{urlencode(asked)}", timeout=10) as answer:
                return json.load(answer)["data"]
        except HTTPError as error:
            if error.code == 503:  # it has begun, and is not ready
                return None
            raise AssertionError(f"{what} {asked}: {error.read().decode()}") from None
        except URLError:  # it has not begun yet
            return None

    def shows(self, panel: str) -> bool:
        """Whether a panel has a value now."""
        expression = PANELS[panel]
        for name, value in VARIABLES.items():
            expression = expression.replace(name, value)
        assert "$" not in expression, expression
        found = self.ask("query", query=expression)
        return any(each["value"][1] != "NaN" for each in found["result"])

    def up(self) -> set[str]:
        """The jobs whose targets answer."""
        found = self.ask("targets")
        return {each["labels"]["job"] for each in found["activeTargets"] if each["health"] == "up"} if found else set()


def test_every_panel_shows_something_and_every_rule_is_well(house: House, serve: Callable[..., Served]) -> None:
    house.environment |= {
        "MASSCONVERT_DASHBOARD_TOKEN": TOKEN,
        "MASSCONVERT_METRICS_PORT": "0",
        "MASSCONVERT_STATE_DIR": str(house.folder / "state"),
    }
    write(house, profile("nightly", COQL))
    house.redis()
    house.simulator(
        "--leads", "6000", "--unknown", "100", "--job-seconds", "0.5", "--latency", "0.1", "--day-credits", "90000"
    )
    house.ask("behaviour", "PUT", {"credits_header": "always"})
    house.worker()
    prometheus = Prometheus(house, serve().url)
    until(lambda: prometheus.up() == {"massconvert", "massconvert-workers"}, 30, "both targets")
    leads = house.leads()
    house.producer().enqueue(leads[-200:], OPTIONS, key="some-fail")
    house.producer().enqueue(leads[:-700], OPTIONS, key="all")
    until(lambda: house.calls("POST mass_convert") > 10, 30, "calls")
    missing, held, paused = set(PANELS), "Held or paused, A", "Held or paused, B"

    def all_seen() -> bool:
        missing.difference_update([panel for panel in missing if prometheus.shows(panel)])
        return not missing - {held, paused}

    try:
        until(all_seen, 60, "the panels")
    except AssertionError:
        pytest.fail(f"nothing is shown by: {', '.join(sorted(missing))}")
    house.set_faults(*faults("outage"))
    batch = house.producer().enqueue(leads[-700:-200], OPTIONS, key="later")
    until(lambda: prometheus.shows(held), 30, "that calls are held")
    house.set_faults()
    house.command("pause", "--reason", "to see it")
    until(lambda: prometheus.shows(paused), 15, "that it is paused")
    house.command("resume")
    batch.wait(60)
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert {(rule["health"], rule.get("lastError", "")) for rule in rules} == {("ok", "")}
    assert len(rules) == len(yaml.safe_load((MONITORING / "alerts.yml").read_text())["groups"][0]["rules"])
