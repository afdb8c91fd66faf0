"""Runs NCBI BLAST+ on sequences in memory and reads its hits one by one."""

import dataclasses
import functools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from data_prep.stages import tell_stage
from lingjax.errors import InputError

# The kind of database that each program searches.
_DATABASES = {"blastn": "nucl", "blastp": "prot"}
_COLUMNS = "qseqid sseqid nident length evalue bitscore qstart qend sstart send qseq sseq"
# Letters of queries that blastn works on at once, whose hits it holds: of short texts of one family there are millions.
_LETTERS_AT_ONCE = "20000"
# The default of 500 subjects a query would lose homologs in silence.
_MOST_SUBJECTS = 1_000_000


@dataclasses.dataclass(frozen=True, slots=True)
class Hit:
    """One local alignment of a query with a subject.

    Attributes:
      query, subject: names of the sequences.
      identity: equal letters over columns of the alignment, 0 to 1.
      evalue, bitscore: as BLAST gives them.
      query_start, query_end: first and last aligned letter, from 1.
      subject_start, subject_end: the same; on strand "-" the start is the greater one, as BLAST prints it.
      strand: "+", or "-" where the query aligns with the subject's reverse complement.
      query_row, subject_row: the aligned letters, of one length, with "-" in gaps; a subject on "-" is complemented.
    """

    query: str
    subject: str
    identity: float
    evalue: float
    bitscore: float
    query_start: int
    query_end: int
    subject_start: int
    subject_end: int
    strand: str
    query_row: str
    subject_row: str


def find_program(name: str) -> Path:
    """Returns the path of a BLAST+ program.

    Raises:
      InputError: it is not on PATH.
    """
    path = shutil.which(name)
    if path is None:
        raise InputError(
            f"{name} is not on PATH; install NCBI BLAST+ with 'apt install ncbi-blast+' "
            "or 'conda install -c bioconda blast'"
        )
    return Path(path)


@functools.cache
def find_version(program: str) -> str:
    """Returns a program's version, as "2.12.0+".

    Raises:
      InputError: the program is not there or does not run.
    """
    path = find_program(program)
    try:
        shown = subprocess.run(
            [path, "-version"], capture_output=True, text=True, check=True, env=_environment()
        ).stdout
    except (OSError, subprocess.CalledProcessError) as error:
        raise InputError(f"{path} does not run ({error}); install NCBI BLAST+ again") from error
    found = re.search(r"\d+\.\d+\.\d+\+?", shown)
    return found[0] if found else "unknown"


def describe(program: str, *, evalue: float, options: Sequence[str] = ()) -> dict[str, str]:
    """Returns name, version and command line of a search as `search` runs it, without paths and threads."""
    command = " ".join([program, *_settings(evalue, options)])
    return {"name": program, "version": find_version(program), "command": command}


def search(
    queries: Mapping[str, str],
    subjects: Mapping[str, str],
    *,
    program: str,
    evalue: float,
    options: Sequence[str] = (),
    threads: int | None = None,
    progress: str = "",
) -> Iterator[Hit]:
    """Yields the hits of all queries in all subjects, in the order of the queries, while BLAST runs.

    Neither hits nor the program's output are held; the number of threads does not change what is found.

    Args:
      queries: letters by name; empty ones have no hits.
      subjects: the same; a database of them is made in a temporary folder.
      program: "blastn" or "blastp".
      evalue: hits above are left out.
      options: more of the program's options, as in ["-task", "blastn-short"].
      threads: by default, as many as this process may use.
      progress: what the bar on a terminal is called; without a name there is none, nor a line.

    Raises:
      InputError: BLAST+ is not installed, or refuses the sequences or options.
    """
    query_names = [name for name, letters in queries.items() if letters]
    subject_names = [name for name, letters in subjects.items() if letters]
    path, database_maker = find_program(program), find_program("makeblastdb")
    if not query_names or not subject_names:
        return
    if progress:
        tell_stage(f"{progress}: {program} with {len(query_names):,} queries in {len(subject_names):,} sequences")
    # Names are numbered for BLAST, which reads some of them as accessions and cuts others at spaces.
    with tempfile.TemporaryDirectory(prefix="blast-") as scratch:
        folder = Path(scratch)
        _write_fasta(folder / "queries", queries, query_names)
        _write_fasta(folder / "subjects", subjects, subject_names)
        _make_database(database_maker, folder, kind=_DATABASES[program])
        command = [path, "-query", folder / "queries", "-db", folder / "database", *_settings(evalue, options)]
        command += ["-num_threads", str(threads or count_cores()), "-outfmt", f"6 {_COLUMNS}"]
        with tqdm(total=len(query_names), unit="query", desc=progress, disable=None if progress else True) as bar:
            for line in _run(command, folder / "errors"):
                query, subject, *values = line.rstrip("\n").split("\t")
                number = int(query[1:])
                bar.update(number - bar.n)
                yield _parse_hit(query_names[number], subject_names[int(subject[1:])], values)
            bar.update(len(query_names) - bar.n)


def count_cores() -> int:
    """Returns how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _settings(evalue: float, options: Sequence[str]) -> list[str]:
    limit = [] if "-max_target_seqs" in options else ["-max_target_seqs", str(_MOST_SUBJECTS)]
    return ["-evalue", f"{evalue:g}", *limit, *options]


def _environment() -> dict[str, str]:
    # Without the first, BLAST+ reports each use to NCBI over the network.
    return {**os.environ, "BLAST_USAGE_REPORT": "false", "BATCH_SIZE": _LETTERS_AT_ONCE}


def _write_fasta(path: Path, sequences: Mapping[str, str], names: Sequence[str]) -> None:
    with path.open("w", encoding="ascii") as file:
        for number, name in enumerate(names):
            try:
                file.write(f">n{number}\n{sequences[name]}\n")
            except UnicodeEncodeError as error:
                raise InputError(
                    f"sequence '{name}' holds {error.object[error.start]!r}, which is no letter of it"
                ) from None


def _make_database(program: Path, folder: Path, *, kind: str) -> None:
    command = [program, "-in", folder / "subjects", "-dbtype", kind, "-out", folder / "database"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=_environment())
    if done.returncode:
        raise InputError(f"makeblastdb refuses the sequences: {_first_line(done.stderr)}")


def _run(command: Sequence[str | Path], errors: Path) -> Iterator[str]:
    """Yields the lines that a program prints; ends it if they are not wanted any more."""
    with errors.open("w+", encoding="utf-8", errors="replace") as sink:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=sink, text=True, env=_environment())
        try:
            # The file itself would be closed with this generator, before the program is ended.
            yield from iter(process.stdout.readline, "")
            code = process.wait()
        finally:
            process.kill()  # does nothing to a program that has ended
            process.stdout.close()
            process.wait()
        if code:
            sink.seek(0)
            raise InputError(f"{command[0].name} failed (exit {code}): {_first_line(sink.read())}")


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["it does not say why"])[0]


def _parse_hit(query: str, subject: str, values: Sequence[str]) -> Hit:
    equal, columns, evalue, bitscore, *places, query_row, subject_row = values
    query_start, query_end, subject_start, subject_end = map(int, places)
    return Hit(
        query=query,
        subject=subject,
        identity=int(equal) / int(columns),
        evalue=float(evalue),
        bitscore=float(bitscore),
        query_start=query_start,
        query_end=query_end,
        subject_start=subject_start,
        subject_end=subject_end,
        strand="-" if subject_start > subject_end else "+",
        query_row=query_row,
        subject_row=subject_row,
    )
