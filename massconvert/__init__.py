"""Convert Zoho CRM leads in bulk, with one true outcome for every lead.

The public names, each loaded at its first use: `from massconvert import MassConvert, Options, Deal`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from massconvert.errors import BrokerError as BrokerError
    from massconvert.errors import InputError as InputError
    from massconvert.errors import KeyConflictError as KeyConflictError
    from massconvert.errors import MassConvertError as MassConvertError
    from massconvert.errors import OptionsError as OptionsError
    from massconvert.errors import SettingsError as SettingsError
    from massconvert.errors import StoreError as StoreError
    from massconvert.errors import UnknownBatchError as UnknownBatchError
    from massconvert.errors import WaitTimeoutError as WaitTimeoutError
    from massconvert.errors import ZohoError as ZohoError
    from massconvert.model import BatchStatus as BatchStatus
    from massconvert.model import Kind as Kind
    from massconvert.model import LeadRow as LeadRow
    from massconvert.model import Outcome as Outcome
    from massconvert.options import Deal as Deal
    from massconvert.options import Options as Options
    from massconvert.producer.batch import Batch as Batch
    from massconvert.producer.mass_convert import MassConvert as MassConvert

_ROOMS = {
    "errors": (
        "BrokerError",
        "InputError",
        "KeyConflictError",
        "MassConvertError",
        "OptionsError",
        "SettingsError",
        "StoreError",
        "UnknownBatchError",
        "WaitTimeoutError",
        "ZohoError",
    ),
    "model": ("BatchStatus", "Kind", "LeadRow", "Outcome"),
    "options": ("Deal", "Options"),
    "producer.batch": ("Batch",),
    "producer.mass_convert": ("MassConvert",),
}
_HOME = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_HOME)  # noqa: PLE0605 - a list of strings, made from the one table


if not TYPE_CHECKING:  # a type checker knows the names from above, and must find a wrong one

    def __getattr__(name: str) -> object:
        if name not in _HOME:
            raise AttributeError(f"module 'massconvert' has no attribute {name!r}")
        return getattr(import_module(f"massconvert.{_HOME[name]}"), name)
