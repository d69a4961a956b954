"""The JSON Schema of ``massconvert.toml``, for editors: ``python -m massconvert.profiles.schema`` writes it again."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from massconvert.profiles.model import Config

FILE = "massconvert.schema.json"


def make_schema() -> dict[str, Any]:
    """The schema as the model has it."""
    made = Config.model_json_schema(mode="validation")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **made,
        "title": "massconvert.toml",
    }


def shipped() -> str:
    """The text of the schema in the package."""
    return (files("massconvert.profiles") / FILE).read_text(encoding="utf-8")


def dump() -> str:
    """The schema as it is shipped."""
    return json.dumps(make_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name(FILE).write_text(dump(), encoding="utf-8")
