"""The processes of examples/deploy/kubernetes/status.yaml, by their own command lines: what KEDA gets to read."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pytest
import yaml

from tests.acceptance.house import OPTIONS, ROOT, House, until
from tests.servers import free_port

pytestmark = pytest.mark.acceptance
KUBERNETES = ROOT / "examples" / "deploy" / "kubernetes"


def commands(page: Path, port: int) -> list[list[str]]:
    """The commands of the two containers, with a folder and a port of this machine, and in more of a hurry."""
    documents = yaml.safe_load_all((KUBERNETES / "status.yaml").read_text())
    (pod,) = (document["spec"]["template"]["spec"] for document in documents if document["kind"] == "Deployment")
    changed = {"/page": str(page), "8000": str(port), "sleep 15": "sleep 1"}
    found = []
    for container in pod["containers"]:
        words = list(container["command"])
        for old, new in changed.items():
            words = [word.replace(old, new) for word in words]
        found.append(words)
    return found


def test_the_status_page_has_the_numbers_that_keda_asks_for_and_none_that_are_old(house: House) -> None:
    """Where Redis is away there is no page, and so no number: KEDA leaves the workers as they are."""
    page, port = house.folder / "page", free_port()
    page.mkdir()
    redis = house.redis()
    for number, command in enumerate(commands(page, port)):
        house.run(*command, name=f"container-{number}")
    scaled = yaml.safe_load((KUBERNETES / "scaledobject.yaml").read_text())["spec"]
    locations = {trigger["name"]: trigger["metadata"]["valueLocation"] for trigger in scaled["triggers"]}
    path = scaled["triggers"][0]["metadata"]["url"].rpartition("/")[2]

    def numbers() -> dict[str, Any] | None:
        with suppress(URLError, ConnectionError), urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5) as answer:
            said = json.loads(answer.read())
            return {name: said[location] for name, location in locations.items()}
        return None

    assert until(numbers, 30, "a page") == {"leads_waiting": 0, "workers_useful": 1}
    house.producer().enqueue([str(3652397000009850001 + number) for number in range(120)], options=OPTIONS)
    until(lambda: numbers() == {"leads_waiting": 120, "workers_useful": 1}, 30, "the leads that wait")
    house.kill(redis)

    def gone() -> bool:
        try:
            urlopen(f"http://127.0.0.1:{port}/{path}", timeout=5).close()
        except HTTPError as error:
            return error.code == 404
        return False

    until(gone, 60, "no page")
