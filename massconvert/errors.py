"""Everything that this library raises on purpose, under one base.

Each error says what is wrong, which lead or setting, and what to do about it; it carries Zoho's code, the
JSON path and the job where there is one. A command prints ``str(error)``; a traceback is a bug.
"""

from __future__ import annotations


class MassConvertError(Exception):
    """The base of all errors of massconvert.

    ``hint`` says what to do; ``code``, ``path``, ``job_id`` and ``lead_id`` are Zoho's, Redis' or ours where known.
    A command adds the ``file`` that it read or wrote, and the ``batch`` that is there all the same.
    """

    file = ""
    batch = ""

    def __init__(
        self,
        message: str,
        *,
        hint: str = "",
        code: str = "",
        path: str = "",
        job_id: str = "",
        lead_id: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code
        self.path = path
        self.job_id = job_id
        self.lead_id = lead_id

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class SettingsError(MassConvertError):
    """A setting is missing or wrong."""


class OptionsError(MassConvertError):
    """The options of a conversion are wrong; ``path`` names the place, e.g. ``$.Deals.Stage``.

    ``problems`` are all of them, each with its path and its reason.
    """

    problems: tuple[tuple[str, str], ...] = ()


class InputError(MassConvertError):
    """A file or a list of lead ids cannot be used."""


class NotConfiguredError(InputError):
    """massconvert.toml has no account or profile of that name, or has it otherwise; it may, once it is edited."""


class KeyConflictError(MassConvertError):
    """The key of this batch was used before with other options."""


class UnknownBatchError(MassConvertError):
    """The ledger knows no batch of that id."""


class StoreError(MassConvertError):
    """Redis cannot be reached, did not answer in time, or refuses for now; to try again is right, however often.

    ``code`` names what it is: a row of the table in `massconvert.store.refusals`.
    """


class LedgerError(MassConvertError):
    """A value in the ledger is not what this version writes; its key is named."""


class LedgerMismatchError(SettingsError):
    """The ledger belongs to another organisation, or has the format of another version."""


class BrokerError(MassConvertError):
    """The message broker cannot be reached."""


class ZohoError(MassConvertError):
    """Zoho refused what only a person can fix: credentials, scopes, permission."""


class WaitTimeoutError(MassConvertError):
    """``wait`` ran out while the batch goes on."""


class EmbeddedError(MassConvertError):
    """The embedded Redis or workers could not be started."""
