"""One lead a task in plain Celery, as tutorials have it: a requests call each, autoretry, a rate of its own.

As a module of Celery (``celery -A benchmarks.rivals.one_lead_a_task worker``) it is the worker; as a program it
enqueues and waits. Usage: one_lead_a_task.py URL BROKER LEADS; prints the seconds it took.
"""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any
from urllib.request import urlopen

import redis
import requests
from celery import Celery

BROKER = os.environ.get("RIVAL_BROKER", "")
URL = os.environ.get("RIVAL_URL", "")
PATH = "/crm/v8/Leads/actions/mass_convert"
app = Celery("rival", broker=BROKER or None)
app.conf.update(task_ignore_result=True, worker_prefetch_multiplier=1)


def _token() -> str:
    form = {"refresh_token": "x", "client_id": "x", "client_secret": "x", "grant_type": "refresh_token"}
    return str(requests.post(f"{URL}/oauth/v2/token", data=form, timeout=30).json()["access_token"])


_tokens: list[str] = []


class Later(Exception):  # noqa: N818 - a reason to try again
    """Zoho said 429, or the job runs."""


@app.task(bind=True, autoretry_for=(Later,), retry_backoff=True, retry_jitter=True, max_retries=None)  # type: ignore[untyped-decorator]  # Celery ships no types
def convert(self: Any, lead_id: str, job: str = "") -> None:
    """Convert one lead, and look at its job until it has ended."""
    if not _tokens:
        _tokens.append(_token())
    headers = {"Authorization": f"Zoho-oauthtoken {_tokens[0]}"}
    deal = {"Deal_Name": "Renewal", "Stage": "Needs Analysis", "Closing_Date": "2027-12-31"}
    if not job:
        answer = requests.post(URL + PATH, json={"ids": [lead_id], "Deals": deal}, headers=headers, timeout=30)
        if answer.status_code == 429:
            raise Later
        raise self.retry(args=(lead_id, answer.json()["details"]["job_id"]), countdown=1)
    answer = requests.get(URL + PATH, params={"job_id": job}, headers=headers, timeout=30)
    if answer.status_code == 429 or answer.json()["data"][0]["Status"].lower() != "completed":
        raise Later
    _counter(BROKER).incr("rival:done")


def _counter(broker: str) -> Any:
    return redis.Redis.from_url(broker.replace("redis+socket://", "unix://"))  # Celery's word for it, and redis-py's


def main(url: str, broker: str, leads: str) -> None:
    """Enqueue, and wait for the end."""
    with urlopen(f"{url}/__simulator__/leads") as answer:
        ids = json.loads(answer.read())[: int(leads)]
    counter = _counter(broker)
    producer = Celery("rival", broker=broker)
    began = time.perf_counter()
    for lead_id in ids:
        producer.send_task("benchmarks.rivals.one_lead_a_task.convert", args=[lead_id])
    while int(counter.get("rival:done") or 0) < len(ids):
        time.sleep(0.05)
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(*sys.argv[1:])
