"""A checked list of lead ids, kept outside of memory when it is long.

What is read is checked as a whole and spooled before anything is enqueued. So stdin, which can be read only once, does
as well as a file, and a file that changes meanwhile does no harm.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import SpooledTemporaryFile, gettempdir
from types import TracebackType
from typing import IO, TYPE_CHECKING, TypeAlias

from massconvert.errors import InputError
from massconvert.leads.brought import Brought
from massconvert.leads.ids import shown
from massconvert.leads.lines import LeadLine, lead_line
from massconvert.leads.reading import read_lead_ids
from massconvert.words.plurals import number_of

if TYPE_CHECKING:
    from typing_extensions import Self

#: How many wrong values are named.
NAMED = 20
_IN_MEMORY = 4 << 20  # bytes: some 200,000 ids
_AT_ONCE = 8192  # ids
_BLOCK = 1 << 17

ReadDeal: TypeAlias = Callable[[LeadLine], str]


class Leads(Collection[str]):
    """The lead ids of a file or a list, in their order, duplicates and all; iterate as often as you like.

    ``len()`` counts the ids; ``invalid`` counts the values that are not ids, and ``problems`` are the first of those;
    ``restored`` counts the ids that a spreadsheet had rounded and that a column of ours had kept. ``deal_values`` has
    what the file says of single leads, as JSON (`dump_brought`); of a lead the first row counts. Close it, or use it as
    a context manager: temporary files may stand behind it.
    """

    #: Tells the producer that every id has been checked.
    checked = True

    def __init__(
        self, lines: Iterable[LeadLine], name: str, *, counts: str = "line", read_deal: ReadDeal | None = None
    ) -> None:
        self.name = name
        self.deal_values = Brought()
        self._read_deal = read_deal
        self.invalid = self.restored = 0
        self.problems: tuple[LeadLine, ...] = ()
        self._counts = counts
        self._count = 0
        self._spool = SpooledTemporaryFile(max_size=_IN_MEMORY)  # noqa: SIM115 - `close` closes it
        try:
            self._fill(lines)
        except BaseException:
            self.close()
            raise

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[str]:
        place, rest = 0, b""
        while True:
            self._spool.seek(place)  # there may be other iterators
            block = self._spool.read(_BLOCK)
            if not block:
                return
            place += len(block)
            whole, _, rest = (rest + block).rpartition(b"\n")
            if whole:
                yield from whole.decode("ascii").split("\n")

    def __contains__(self, lead_id: object) -> bool:
        return any(lead_id == known for known in self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the temporary files; safe to repeat."""
        self._spool.close()
        self.deal_values.close()

    def complaint(self) -> str:
        """The first wrong values with their lines and reasons, a line each, and how many more; blank if all is well."""
        told = [f"  {self._counts} {line.line}: {shown(line.raw)} {line.problem}" for line in self.problems]
        if self.invalid > len(told):
            told.append(f"  and {self.invalid - len(told):,} more")
        return "\n".join(told)

    def refuse(self, *, skip_invalid: bool) -> None:
        """Raise InputError when there is no id at all or, without ``skip_invalid``, when a value is not one."""
        if self.invalid and not (skip_invalid and self._count):
            total = self._count + self.invalid
            values = number_of(total, "value is no lead id", "values are not lead ids")
            raise InputError(
                f"{self.name}: {self.invalid:,} of {values}; nothing was enqueued.\n" + self.complaint(),
                hint="Fix them, or add --skip-invalid to go on with the others." if self._count else "",
            )
        if not self._count:
            raise InputError(f"{self.name} has no lead ids.", hint="Write one a line, or a CSV with a column id.")

    def _fill(self, lines: Iterable[LeadLine]) -> None:
        problems: list[LeadLine] = []
        ids: list[str] = []
        for line in lines:
            if line.lead_id is not None:
                ids.append(line.lead_id)
                self.restored += line.restored
                if (line.deal or line.link) and self._read_deal and (values := self._read_deal(line)):
                    self.deal_values.add(line.lead_id, values)
                if len(ids) == _AT_ONCE:
                    self._keep(ids)
                    ids.clear()
            else:
                self.invalid += 1
                if len(problems) < NAMED:
                    problems.append(line)
        self._keep(ids)
        self.problems = tuple(problems)

    def _keep(self, ids: list[str]) -> None:
        try:
            self._spool.write("".join(f"{lead_id}\n" for lead_id in ids).encode("ascii"))
        except OSError as error:
            raise InputError(
                f"The lead ids cannot be kept in {gettempdir()}: {error.strerror or error}.",
                hint="Make room there, or set TMPDIR to another directory.",
            ) from error
        self._count += len(ids)


def open_leads(
    source: Path | str | None = None,
    ids: Sequence[object] = (),
    *,
    skip_invalid: bool = False,
    id_column: str | None = None,
    stdin: IO[bytes] | None = None,
    read_deal: ReadDeal | None = None,
) -> Leads:
    """Read and check all lead ids of a file (``-`` is ``stdin``), or of a list, and hand them out as a collection.

    A value that is not an id refuses the whole; with ``skip_invalid`` the others go on, and what was left out is in
    ``invalid``, ``problems`` and ``complaint()``. ``id_column`` is the name of the file's column or key with the ids,
    where they are called otherwise than usual. ``read_deal`` makes JSON of a row's cells that are for its deal, or name
    what the lead is to be linked to; without it they mean nothing. Raises InputError that names the wrong lines (the
    first 20, and how many), or what is wrong with the file.
    """
    if (source is None) == (not ids):
        raise InputError("Give either a file of lead ids or the ids themselves.", hint="A - reads them from stdin.")
    if source is None and id_column is not None:
        raise InputError("--id-column names a column of a file, and there is none.", hint="Leave it out.")
    if source is None:
        lines: Iterable[LeadLine] = (lead_line(number, value) for number, value in enumerate(ids, 1))
        leads = Leads(lines, "The list of lead ids", counts="value")
    elif str(source) == "-":
        leads = Leads(
            read_lead_ids(stdin or sys.stdin.buffer, "stdin", id_column=id_column), "stdin", read_deal=read_deal
        )
    else:
        leads = Leads(read_lead_ids(source, id_column=id_column), str(source), read_deal=read_deal)
    try:
        leads.refuse(skip_invalid=skip_invalid)
    except InputError:
        leads.close()
        raise
    return leads
