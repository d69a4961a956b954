"""What the value of a setting may be, where its type alone does not say it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr

_QUOTES = "\"'`\u201c\u201d\u201e\u2018\u2019"


def _zoho_url(url: str) -> str:
    """The shape only; which hosts may be sent credentials is decided where they are sent."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        usable = bool(parts.hostname) and parts.scheme in ("https", "http") and "@" not in url and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(char.isspace() for char in url):
        raise ValueError("must be a URL like https://accounts.zoho.eu, without user or password")
    return url


def _unquoted(value: Any) -> Any:
    """Refuse what still has the quotes that a shell would have taken away: nothing of Zoho's has any."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    text = text.strip() if isinstance(text, str) else ""
    if len(text) > 1 and text[0] in _QUOTES and text[-1] in _QUOTES:
        raise ValueError("is in quotes: write it without (docker --env-file keeps them, where a shell takes them away)")
    return value


def _long_secret(secret: SecretStr) -> SecretStr:
    if 0 < len(secret.get_secret_value()) < 16:
        raise ValueError("must have at least 16 characters; make one with: openssl rand -hex 32")
    return secret


def _folder(path: Path) -> Path:
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError("must be an absolute path: no such home directory is known") from None


def fold(case: str) -> BeforeValidator:
    """Accept a word in any letter case."""
    return BeforeValidator(lambda value: getattr(value.strip(), case)() if isinstance(value, str) else value)


ZohoUrl = Annotated[str, AfterValidator(_zoho_url), BeforeValidator(_unquoted)]
ZohoText = Annotated[str, BeforeValidator(_unquoted)]
ZohoSecret = Annotated[SecretStr, BeforeValidator(_unquoted)]
DataCenter = Annotated[
    Literal["us", "eu", "in", "au", "cn", "jp", "ca", "sa", "uk", "ae"], fold("lower"), BeforeValidator(_unquoted)
]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], fold("upper")]
LongSecret = Annotated[SecretStr, AfterValidator(_long_secret)]
Folder = Annotated[Path, AfterValidator(_folder)]
