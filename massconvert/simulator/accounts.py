"""Zoho's accounts server: tokens for a grant code or a refresh token, judged by the body and not by the status."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

from massconvert.simulator.messages import RefusedError, Response
from massconvert.simulator.rules import Rules

TEN_MINUTES = 600.0
_ACCESS_DENIED = {
    "error": "Access Denied",
    "error_description": "You have made too many requests continuously. Please try again after some time.",
    "status": "failure",
}


@dataclass(frozen=True)
class Credentials:
    """What a client must send. All of them are invented. Without a ``grant_code`` any will do, once."""

    client_id: str = "1000.SIMULATOR"
    client_secret: str = "not-a-secret"
    refresh_token: str = "1000.not-a-token"
    grant_code: str = ""


@dataclass
class Accounts:
    """Gives tokens and checks them. Without ``credentials`` any will do, as long as they are not empty."""

    rules: Rules
    random: Random
    credentials: Credentials | None = None
    _tokens: dict[str, tuple[float, str]] = field(default_factory=dict)  # token -> its end, its refresh token
    _given: dict[str, deque[float]] = field(default_factory=dict)  # refresh token -> when tokens were given for it
    _gone: set[str] = field(default_factory=set)  # grant codes that were used, refresh tokens that were revoked

    def grant(self, form: Mapping[str, str], api_domain: str, now: float) -> Response:
        """``POST /oauth/v2/token``."""
        kind = form.get("grant_type")
        if kind not in ("refresh_token", "authorization_code"):
            return Response(200, {"error": "unsupported_grant_type"})
        if error := self._wrong(form, exchanged=kind == "authorization_code"):
            return Response(200, {"error": error})
        if kind == "authorization_code":
            return self._exchange(form["code"], api_domain, now)
        refresh_token = form["refresh_token"]
        given = self._given.setdefault(refresh_token, deque())
        while given and given[0] <= now - TEN_MINUTES:
            given.popleft()
        most = self.rules.tokens_in_ten_minutes
        if most is not None and len(given) >= most:
            return Response(self.rules.too_many_tokens_status, dict(_ACCESS_DENIED))
        given.append(now)
        return Response(200, self._new(refresh_token, api_domain, now))

    def _exchange(self, code: str, api_domain: str, now: float) -> Response:
        """A grant code is good once."""
        self._gone.add(code)
        refresh_token = self.credentials.refresh_token if self.credentials else self._made()
        self._gone.discard(refresh_token)
        return Response(200, {**self._new(refresh_token, api_domain, now), "refresh_token": refresh_token})

    def revoke(self, form: Mapping[str, str]) -> Response:
        """``POST /oauth/v2/token/revoke``: a refresh token, and the access tokens that were given for it."""
        token = form.get("token", "")
        wanted = self.credentials
        if not token or token in self._gone or (wanted is not None and token != wanted.refresh_token):
            return Response(400, {"error": "invalid_token"})
        self._gone.add(token)
        self._tokens = {name: kept for name, kept in self._tokens.items() if kept[1] != token}
        return Response(200, {"status": "success"})

    def _wrong(self, form: Mapping[str, str], *, exchanged: bool) -> str:
        wanted, code = self.credentials or Credentials("", "", ""), "grant_code" if exchanged else "refresh_token"
        for name, expected, error in (
            ("client_id", wanted.client_id, "invalid_client"),
            ("client_secret", wanted.client_secret, "invalid_client_secret"),
            ("code" if exchanged else "refresh_token", getattr(wanted, code), "invalid_code"),
        ):
            value = form.get(name, "")
            if not value or value in self._gone or (expected and value != expected):
                return error
        return ""

    def _made(self) -> str:
        return f"1000.simulated{self.random.getrandbits(128):032x}"

    def _new(self, refresh_token: str, api_domain: str, now: float) -> dict[str, Any]:
        token = self._made()
        self._tokens = {name: kept for name, kept in self._tokens.items() if kept[0] > now}
        live = [name for name, (_, of) in self._tokens.items() if of == refresh_token]
        for oldest in live[: max(0, len(live) + 1 - self.rules.live_tokens)]:
            del self._tokens[oldest]
        self._tokens[token] = (now + self.rules.token_seconds, refresh_token)
        return {
            "access_token": token,
            "scope": " ".join(sorted(self.rules.scopes)),
            "api_domain": api_domain,
            "token_type": "Bearer",
            "expires_in": self.rules.token_seconds,
        }

    def expire(self) -> None:
        """End all tokens."""
        self._tokens.clear()

    def check(self, authorization: str, scope: str, now: float) -> None:
        """Whether a call with this header may do what needs ``scope``. Raises RefusedError if not."""
        if not authorization:
            raise RefusedError(401, "AUTHENTICATION_FAILURE", "Authentication failed")
        scheme, _, token = authorization.partition(" ")
        if scheme != "Zoho-oauthtoken" or self._tokens.get(token, (0.0, ""))[0] <= now:
            raise RefusedError(401, "INVALID_TOKEN", "invalid oauth token")
        if not any(_covers(granted, scope) for granted in self.rules.scopes):
            raise RefusedError(401, "OAUTH_SCOPE_MISMATCH", "invalid oauth scope to access this URL")


def _covers(granted: str, scope: str) -> bool:
    """``ZohoCRM.modules.ALL`` and ``.READ`` cover ``ZohoCRM.modules.leads.READ``; letter case does not matter."""
    granted, scope = granted.lower(), scope.lower()
    if granted in (scope, re.sub(r"(\.modules)\.\w+(?=\.)", r"\1", scope)):
        return True
    return granted.endswith(".all") and scope.startswith(granted.removesuffix("all"))
