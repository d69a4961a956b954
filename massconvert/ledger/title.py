"""Whose ledger this is, and in which format: written at first use, and compared by every later process.

One account of a ledger belongs to one organisation. Another one's credentials would convert the ids there, or find
none of them; a conversion cannot be undone (docs/decisions/0040-a-ledger-has-an-owner.md).
"""

from __future__ import annotations

from massconvert.errors import LedgerMismatchError
from massconvert.ledger.book import Book
from massconvert.model import Owner, OwnerKind
from massconvert.store import reaching
from massconvert.words.next_command import next_command

#: The format of the ledger that this version reads and writes. A change of what stands in a key so that older code
#: would misread it, raises it and says in docs/upgrading.md what to do.
FORMAT = 1
#: Batches whose keys tell that a ledger without a number is older than the first one.
_LOOKED_AT = 3

#: What a person of another organisation does.
_ELSEWHERE = "Use another account (docs/accounts.md), another REDIS_URL, or another MASSCONVERT_STATE_DIR."
_KINDS = {kind.value: kind for kind in OwnerKind}


class Title(Book):
    """The part of one account's ledger that says what it is. Raises StoreError when Redis cannot be reached."""

    _known: frozenset[str] = frozenset()  # digests of credentials that were not another's

    def demand_format(self) -> None:
        """Write the format into a new ledger. Raises LedgerMismatchError where another version's stands there."""
        with reaching(self._redis):
            found = self._redis.hget(self._keys.title, "format")
            if found is None and not self._is_older():
                self._redis.hsetnx(self._keys.title, "format", FORMAT)
                found = self._redis.hget(self._keys.title, "format")
        self._refuse(found)

    def demand_readable(self) -> None:
        """Raises LedgerMismatchError where another version's format stands in the ledger; writes nothing."""
        with reaching(self._redis):
            found = self._redis.hget(self._keys.title, "format")
        if found is not None:
            self._refuse(found)

    def _refuse(self, found: str | None) -> None:
        if found == str(FORMAT):
            return
        what = f"format {found}" if found else "an older format, without a number"
        newer = found is not None and found.isdecimal() and int(found) > FORMAT
        raise LedgerMismatchError(
            f"The ledger of account {self._keys.account} has {what}; this massconvert reads format {FORMAT}.",
            hint="Use the newer version that wrote it."
            if newer
            else "Let the version that wrote it finish what is open, or use another REDIS_URL: see docs/upgrading.md.",
        )

    def _is_older(self) -> bool:
        """Whether batches stand here as they did before formats were numbered and chunks of a batch were a set."""
        newest = self._redis.zrange(self._keys.batches, 0, _LOOKED_AT - 1, desc=True)
        return any(self._redis.type(self._keys.batch_chunks(batch)) not in ("set", "none") for batch in newest)

    def owner(self) -> Owner | None:
        """Whose ledger it is; ``None`` while nobody has said."""
        with reaching(self._redis):
            digest, kind, name, place, zone = self._redis.hmget(
                self._keys.title, "owner", "kind", "name", "place", "zone"
            )
        kind = _KINDS.get(kind, OwnerKind.CLIENT)
        return Owner(digest, kind, name or "", place or "", zone=zone or "") if digest else None

    def knows(self, credentials: str) -> bool:
        """Whether the owner has been seen to have credentials of this digest."""
        with reaching(self._redis):
            return bool(self._redis.hexists(self._keys.title, f"known:{credentials}"))

    def demand_known(self, credentials: str) -> None:
        """Check the format, and that ``credentials`` (a digest, or blank) are not another organisation's.

        A producer calls nobody, so credentials with which no worker or command has come yet are refused where the
        ledger has an owner. Raises LedgerMismatchError.
        """
        if credentials in self._known:
            return
        self.demand_format()
        owner = self.owner() if credentials and not self.knows(credentials) else None
        if owner:
            raise foreign(
                owner,
                self._keys.account,
                "The credentials in this environment have not been seen with it.",
                f"{_ELSEWHERE} A producer needs no credentials. If these are of that organisation, make them known: "
                f"{next_command('doctor', account=self._keys.account)}",
            )
        self._known |= {credentials}

    def claim(self, owner: Owner, credentials: str) -> None:
        """Say whose ledger it is, by whom it may be used. Raises LedgerMismatchError where it is another one's."""
        args = [owner.digest, owner.kind.value, owner.name, owner.place, credentials, owner.client, owner.zone]
        if not int(self._scripts.run("claim_title", keys=[self._keys.title], args=args)):
            raise foreign(self.owner(), self._keys.account, f"These credentials are of {owner}.")


def foreign(owner: Owner | None, account: str, words: str, hint: str = _ELSEWHERE) -> LedgerMismatchError:
    """The error for a process that opens another organisation's ledger."""
    return LedgerMismatchError(
        f"The ledger of account {account} belongs to {owner or 'another organisation'}. {words} Nothing was sent.",
        hint=hint,
    )
