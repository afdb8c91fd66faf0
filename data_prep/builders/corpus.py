"""Dataset `corpus`: texts of one domain to pretrain on; data_prep/README.md states the rules."""

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from data_prep.documents import Document, Reader, make_reader
from data_prep.engines import Advance, Engine, choose_engine
from data_prep.parts import write_in_parts
from data_prep.sources import DOWNLOADS, distinct_names, find_files
from data_prep.splits import choose_split, parse_splits
from data_prep.tally import MOST_PROBLEMS, Tally, TooManyProblemsError
from data_prep.writer import describe_sources, find_built
from lingjax.errors import InputError, raise_problems

_SPLITS = ("train:0.95", "validation:0.05")
# Consecutive files are read together until they have this size, so that many small files make few shards.
_PART_BYTES = 256 * 2**20
_DIGEST_BYTES = 16


def build(
    data_dir: Path | str,
    *,
    domain: str,
    name: str,
    source: Sequence[str],
    splits: Sequence[str] | None = None,
    document: str | None = None,
    field: str | None = None,
    window: int | None = None,
    stride: int | None = None,
    both_strands: bool | None = None,
    min_length: int | None = None,
    max_length: int | None = None,
    engine: str = "local",
    beam_options: Sequence[str] | None = None,
    offline: bool = False,
    email: str | None = None,
    overwrite: bool = False,
) -> list[Path]:
    """Builds one corpus from files and returns its folder.

    Args:
      data_dir: folder of all datasets.
      domain: "english", "dna" or "protein".
      name: the dataset's name.
      source: files, glob patterns, or names such as `nuccore:NC_003421.2`.
      splits: `SPLIT:FRACTION` texts whose fractions sum to 1, by default train:0.95 and validation:0.05; the hash of
        its id decides a document's split.
      document, field: flags of english, fields of `EnglishReader`.
      window, stride, both_strands, min_length: flags of dna, fields of `DnaReader`.
      max_length: flag of protein, field of `ProteinReader`.
      engine: "local" or "beam"; decides nothing about the result.
      beam_options: for the Beam pipeline.
      offline, email: for sources that are downloaded, as in `data_prep.sources.find_files`.
      overwrite: whether an existing dataset of this name built from other input is replaced.

    Raises:
      InputError: the flags or files cannot be used; problems of all records of all files are reported together.
    """
    flags = {
        "document": document,
        "field": field,
        "window": window,
        "stride": stride,
        "both_strands": both_strands,
        "min_length": min_length,
        "max_length": max_length,
    }
    given = {flag: value for flag, value in flags.items() if value is not None}
    reader = make_reader(domain, given)
    fractions = parse_splits(splits or _SPLITS)
    chosen_engine = choose_engine(engine, beam_options, data_dir=data_dir, name=name)
    paths = find_files(source, cache_dir=Path(data_dir) / DOWNLOADS, offline=offline, email=email)
    reader.check_sources(paths, given)
    request = {
        "dataset": "corpus",
        "domain": domain,
        "reading": dataclasses.asdict(reader),
        "sources": describe_sources(paths),
        "split_fractions": [*map(list, fractions.items())],
    }
    if built := find_built(data_dir, name, request, overwrite=overwrite):
        return [built]
    parts = divide(paths, part_bytes=_PART_BYTES)
    total = sum(part.size for part in parts)
    if domain == "protein":
        parts = mark_duplicates(parts, reader, name=name, engine=chosen_engine, total=total)

    def finish(tally: Tally) -> dict[str, object]:
        counts = {split: tally.group(split) for split in fractions}
        groups = {group: tally.group(group) for group in ("read", "dropped", "changed")}
        return {"counts": counts, "synthetic": False, **groups}

    folder = write_in_parts(
        data_dir,
        name,
        _CorpusJob(reader, fractions),
        parts,
        engine=chosen_engine,
        total=total,
        unit="B",
        splits=list(fractions),
        finish=finish,
        description=f"Corpus of {domain} from {len(paths)} file{'s' if len(paths) > 1 else ''}.",
        request=request,
        overwrite=overwrite,
    )
    return [folder]


@dataclasses.dataclass(frozen=True)
class CorpusPart:
    """Consecutive files.

    Attributes:
      files: paths with their names in document ids.
      size: of all files, in bytes.
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
      name: of the dataset, for messages.
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
class _CorpusJob:
    """Makes records of documents."""

    reader: Reader
    fractions: dict[str, float]
    kind: str = "corpus"

    def records(self, part: CorpusPart, tally: Tally, advance: Advance) -> Iterator[tuple[str, dict[str, str]]]:
        """Yields the records of some files; as `data_prep.parts.Job`."""
        for number, document in enumerate(_read_documents(part, self.reader, tally, advance)):
            if part.repeated is not None and part.repeated[number]:
                tally.add("dropped", "copies of an earlier document")
                tally.add("dropped", "letters of copies", len(document.text))
                continue
            split = choose_split(document.split_key, self.fractions)
            tally.add(split, "documents")
            tally.add(split, "characters", len(document.text))
            yield split, {"document_id": document.document_id, "text": document.text}
