"""The keys beside the truth about leads: what is counted, and the access token. The others are in store/keys.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class KeysBeside:
    """Some keys of one account (a named set of credentials)."""

    account: str

    @property
    def prefix(self) -> str:
        """What all of them begin with."""
        return f"mc:{{{self.account}}}:"

    # --- what is counted (ledger/counts.py); written by lua/_counts.lua alone

    @property
    def counts(self) -> str:
        """HASH: name → number since the ledger began; ``quarter``: the quarter of an hour of the last one.

        ``ended_at``: when a lead ended last.
        """
        return f"{self.prefix}counts"

    @property
    def counts_before(self) -> str:
        """HASH: the numbers as they were when that quarter began, those that have grown before."""
        return f"{self.prefix}counts:before"

    @property
    def counts_letters(self) -> str:
        """HASH: name → the letters that stand for it in a day's text."""
        return f"{self.prefix}counts:letters"

    def day(self, number: int) -> str:
        """STRING: what came in each quarter of an hour of a day (Unix seconds / 86,400); expires after 400 days."""
        return f"{self.prefix}days:{number}"

    # --- the access token (zoho/oauth.py); a set of keys for each set of credentials, named by their digest, so that
    # --- workers with new credentials never use, or spoil, the token of the old ones

    def token(self, credentials: str) -> str:
        """HASH: value, api_domain, refresh_at, expires_at; the one access token of the fleet; expires with it."""
        return f"{self.prefix}token:{credentials}"

    def token_lock(self, credentials: str) -> str:
        """STRING: who refreshes the token now; expires by itself."""
        return f"{self.token(credentials)}:lock"

    def token_trouble(self, credentials: str) -> str:
        """STRING: why there is no token, as JSON: why, code, detail; expires when the next refresh may be tried."""
        return f"{self.token(credentials)}:trouble"

    def token_wake(self, credentials: str) -> str:
        """LIST of one element: a refresh has ended; a waiter takes the element and puts it back; expires."""
        return f"{self.token(credentials)}:wake"

    def token_grants(self, credentials: str) -> str:
        """LIST of when tokens were granted, newest first, as many as may be asked for in 10 minutes; expires."""
        return f"{self.token(credentials)}:grants"
