"""English: plain text, cut into paragraphs, lines or whole files, and JSON with a text in a field."""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from data_prep.documents.document import Document
from data_prep.formats.records import Unreadable, parse_json
from data_prep.formats.sequences import FASTA_EXTENSIONS, GENBANK_EXTENSIONS, extension
from data_prep.formats.streams import read_lines, without_end
from data_prep.tally import Tally
from lingjax.errors import InputError, nearest, raise_problems

DOCUMENT_KINDS = ("paragraph", "line", "file")
_UNITS = {
    "paragraph": "paragraphs are parted by blank lines",
    "line": "each line is one",
    "file": "each file is one",
}
_JSON_EXTENSIONS = (".json", ".jsonl", ".ndjson")
_TABLE_EXTENSIONS = (".csv", ".tsv", ".tab")


@dataclasses.dataclass(frozen=True)
class EnglishReader:
    """Reads English documents; any other language in UTF-8 is read alike.

    Attributes:
      document: what one document of a plain text is: a "paragraph" (lines between blank lines), a "line", a "file".
      field: the key of a JSON object that holds its text.
    """

    document: str = "paragraph"
    field: str = "text"

    def __post_init__(self):
        if self.document not in DOCUMENT_KINDS:
            raise InputError(f"--document={self.document} is unknown; {nearest(self.document, DOCUMENT_KINDS)}")

    @property
    def unit(self) -> str:
        """What one document is, in words for a message."""
        return _UNITS[self.document]

    @property
    def finer(self) -> str:
        """The flag by which the same text is more documents, "" if there is none."""
        return {"file": "--document=paragraph", "paragraph": "--document=line"}.get(self.document, "")

    def check_sources(self, paths: Sequence[Path], given: Mapping[str, object]) -> None:
        """Refuses files that are no text, and a given flag that no file has a use for.

        Raises:
          InputError: as said.
        """
        problems = [
            f"{path} holds sequences; read it with --domain=dna or --domain=protein"
            for path in paths
            if extension(path) in FASTA_EXTENSIONS + GENBANK_EXTENSIONS
        ]
        problems += [
            f"{path} is a table; convert it to JSON lines with a field 'text'"
            for path in paths
            if extension(path) in _TABLE_EXTENSIONS
        ]
        json_files = [_is_json(path) for path in paths]
        if "field" in given and not any(json_files):
            problems.append(f"--field={self.field} is for JSON files ({', '.join(_JSON_EXTENSIONS)}) and none is given")
        if "document" in given and all(json_files):
            problems.append(
                f"--document={self.document} is for plain text and all files are JSON, where an object is a document"
            )
        raise_problems("the corpus cannot be built", problems)

    def read(self, path: Path, label: str, tally: Tally) -> Iterator[Document]:
        """Yields the documents of a file, named by the line, or the element of a JSON array, where they begin.

        Texts are kept as they are, but for the ends of their lines: LF within a text, nothing after it.

        Args:
          path: the file.
          label: its name in document ids.
          tally: receives what is left out and what is wrong.

        Raises:
          InputError: the file cannot be read, or is empty.
        """
        lines = read_lines(path)
        texts = self._json_texts(lines, path, tally) if _is_json(path) else self._plain_texts(lines)
        texts_before, problems_before = tally.counts["read"]["texts"], len(tally.problems)
        for place, text in texts:
            tally.add("read", "texts")
            if text.strip():
                document_id = f"{label}:{place}" if place else label
                yield Document(document_id, text, split_key=document_id)
            else:
                tally.add("dropped", "texts of nothing but space")
        if (tally.counts["read"]["texts"], len(tally.problems)) == (texts_before, problems_before):
            raise InputError(f"{path} is empty")

    def _plain_texts(self, lines: Iterable[str]) -> Iterator[tuple[str, str]]:
        lines = map(without_end, lines)
        if self.document == "file":
            text = "\n".join(lines).rstrip("\n")
            blocks = [("", text)] if text.strip() else []
        elif self.document == "line":
            blocks = ((str(number), line) for number, line in enumerate(lines, start=1) if line.strip())
        else:
            blocks = _paragraphs(lines)
        yield from blocks

    def _json_texts(self, lines: Iterable[str], path: Path, tally: Tally) -> Iterator[tuple[str, str]]:
        for number, (place, value) in enumerate(parse_json(lines, str(path)), start=1):
            if isinstance(value, Unreadable):
                tally.add_problem(f"{place}: {value.reason}")
            elif not isinstance(value, dict):
                tally.add_problem(f"{place}: {str(value)[:40]!r} is not an object with a key '{self.field}'")
            elif fault := self._find_fault(value):
                tally.add_problem(f"{place}: {fault}")
            else:
                for key in value:
                    if key != self.field:
                        tally.add("dropped", f"values of field '{key}'")
                yield str(number), value[self.field]

    def _find_fault(self, value: Mapping[str, object]) -> str:
        if self.field not in value:
            keys = f"; {nearest(self.field, value)}" if value else ""
            return f"no field '{self.field}'{keys} (choose it with --field)"
        text = value[self.field]
        if not isinstance(text, str):
            return f"field '{self.field}' is {str(text)[:40]!r}, not text"
        try:
            text.encode()
        except UnicodeEncodeError:
            return f"field '{self.field}' holds half of a surrogate pair, which is no character"
        return ""


def _is_json(path: Path) -> bool:
    return extension(path) in _JSON_EXTENSIONS


def _paragraphs(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    block, first = [], 0
    for number, line in enumerate(lines, start=1):
        if line.strip():
            first = first if block else number
            block.append(line)
        elif block:
            yield str(first), "\n".join(block)
            block = []
    if block:
        yield str(first), "\n".join(block)
