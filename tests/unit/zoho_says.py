"""What Zoho says, in the JSON that it documents: the page of the Mass Convert Lead API, and the pages on status codes,
scopes, tokens and limits that it leans on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from massconvert.model import PostAnswer, ReadAnswer, StatusAnswer
from massconvert.zoho.answers import parse_post, parse_read, parse_status

JOB = "3652397000009835020"


@dataclass(frozen=True)
class Said:
    """An HTTP answer: its status, its body (bytes, or what is written as JSON), its headers."""

    status: int
    body: Any = b""
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def raw(self) -> bytes:
        """The body as it comes over the wire."""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


def to_post(said: Said) -> PostAnswer:
    """As the answer to the POST."""
    return parse_post(said.status, said.headers, said.raw)


def to_status(said: Said) -> StatusAnswer:
    """As the answer to the status call."""
    return parse_status(said.status, said.headers, said.raw)


def to_read(said: Said) -> ReadAnswer:
    """As the answer to Get Records."""
    return parse_read(said.status, said.headers, said.raw)


def error(status: int, code: str, message: str, details: Any = None) -> Said:
    """Zoho's error envelope."""
    return Said(status, {"code": code, "details": details or {}, "message": message, "status": "error"})


# --- the POST -------------------------------------------------------------------------------------------------

#: The page's own sample response.
SCHEDULED_V5 = Said(
    200,
    {
        "code": "SUCCESS",
        "details": {"job_id": JOB},
        "message": "Mass Convert scheduled successfully",
        "status": "success",
    },
)
#: As version 8 is described.
SCHEDULED_V8 = Said(
    200,
    {
        "code": "SCHEDULED",
        "details": {"job_id": JOB},
        "message": "Mass Convert scheduled successfully",
        "status": "success",
    },
)

