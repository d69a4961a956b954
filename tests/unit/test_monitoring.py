"""monitoring/: every metric that a rule or a panel names is served, every alert has its page, and promtool agrees."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry, generate_latest

from massconvert.metrics import render
from massconvert.shares import Threads
from tests.unit.test_metrics import seen
from workers.watch import OwnMetrics

ROOT = Path(__file__).parents[2]
HERE = ROOT / "monitoring"
RULES: list[dict[str, Any]] = yaml.safe_load((HERE / "alerts.yml").read_text(encoding="utf-8"))["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads((HERE / "grafana" / "massconvert.json").read_text(encoding="utf-8"))
_NAME = re.compile(r"massconvert_\w+")
needs_promtool = pytest.mark.skipif(not shutil.which("promtool"), reason="no promtool (Debian: prometheus)")


def promtool(*arguments: str, given: str = "") -> str:
    done = subprocess.run(["promtool", *arguments], cwd=HERE, input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def served() -> set[str]:
    """The names of all series that the fleet and a worker serve."""
    registry = CollectorRegistry()
    own = OwnMetrics(registry, Threads(1))
    own.permit("post", 1.0)
    own.call("post", 1.0)
    text = render(seen_with_profile()) + generate_latest(registry).decode()
    return {_NAME.match(line).group() for line in text.splitlines() if _NAME.match(line)}  # type: ignore[union-attr]  # it matches


def seen_with_profile() -> Any:
    return replace(seen(), profiles={"nightly": 0})


def test_every_metric_of_a_rule_or_a_panel_is_served() -> None:
    expressions = [rule["expr"] for rule in RULES]
    expressions += [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
    expressions += [each["query"] for each in DASHBOARD["templating"]["list"]]
    named = {name for expression in expressions for name in _NAME.findall(expression)}
    assert len(named) > 20
    assert named - served() == set()


def test_every_metric_that_is_served_is_on_the_page() -> None:
    page = (ROOT / "docs" / "monitoring.md").read_text(encoding="utf-8")
    names = {re.sub(r"_(bucket|created)$|(?<=seconds)_count$", "", name) for name in served()}
    missing = [n for n in names if f"`{n}" not in page and f"`{n.removeprefix('massconvert_')}" not in page]
    assert [name for name in missing if not name.endswith("_sum")] == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_every_alert_says_what_it_means_and_has_its_page(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
    page, _, anchor = rule["annotations"]["runbook_url"].partition("#")
    text = (ROOT / page).read_text(encoding="utf-8")
    part = text.split(f"## {rule['alert']}\n")[1].split("\n## ")[0]
    assert anchor == rule["alert"].lower()
    assert all(word in part for word in ("**Means:**", "**Lost:**", "**Do:**", "**To see it:**"))
    assert all((ROOT / "docs" / script).is_file() for script in re.findall(r"\]\((\.\./monitoring/[^)]*)\)", part))


def test_every_alert_is_tested_to_fire_and_to_end() -> None:
    tests = yaml.safe_load((HERE / "alerts_test.yml").read_text(encoding="utf-8"))["tests"]
    fires = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    ends = {case["alertname"] for test in tests for case in test["alert_rule_test"] if not case["exp_alerts"]}
    assert fires == ends == {rule["alert"] for rule in RULES}


def test_every_panel_has_a_title_a_description_a_unit_and_the_chosen_source() -> None:
    for panel in DASHBOARD["panels"]:
        assert all((panel["title"], panel["description"], panel["fieldConfig"]["defaults"]["unit"]))
        assert panel["datasource"]["uid"] == "${datasource}"
        rates = [target["expr"] for target in panel["targets"] if "rate(" in target["expr"]]
        assert all("$__rate_interval" in expression for expression in rates)


@needs_promtool
def test_promtool_takes_the_rules_and_each_fires() -> None:
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "alerts.yml")
    assert "SUCCESS" in promtool("test", "rules", "alerts_test.yml")


@needs_promtool
def test_promtool_has_nothing_against_the_metrics() -> None:
    assert promtool("check", "metrics", given=render(seen())).strip() == ""
