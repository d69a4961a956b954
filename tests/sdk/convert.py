"""A mass convert by Zoho's own SDK; run with the Python of .venv-sdk, which has nothing else in it.

Usage: convert.py URL FOLDER LEAD_ID... Converts the leads with a deal and reads the job's status; prints one line of
JSON: what the SDK made of each answer. The SDK keeps its token, its log and the fields it learns in FOLDER.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from typing import Any

from zohocrmsdk.src.com.zoho.api.authenticator import OAuthToken
from zohocrmsdk.src.com.zoho.api.authenticator.store import FileStore
from zohocrmsdk.src.com.zoho.api.logger import Logger
from zohocrmsdk.src.com.zoho.crm.api import Initializer, ParameterMap, SDKConfig
from zohocrmsdk.src.com.zoho.crm.api.dc import DataCenter
from zohocrmsdk.src.com.zoho.crm.api.mass_convert import (
    APIException,
    AssignTo,
    BodyWrapper,
    GetJobStatusParam,
    MassConvertOperations,
    MoveAttachmentsTo,
    RelatedModule,
)
from zohocrmsdk.src.com.zoho.crm.api.record import Field, Record
from zohocrmsdk.src.com.zoho.crm.api.util import Choice


def initialise(url: str, folder: Path) -> None:
    """Point the SDK at ``url``, which is neither https nor one of its data centres."""
    environment = DataCenter.Environment(url, f"{url}/oauth/v2/token", url)
    token = OAuthToken(client_id="1000.SDK", client_secret="not-a-secret", refresh_token="1000.not-a-token")
    Initializer.initialize(
        environment,
        token,
        store=FileStore(file_path=str(folder / "tokens.txt")),
        sdk_config=SDKConfig(auto_refresh_fields=False, pick_list_validation=True),
        resource_path=str(folder),
        logger=Logger.get_instance(level=Logger.Levels.INFO, file_path=str(folder / "sdk.log")),
    )


def payload(lead_ids: list[int]) -> BodyWrapper:
    """A payload with every option that the SDK knows, but the portal's."""
    body = BodyWrapper()
    body.set_ids(lead_ids)
    deal = Record()
    deal.add_field_value(Field.Deals.deal_name(), "Renewal")
    deal.add_field_value(Field.Deals.stage(), Choice("Needs Analysis"))
    deal.add_field_value(Field.Deals.closing_date(), date(2026, 12, 20))
    body.set_deals(deal)
    owner = AssignTo()
    owner.set_id(3652397000000281001)
    body.set_assign_to(owner)
    tasks = RelatedModule()
    tasks.set_api_name("Tasks")
    tasks.set_id(3652397000000002193)
    body.set_related_modules([tasks])
    contacts = MoveAttachmentsTo()
    contacts.set_api_name("Contacts")
    contacts.set_id(3652397000000002179)
    body.set_move_attachments_to(contacts)
    body.set_carry_over_tags([contacts])  # the SDK has one class for both
    body.set_apply_assignment_threshold(True)
    return body


def told(response: Any) -> dict[str, Any]:
    """What the SDK understood of an answer to the POST."""
    answer = response.get_object()
    return {
        "http": response.get_status_code(),
        "refused": isinstance(answer, APIException),
        "code": answer.get_code().get_value(),
        "details": {name: str(value) for name, value in answer.get_details().items()},
    }


def counts(job_id: int) -> dict[str, Any]:
    """What the SDK understood of the job's status."""
    params = ParameterMap()
    params.add(GetJobStatusParam.job_id, job_id)
    (status,) = MassConvertOperations().get_job_status(params).get_object().get_data()
    return {
        "status": status.get_status(),
        "total": status.get_total_count(),
        "converted": status.get_converted_count(),
        "not_converted": status.get_not_converted_count(),
        "failed": status.get_failed_count(),
    }


def main(url: str, folder: str, *lead_ids: str) -> None:
    """Convert, look, and convert once more, which is refused."""
    initialise(url, Path(folder))
    body = payload([int(lead_id) for lead_id in lead_ids])
    first = told(MassConvertOperations().mass_convert(body))
    status = counts(int(first["details"]["job_id"]))
    again = told(MassConvertOperations().mass_convert(body))
    print(json.dumps({"first": first, "status": status, "again": again}))


main(*sys.argv[1:])
