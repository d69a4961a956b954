"""Where one organisation's embedded ledger lives: in a directory of its own, which no other one's credentials meet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from massconvert.embedded.stack import Stack
from massconvert.errors import EmbeddedError
from massconvert.ledger import Ledger
from massconvert.settings import Settings
from massconvert.store import connect
from massconvert.wiring import tuning
from massconvert.zoho.identity import papers_of

#: In a directory of a client whose organisation has another one: the name of that.
_SAME_AS = "same-as"
#: Whose ledger it is, readable while its Redis does not run.
_OWNER = "owner.json"
#: How many unfinished batches of an old ledger are named.
_NAMED = 5


@dataclass(frozen=True)
class KeptLedger:
    """A ledger on this machine: its directory, whose it is in words, and the accounts that have used it."""

    folder: Path
    whose: str
    accounts: frozenset[str]

    @classmethod
    def read(cls, folder: Path) -> KeptLedger:
        """What a directory says of itself; of one that says nothing no accounts are known."""
        try:
            raw = json.loads((folder / _OWNER).read_text(encoding="utf-8"))
            whose = f"{raw['name'] or 'an organisation'} ({raw['place']})"
            return cls(folder, whose, frozenset(map(str, raw.get("accounts", ()))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return cls(folder, "not known whose", frozenset())


def ledgers_in(folder: Path, settings: Settings) -> list[Ledger]:
    """The ledger of each account that has used a directory; ``settings`` lead to its Redis."""
    client = connect(settings.redis_url)
    accounts = KeptLedger.read(folder).accounts | {settings.account}
    return [Ledger(client, account, tuning(settings)) for account in sorted(accounts)]


def how_to_choose(ledgers: Iterable[KeptLedger]) -> str:
    """Which there are, and what a command needs to find one of them."""
    lines = [f"  {kept.whose}: MASSCONVERT_STATE_DIR={quote(str(kept.folder))}" for kept in ledgers]
    return "\n".join(["Set ZOHO_CLIENT_ID as convert had it, as in its .env, or one of these:", *lines])


class Home:
    """The directory for the organisation of ``settings``, below their state directory.

    It is named after the client and where it calls, since that is known without a call. Where another directory has
    the same owner (another client of the organisation made it), that one is used.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._base = settings.state_dir / "organisations"
        self._own = self._base / papers_of(settings).client

    @property
    def folder(self) -> Path:
        """Where its Redis' data and the logs are. MASSCONVERT_STATE_DIR may name such a directory itself."""
        if self.named:
            return self._settings.state_dir
        with suppress(OSError):
            return self._base / (self._own / _SAME_AS).read_text(encoding="utf-8").strip()
        return self._own

    @property
    def named(self) -> bool:
        """Whether MASSCONVERT_STATE_DIR is the directory of one organisation."""
        return (self._settings.state_dir / _OWNER).exists()

    def find(self) -> Path | None:
        """The directory of the ledger that is there for these settings; ``None`` where there is none.

        Without a client's id it is the only one with the account, if it is. Raises EmbeddedError where there are
        several, or one of an earlier version that `take_over` refuses; SettingsError.
        """
        if self.named:
            return self.folder
        if self._settings.zoho_client_id:
            self.take_over()
            return self.folder if (self.folder / "redis").is_dir() else None
        fits = [kept for kept in self.kept() if not kept.accounts or self._settings.account in kept.accounts]
        if len(fits) > 1:
            raise EmbeddedError(
                "This machine has ledgers of several organisations, and no ZOHO_CLIENT_ID says which is meant.",
                hint=how_to_choose(fits),
            )
        return fits[0].folder if fits else None

    def kept(self) -> list[KeptLedger]:
        """The ledgers of all organisations in the state directory."""
        return [KeptLedger.read(path.parent) for path in sorted(self._base.glob("*/redis"))]

    def moved(self, ledger: Ledger) -> bool:
        """Write down whose the ledger in `folder` is; whether another directory has the same owner and is used.

        Raises StoreError.
        """
        owner = ledger.title.owner()
        if owner is None:
            return False
        if self.folder == self._own and not ledger.batches.recent(1):
            for other, digest in self._others():
                if digest == owner.digest:
                    (self._own / _SAME_AS).write_text(other.name, encoding="utf-8")
                    return True
        accounts = KeptLedger.read(self.folder).accounts | {self._settings.account}
        text = json.dumps(
            {"owner": owner.digest, "name": owner.name, "place": owner.place, "accounts": sorted(accounts)}
        )
        (self.folder / _OWNER).write_text(text, encoding="utf-8")
        return False

    def _others(self) -> Iterator[tuple[Path, str]]:
        for path in sorted(self._base.glob(f"*/{_OWNER}")):
            if path.parent != self._own:
                with suppress(OSError, ValueError, KeyError, TypeError):
                    yield path.parent, str(json.loads(path.read_text(encoding="utf-8"))["owner"])

    def take_over(self) -> None:
        """Use the one ledger that all organisations had before each had its own, where nothing in it is open.

        Raises EmbeddedError, with what to do, where something is: it does not say whose it is.
        """
        old, new = self._settings.state_dir / "redis", self.folder / "redis"
        if not old.is_dir() or new.exists():
            return
        new.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if unfinished := self._open_batches():
            names = ", ".join(unfinished[:_NAMED])
            more = f" and {len(unfinished) - _NAMED} more" if len(unfinished) > _NAMED else ""
            raise EmbeddedError(
                f"The ledger in {old} has unfinished batches ({names}{more}), and does not say whose they are: it was "
                "made before each organisation had a directory of its own.",
                hint=f"If they are of this organisation: mv {quote(str(old))} {quote(str(new))}\n"
                f"If not, keep it apart: mv {quote(str(old))} {quote(f'{old}.old')}",
            )
        old.rename(new)

    def _open_batches(self) -> list[str]:
        with Stack(self._settings.state_dir, environ={"REDIS_URL": ""}, workers=0, beat=False) as stack:
            stack.wait_ready()
            client = connect(stack.redis_url)
            ledger = Ledger(client, self._settings.account, tuning(self._settings))
            found = [status.batch for status in ledger.batches.recent(10_000) if not status.finished]
            client.close()
        return found
