"""What the value of a setting may be, where its type alone does not say it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, SecretStr


def _zoho_url(url: str) -> str:
    """The shape only; which hosts may be sent credentials is decided where they are sent."""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        host = parts.hostname or ""
        # https:/host and https//host leave a host that is called https; one of two letters is a data centre's name.
        named = bool(re.fullmatch(r"[\w.:-]{3,}", host)) and host not in ("http", "https")
        usable = named and parts.scheme in ("https", "http") and "@" not in url and parts.port != 0
    except ValueError:
        usable = False
    if not usable or any(char.isspace() for char in url):
        raise ValueError("must be a URL like https://accounts.zoho.eu or https://www.zohoapis.eu, without a user")
    return url


def credential(value: Any) -> Any:
    """Refuse what stands in no credential of Zoho's, as a comment behind it that ``docker --env-file`` has kept."""
    if not re.fullmatch("[A-Za-z0-9._~+/=-]*", text_of(value).strip()):
        raise ValueError("has a character in it that no credential of Zoho's has, like a blank, a quote or a bracket")
    return value


def text_of(value: Any) -> str:
    """The text of a value, secret or not; blank where it has none."""
    text = value.get_secret_value() if isinstance(value, SecretStr) else value
    return text if isinstance(text, str) else ""


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


ZohoUrl = Annotated[str, AfterValidator(_zoho_url)]
ZohoText = Annotated[str, BeforeValidator(credential)]
ZohoSecret = Annotated[SecretStr, BeforeValidator(credential)]
DataCenter = Annotated[Literal["us", "eu", "in", "au", "cn", "jp", "ca", "sa", "uk", "ae"], fold("lower")]
LogFormat = Annotated[Literal["line", "json"], fold("lower")]
LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR"], fold("upper")]
LongSecret = Annotated[SecretStr, AfterValidator(_long_secret)]
Folder = Annotated[Path, AfterValidator(_folder)]
