"""Dataset `corpus`: texts of one domain to pretrain on; data_prep/README.md states the rules."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from data_prep.builders.dataset import EMAIL, NAME, OFFLINE, SHARES, Dataset, as_function, flag
from data_prep.corpus_control import Control, LetterCounts, make_rewriter, parse_control
from data_prep.documents import READERS, Document, Reader, make_reader
from data_prep.engines import choose_engine
from data_prep.parts import write_in_parts
from data_prep.sources import DOWNLOADS, distinct_names, find_files
from data_prep.splits import choose_split, parse_splits
from data_prep.tally import MOST_PROBLEMS, Tally, TooManyProblemsError
from data_prep.work import Advance, Engine
from data_prep.writer import describe_sources
from lingjax.errors import InputError, raise_problems

_SPLITS = ("train:0.95", "validation:0.05")
# Consecutive files are read together until they have this size, so that many small files make few shards.
_PART_BYTES = 256 * 2**20
_DIGEST_BYTES = 16


@dataclasses.dataclass(frozen=True)
class Corpus(Dataset):
    """Texts of one domain to pretrain on."""

    dataset = "corpus"

    domain: str = flag(", ".join(READERS))
    name: str = flag(NAME)
    source: Sequence[str] = flag("files, glob patterns, or names such as nuccore:NC_003421.2")
    splits: Sequence[str] | None = flag(f"{SHARES}; without it, {','.join(_SPLITS)}", None)
    document: str | None = flag("english: a document of a text is a paragraph, line or file (paragraph)", None)
    field: str | None = flag("english: the field of a JSON object that holds its text (text)", None)
    window: int | None = flag("dna: letters of a document (1024)", None)
    stride: int | None = flag("dna: letters between the starts of two windows (the window)", None)
    both_strands: bool | None = flag("dna: add the reverse complement of each window", None)
    min_length: int | None = flag("dna: shorter pieces are left out and counted (32)", None)
    max_length: int | None = flag("protein: letters beyond are left out and counted", None)
    control: str | None = flag("shuffled, shuffled_words, iid or markov:K: without what order says (below)", None)
    seed: int = flag("with --control: decides all that is drawn", 0)
    engine: str = flag("local, or beam for Apache Beam; both give the same bytes", "local")
    beam_options: Sequence[str] | None = flag("for Beam, as in runner=FlinkRunner,flink_master=HOST:8081", None)
    offline: bool = flag(OFFLINE, False)
    email: str | None = flag(EMAIL, None)

    def build(self) -> list[Path]:
        """Builds the dataset; as `Dataset.build`."""
        of_readers = [field.name for reader in READERS.values() for field in dataclasses.fields(reader)]
        given = {name: value for name in of_readers if (value := getattr(self, name)) is not None}
        reader = make_reader(self.domain, given)
        fractions = parse_splits(self.splits or _SPLITS)
        control = None if self.control is None else parse_control(self.control, seed=self.seed)
        if control is None and self.seed:
            raise InputError(f"--seed={self.seed} is not used: without --control nothing is drawn")
        engine = choose_engine(self.engine, self.beam_options, data_dir=self.data_dir, name=self.name)
        cache_dir = Path(self.data_dir) / DOWNLOADS
        paths = find_files(self.source, cache_dir=cache_dir, offline=self.offline, email=self.email)
        reader.check_sources(paths, given)
        request = {
            "dataset": self.dataset,
            "domain": self.domain,
            "reading": dataclasses.asdict(reader),
            "sources": describe_sources(paths),
            "split_fractions": [*map(list, fractions.items())],
        }
        if control is not None:
            request["control"] = dataclasses.asdict(control)
        if built := self.find_built(self.name, request):
            return [built]
        parts = divide(paths, part_bytes=_PART_BYTES)
        total = sum(part.size for part in parts)
        if self.domain == "protein":
            parts = mark_duplicates(parts, reader, name=self.name, engine=engine, total=total)
        rewrite = None
        if control is not None:
            counts = (
                count_letters(parts, reader, control, engine=engine, total=total) if control.counts_letters else None
            )
            rewrite = make_rewriter(control, counts)
        described = "" if control is None else f" A control: {control.describe()}."
        folder = write_in_parts(
            self.data_dir,
            self.name,
            _Documents(reader, fractions, rewrite),
            parts,
            engine=engine,
            total=total,
            unit="B",
            splits=list(fractions),
            finish=functools.partial(_finish, reader=reader, splits=list(fractions), is_control=control is not None),
            description=f"Corpus of {self.domain} from {len(paths)} file{'s' if len(paths) > 1 else ''}.{described}",
            request=request,
            overwrite=self.overwrite,
        )
        return [folder]


build = as_function(Corpus)


def _finish(tally: Tally, *, reader: Reader, splits: Sequence[str], is_control: bool) -> dict[str, object]:
    counts = {split: tally.group(split) for split in splits}
    if empty := [split for split in splits if not counts[split]]:
        found = sum(its.get("documents", 0) for its in counts.values())
        raise InputError(
            f"split '{empty[0]}' of the corpus has no rows: {found:,} document{'s' * (found != 1)} found "
            f"({reader.unit}); {reader.finer and f'{reader.finer} makes more; or '}give more input, or other --splits"
        )
    groups = {group: tally.group(group) for group in ("read", "dropped", "changed")}
    return {"counts": counts, "synthetic": is_control, **groups}


@dataclasses.dataclass(frozen=True)
class CorpusPart:
    """Consecutive files.

    Attributes:
      files: paths with their names in document ids.
      size: bytes of all files.
      repeated: for each document, whether it is left out as the copy of an earlier one; None if all are kept.
    """

    files: tuple[tuple[Path, str], ...]
    size: int
    repeated: np.ndarray | None = None


def divide(paths: Sequence[Path], *, part_bytes: int) -> list[CorpusPart]:
    """Divides files into parts of at least `part_bytes`, but for the last; a file is never divided."""
    parts, files, size = [], [], 0
    for path, label in zip(paths, distinct_names(paths), strict=True):
        files.append((path.absolute(), label))
        size += path.stat().st_size
        if size >= part_bytes:
            parts.append(CorpusPart(tuple(files), size))
            files, size = [], 0
    return [*parts, CorpusPart(tuple(files), size)] if files else parts


def mark_duplicates(
    parts: Sequence[CorpusPart], reader: Reader, *, name: str, engine: Engine, total: int
) -> list[CorpusPart]:
    """Returns the parts with all documents marked whose text is exactly that of an earlier document.

    Args:
      parts: in the order of their documents.
      reader: reads them, once.
      name: the dataset's name, for messages.
      engine: what works on the parts.
      total: size of all files, in bytes.

    Raises:
      InputError: the problems of all records of all files together.
    """
    hashed = engine.map(functools.partial(_hash_documents, reader=reader), parts, total=total, unit="B")
    raise_problems(f"{name} cannot be built", [problem for _, problems in hashed for problem in problems])
    digests = np.concatenate([digests for digests, _ in hashed])
    _, first = np.unique(digests, return_index=True)
    repeated = np.ones(len(digests), bool)
    repeated[first] = False
    ends = np.cumsum([len(digests) for digests, _ in hashed])
    return [
        dataclasses.replace(part, repeated=its_repeated)
        for part, its_repeated in zip(parts, np.split(repeated, ends[:-1]), strict=True)
    ]


def count_letters(
    parts: Sequence[CorpusPart], reader: Reader, control: Control, *, engine: Engine, total: int
) -> LetterCounts:
    """Counts the letters of all documents that are kept, as the control wants them.

    Raises:
      InputError: the problems of all records of all files together.
    """
    counted = engine.map(
        functools.partial(_count_letters, reader=reader, order=control.order), parts, total=total, unit="B"
    )
    raise_problems("the corpus cannot be built", [problem for _, problems in counted for problem in problems])
    counts = LetterCounts(control.order)
    for of_part, _ in counted:
        counts.update(of_part)
    return counts


def _count_letters(part: CorpusPart, advance: Advance, *, reader: Reader, order: int) -> tuple[LetterCounts, list[str]]:
    tally, counts = Tally(), LetterCounts(order)
    for number, document in enumerate(_read_documents(part, reader, tally, advance)):
        if part.repeated is None or not part.repeated[number]:
            counts.add(document.text)
    return counts, tally.problems


def _hash_documents(part: CorpusPart, advance: Advance, *, reader: Reader) -> tuple[np.ndarray, list[str]]:
    """Returns a digest of the text of each document, and what is wrong with the part."""
    tally = Tally()
    digests = [
        hashlib.blake2b(document.text.encode(), digest_size=_DIGEST_BYTES).digest()
        for document in _read_documents(part, reader, tally, advance)
    ]
    return np.array(digests, f"S{_DIGEST_BYTES}"), tally.problems


def _read_documents(part: CorpusPart, reader: Reader, tally: Tally, advance: Advance) -> Iterator[Document]:
    """Yields the documents of all files; what keeps a file from being read is a problem like one of its records."""
    for path, label in part.files:
        tally.add("read", "files")
        found = len(tally.problems)
        try:
            yield from reader.read(path, label, tally)
        except InputError as error:
            tally.problems.append(str(error))
        except TooManyProblemsError:
            tally.problems.insert(found, f"{path} is not read to its end, because of {MOST_PROBLEMS:,} problems")
        advance(path.stat().st_size)


@dataclasses.dataclass(frozen=True)
class _Documents:
    """Makes records of documents; `rewrite` makes a control's text of a document's name and text."""

    reader: Reader
    fractions: dict[str, float]
    rewrite: Callable[[str, str], str] | None = None
    kind: str = "corpus"

    def records(self, part: CorpusPart, tally: Tally, advance: Advance) -> Iterator[tuple[str, dict[str, str]]]:
        """Yields the records of some files; as `data_prep.parts.RecordSource`."""
        for number, document in enumerate(_read_documents(part, self.reader, tally, advance)):
            if part.repeated is not None and part.repeated[number]:
                tally.add("dropped", "copies of an earlier document")
                tally.add("dropped", "letters of copies", len(document.text))
                continue
            split = choose_split(document.split_key, self.fractions)
            tally.add(split, "documents")
            tally.add(split, "characters", len(document.text))
            text = document.text if self.rewrite is None else self.rewrite(document.document_id, document.text)
            yield split, {"document_id": document.document_id, "text": text}
