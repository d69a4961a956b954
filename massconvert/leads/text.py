"""Bytes to text: encodings, line ends, and files that are not text."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from massconvert.errors import InputError

_BLOCK = 1 << 17  # bytes (or characters) that are read at once
_LONGEST_LINE = 64 << 20  # characters; a million ids in one line are 20 MiB

_SAVE = "Save it as CSV UTF-8, or as a plain list of ids."
_NOT_TEXT = {
    b"PK\x03\x04": "an Excel workbook or a zip archive",
    b"\xd0\xcf\x11\xe0": "an old Excel workbook",
    b"\x1f\x8b": "compressed",
    b"%PDF": "a PDF",
}


@dataclass
class TextForm:
    """How a text is written: whether a mark stands at its start (or its encoding needs one), and how its lines end."""

    mark: bool = False
    line_end: str = "\n"


def texts_of(stream: IO[bytes] | IO[str], name: str, form: TextForm | None = None) -> Iterator[str]:
    """The stream's text block by block, every line end as ``\\n``; what that hides is noted in ``form``.

    UTF-8 and UTF-16, with or without a mark at the start. Raises InputError, with the line where there is one, when the
    stream cannot be read or is not text.
    """
    source: Any = getattr(stream, "buffer", stream)
    block = _read(source, name)
    while block and len(block) < 4:  # a pipe may give a byte at first
        more = _read(source, name)
        if not more:
            break
        block += more
    encoding = _encoding(block, name) if isinstance(block, bytes) else ""
    inner = codecs.getincrementaldecoder(encoding)() if encoding else None
    decoder: Any = io.IncrementalNewlineDecoder(inner, translate=True)
    form = form or TextForm()
    form.mark = isinstance(block, bytes) and (block.startswith(codecs.BOM_UTF8) or encoding != "utf-8-sig")
    lines = 1
    while True:
        try:
            text = decoder.decode(block, final=not block)
        except UnicodeDecodeError as error:
            good = error.object[: error.start].decode(error.encoding, errors="replace")
            line = lines + good.replace("\r\n", "\n").replace("\r", "\n").count("\n")
            raise InputError(
                f"{name} is not {encoding.removesuffix('-sig').upper()} text: line {line} cannot be read.", hint=_SAVE
            ) from None
        lines += text.count("\n")
        form.line_end = "\r\n" if "\r\n" in (decoder.newlines or ()) else "\n"
        if text:
            yield text
        if not block:
            return
        block = _read(source, name)


def lines_of(texts: Iterable[str], name: str) -> Iterator[str]:
    """The lines of a text without their ends. Raises InputError when one is far too long."""
    parts: list[str] = []
    length = 0
    for text in texts:
        first, *whole = text.split("\n")
        parts.append(first)
        length += len(first)
        if length > _LONGEST_LINE:
            raise InputError(
                f"{name} has a line of more than {_LONGEST_LINE >> 20} MiB.", hint="Write one lead id a line."
            )
        if whole:
            yield "".join(parts)
            last = whole.pop()
            yield from whole
            parts, length = [last], len(last)
    if rest := "".join(parts):
        yield rest


def _read(source: Any, name: str) -> Any:
    try:
        return source.read(_BLOCK)
    except OSError as error:
        raise InputError(f"{name} cannot be read: {error.strerror or error}.") from error


def _encoding(start: bytes, name: str) -> str:
    """The encoding, by a mark at the start or the zero bytes that UTF-16 has."""
    for magic, what in _NOT_TEXT.items():
        if start.startswith(magic):
            raise InputError(f"{name} is {what}, not text.", hint=_SAVE)
    if start.startswith((b"\xff\xfe\0\0", b"\0\0\xfe\xff")):
        return "utf-32"
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    if b"\0" in start[:2] and start[:2] != b"\0\0":
        return "utf-16-be" if start[0] == 0 else "utf-16-le"
    if b"\0" in start:
        raise InputError(f"{name} is not text: it has zero bytes.", hint=_SAVE)
    return "utf-8-sig"
