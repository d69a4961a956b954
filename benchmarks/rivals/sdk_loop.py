"""Zoho's official SDK in a loop, or in threads; run with the Python of .venv-sdk (``make sdk-env``).

Usage: sdk_loop.py URL FOLDER THREADS JOB_SECONDS LEADS; prints the seconds it took. A payload of 50, its job looked at
every second until it has ended, then the next.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.api.logger import Logger
from zohocrmsdk.src.com.zoho.crm.api import Initializer, ParameterMap, SDKConfig
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.mass_convert import (
    AssignTo,
    BodyWrapper,
    GetJobStatusParam,
    MassConvertOperations,
)
from zohocrmsdk.src.com.zoho.crm.api.record import Field, Record
from zohocrmsdk.src.com.zoho.crm.api.util import Choice


def initialise(url: str, folder: Path) -> None:
    """Point the SDK at ``url``."""
    Initializer.initialize(
        DataCenter.Environment(url, f"{url}/oauth/v2/token", url),
        OAuthToken(client_id="1000.SDK", client_secret="not-a-secret", refresh_token="1000.not-a-token"),
        store=FileStore(file_path=str(folder / "tokens.txt")),
        sdk_config=SDKConfig(auto_refresh_fields=False, pick_list_validation=False),
        resource_path=str(folder),
        logger=Logger.get_instance(level=Logger.Levels.ERROR, file_path=str(folder / "sdk.log")),
    )


def payload(ids: list[int]) -> Any:
    """What is sent for these leads."""
    body = BodyWrapper()
    body.set_ids(ids)
    deal = Record()
    deal.add_field_value(Field.Deals.deal_name(), "Renewal")
    deal.add_field_value(Field.Deals.stage(), Choice("Needs Analysis"))
    deal.add_field_value(Field.Deals.closing_date(), date(2027, 12, 31))
    body.set_deals(deal)
    owner = AssignTo()
    owner.set_id(3652397000000281001)
    body.set_assign_to(owner)
    return body


def convert(ids: list[int]) -> None:
    """One payload, followed to its end."""
    accepted = MassConvertOperations().mass_convert(payload(ids)).get_object()
    params = ParameterMap()
    params.add(GetJobStatusParam.job_id, int(str(accepted.get_details()["job_id"])))
    while True:
        time.sleep(1)
        (status,) = MassConvertOperations().get_job_status(params).get_object().get_data()
        if status.get_status().lower() == "completed":
            return


def main(url: str, folder: str, threads: str, leads: str) -> None:
    """Convert the simulator's leads."""
    with urlopen(f"{url}/__simulator__/leads") as answer:
        ids = [int(lead) for lead in json.loads(answer.read())[: int(leads)]]
    chunks: Iterator[list[int]] = iter([ids[at : at + 50] for at in range(0, len(ids), 50)])
    taking = threading.Lock()
    initialise(url, Path(folder))

    def work() -> None:
        initialise(url, Path(folder))  # the SDK keeps its state by thread
        while True:
            with taking:
                chunk = next(chunks, None)
            if chunk is None:
                return
            convert(chunk)

    began = time.perf_counter()
    with ThreadPoolExecutor(int(threads)) as pool:
        for done in [pool.submit(work) for _ in range(int(threads))]:
            done.result()
    print(json.dumps({"seconds": time.perf_counter() - began}))


if __name__ == "__main__":
    main(*sys.argv[1:])