# "Possible Errors" of the page.
NO_DEAL_NAME = error(
    400,
    "MANDATORY_NOT_FOUND",
    "required field not found",
    {"api_name": "Deal_Name", "json_path": "$.Deals.Deal_Name"},
)
NO_ASSIGNEE = error(
    400,
    "EXPECTED_FIELD_MISSING",
    "expected field missing",
    {
        "expected_fields": [
            {"api_name": "name", "json_path": "$.assign_to.name"},
            {"api_name": "id", "json_path": "$.assign_to.id"},
        ]
    },
)
BAD_ID = error(400, "INVALID_DATA", "the id given seems to be invalid", {"api_name": "ids", "json_path": "$.ids[2]"})
BAD_IDS = error(
    400,
    "INVALID_DATA",
    "the id given seems to be invalid",
    [{"api_name": "ids", "json_path": "$.ids[0]"}, {"api_name": "ids", "json_path": "$.ids[3]"}],
)
BAD_IDS_UNNAMED = error(
    400, "INVALID_DATA", "the id given seems to be invalid", {"api_name": "ids", "json_path": "$.ids"}
)
BAD_DATA = error(400, "INVALID_DATA", "invalid data")
BAD_STAGE = error(400, "INVALID_DATA", "invalid data", {"api_name": "Stage", "json_path": "$.Deals.Stage"})
BAD_PORTAL = error(400, "INVALID_DATA", "invalid data", {"api_name": "id", "json_path": "$.portal_user_type.id"})
BAD_TYPE = error(
    400,
    "INVALID_DATA",
    "invalid data",
    {"expected_data_type": "jsonobject", "api_name": "Deals", "json_path": "$.Deals"},
)
TOO_MANY_IDS = error(
    400, "RECORD_LIMIT_EXCEEDED", "maximum of 50 records can be converted", {"api_name": "ids", "json_path": "$.ids"}
)
#: The code since version 7.
TOO_MANY_IDS_V7 = error(
    400,
    "LIMIT_EXCEEDED",
    "limit exceeded",
    {"limit": 50, "limit_due_to": [{"api_name": "ids", "json_path": "$.ids"}]},
)
# Of single records: the announcement of these codes, and the examples of version 8.
LOCKED = error(
    400, "RECORD_LOCKED", "record is locked", {"id": "3652397000009851001", "action": "zia_vision_processing"}
)
LOCKED_ELSEWHERE = error(400, "RECORD_LOCKED", "record is locked", {"id": "3652397000000281001"})
NOT_APPROVED = error(400, "NOT_APPROVED", "record not approved", {"resource_path_index": 1})
AMBIGUOUS = error(
    400,
    "AMBIGUITY_DURING_PROCESSING",
    "ambiguity while processing the request",
    {"api_name": "related_modules", "json_path": "$.related_modules[0].id"},
)
WRONG_METHOD = error(400, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")
NO_PERMISSION = error(
    403, "NO_PERMISSION", "permission denied to convert leads", {"permissions": ["Crm_Implied_Convert_Leads"]}
)
INTERNAL_ERROR = error(500, "INTERNAL_ERROR", "Internal Server Error")

# The status-code page, seen on this API too.
WRONG_METHOD_405 = error(405, "INVALID_REQUEST_METHOD", "The http request method type is not a valid one")
WRONG_URL = error(404, "INVALID_URL_PATTERN", "Please check if the URL trying to access is a correct one")
TOO_LARGE = error(413, "REQUEST_BODY_TOO_LARGE", "the request body is too large")
BAD_GATEWAY = Said(502, b"<html><title>502 Bad Gateway</title></html>")
UNAVAILABLE = Said(503)

# Tokens and scopes.
INVALID_TOKEN = error(401, "INVALID_TOKEN", "invalid oauth token")
AUTHENTICATION_FAILURE = error(401, "AUTHENTICATION_FAILURE", "Authentication failed")
INVALID_OAUTHTOKEN = error(401, "INVALID_OAUTHTOKEN", "invalid oauth token")
SCOPE_401 = error(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")
SCOPE_403 = error(403, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")

# Limits.
THROTTLED = error(429, "TOO_MANY_REQUESTS", "You have exceeded the number of simultaneous calls")
THROTTLED_BY_GATEWAY = Said(429, b"slow down", {"Retry-After": "40"})

# --- the status call ------------------------------------------------------------------------------------------

UNKNOWN_JOB = error(400, "INVALID_DATA", "the job id given seems to be invalid", {"param_name": "job_id"})
NO_JOB_PARAM = error(400, "REQUIRED_PARAM_MISSING", "One of the expected parameter is missing", {"param": "job_id"})


def job(word: str, total: int, converted: int, waiting: int = 0, failed: int = 0) -> Said:
    """A job's counts, under the names of the page."""
    counts = {
        "Status": word,
        "Total_Count": total,
        "Converted_Count": converted,
        "Not_Converted_Count": waiting,
        "Failed_Count": failed,
    }
    return Said(200, {"data": [counts]})


# --- Get Records ----------------------------------------------------------------------------------------------

NO_RECORDS = Said(204)
IDS_TOO_LONG = error(400, "INVALID_DATA", "the ids given are too long", {"param_name": "ids", "maximum_length": 1024})
IDS_WRONG = error(400, "INVALID_DATA", "the ids given seem to be invalid", {"param_name": "ids"})


def records(*leads: Mapping[str, Any]) -> Said:
    """The leads that Zoho returns."""
    return Said(200, {"data": list(leads), "info": {"more_records": False}})


def unconverted(lead: str) -> dict[str, Any]:
    """A lead as it came."""
    return {"id": lead, "Converted__s": False, "Converted_Date_Time": None, "$converted": False}


def converted(lead: str, at: str = "2027-01-15T08:00:00+00:00") -> dict[str, Any]:
    """A lead that was converted, into contact 11, account 22 and deal 33."""
    return {
        "id": lead,
        "Converted__s": True,
        "Converted_Date_Time": at,
        "Converted_Contact": {"id": "11", "name": "Ann"},
        "Converted_Account": {"id": "22", "name": "Acme"},
        "Converted_Deal": {"id": "33", "name": "Renewal"},
        "$converted": True,
    }


#: Every error that the pages name, by its code and status.
ERRORS: tuple[Said, ...] = (
    *(
        NO_DEAL_NAME,
        NO_ASSIGNEE,
        BAD_ID,
        BAD_STAGE,
        TOO_MANY_IDS,
        TOO_MANY_IDS_V7,
        LOCKED,
        NOT_APPROVED,
        AMBIGUOUS,
        WRONG_METHOD,
        NO_PERMISSION,
    ),
    *(INTERNAL_ERROR, WRONG_METHOD_405, WRONG_URL, TOO_LARGE, BAD_GATEWAY, UNAVAILABLE),
    *(INVALID_TOKEN, AUTHENTICATION_FAILURE, INVALID_OAUTHTOKEN, SCOPE_401, SCOPE_403, THROTTLED),
    *(UNKNOWN_JOB, NO_JOB_PARAM),
)
