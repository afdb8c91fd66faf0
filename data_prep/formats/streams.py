"""Text files as streams of lines: gzip undone, UTF-8 decoded, every failure naming file and line."""

import codecs
import gzip
import os
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from lingjax.errors import InputError

_GZIP_MAGIC = b"\x1f\x8b"
# `bgzip` writes blocks, each a whole gzip member that names itself BC, and an empty one at the end: a file that was cut
# between two blocks is valid gzip. Source: https://samtools.github.io/hts-specs/SAMv1.pdf, section 4.1.
_BGZIP_START = re.compile(rb"\x1f\x8b\x08\x04.{6}\x06\x00BC\x02\x00", re.DOTALL)
_BGZIP_END = bytes.fromhex("1f8b08040000000000ff0600424302001b0003")  # and zeros
_BGZIP_BYTES = 16
_TAIL_BYTES = 2**16  # padding with zeros, as of a tape's last block, is no damage


def read_lines(path: Path) -> Iterator[str]:
    """Yields the lines of a file, their ends included, as `decode_lines` does.

    Raises:
      InputError: as `decode_lines`, or the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            yield from decode_lines(file, str(path))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror or error}") from error


def decode_lines(file: BinaryIO, name: str) -> Iterator[str]:
    """Yields the lines of an open file, their ends included; a byte-order mark is left off.

    Lines end at LF and nowhere else: `str.splitlines` also breaks at U+0085, U+2028 and other characters that are part
    of sentences.

    Args:
      file: at its start, and able to return there; compressed or not.
      name: what messages call it.

    Raises:
      InputError: not UTF-8 text, or damaged gzip data.
    """
    offset = 0
    for number, raw in enumerate(_decompressed_lines(file, name), start=1):
        if number == 1:
            if raw.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                raise InputError(f"{name} is UTF-16 text; convert it to UTF-8")
            if raw.startswith(codecs.BOM_UTF8):
                raw, offset = raw.removeprefix(codecs.BOM_UTF8), len(codecs.BOM_UTF8)
        try:
            line = raw.decode("utf-8")
        except UnicodeDecodeError as error:
            reason = f"byte 0x{raw[error.start]:02x} at offset {offset + error.start} is not UTF-8 text"
            raise InputError(f"{name}:{number}: {reason}") from None
        if "\0" in line:
            reason = f"a zero byte at offset {offset + raw.index(0)}, so this is not text"
            raise InputError(f"{name}:{number}: {reason}")
        yield line
        offset += len(raw)


def without_end(line: str) -> str:
    """Returns a line without its LF or CRLF."""
    return line.removesuffix("\n").removesuffix("\r")


def _decompressed_lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    start = file.read(_BGZIP_BYTES)
    if _BGZIP_START.match(start) and not _ends_in_empty_block(file):
        raise InputError(
            f"{name} is a bgzip file without the empty block at its end; it was cut off, so copy or download it again "
            "(if it is whole, compress it anew)"
        )
    file.seek(0)
    if not start.startswith(_GZIP_MAGIC):
        if start and name.endswith(".gz"):
            raise InputError(f"{name} is named .gz but is not gzip-compressed")
        yield from file
        return
    try:
        yield from gzip.GzipFile(fileobj=file)
    except EOFError:
        raise InputError(
            f"{name} ends in the middle of its gzip data; it was cut off, so copy or download it again"
        ) from None
    except (gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{name} is damaged gzip data ({error}); copy or download it again") from None


def _ends_in_empty_block(file: BinaryIO) -> bool:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    return file.read().rstrip(b"\0").endswith(_BGZIP_END)
