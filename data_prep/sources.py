"""The files that a `--source` flag stands for: paths, glob patterns, and names of databases that are downloaded."""

import glob
import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from data_prep.downloads import Cache, ask_for, is_name
from lingjax.errors import InputError, raise_problems

DOWNLOADS = "downloads"  # below the folder of all datasets


def find_files(
    source: Sequence[str],
    *,
    flag: str = "--source",
    cache_dir: Path | str | None = None,
    offline: bool = False,
    email: str | None = None,
    cache: Cache | None = None,
) -> list[Path]:
    """Returns the files that names and glob patterns stand for: in the given order, those of one pattern sorted.

    Args:
      source: paths, patterns and, with a cache, names such as `nuccore:NC_004829.1`, which are downloaded.
      flag: what messages call the flag.
      cache_dir: where downloads are kept; without it, names are not accepted.
      offline: whether downloads must be there already.
      email: for NCBI, which asks who is asking; the environment's `NCBI_EMAIL` by default.
      cache: instead of the three; tests bring their own.

    Raises:
      InputError: a pattern matches nothing, a file is named twice, or a download fails.
    """
    if cache is None and cache_dir is not None:
        cache = Cache(Path(cache_dir).expanduser(), offline=offline, email=email)
    paths, missing = [], []
    for pattern in source:
        path = Path(pattern).expanduser()
        if is_name(pattern) and not path.exists():
            try:
                paths.append(_download(pattern, cache))
            except InputError as error:
                missing.append(str(error))
            continue
        # A file whose own name holds a bracket or an asterisk is not a pattern.
        is_pattern = glob.has_magic(str(path)) and not path.exists()
        # Path.glob takes no absolute pattern.
        matches = sorted(map(Path, glob.glob(str(path), recursive=True))) if is_pattern else [path]  # noqa: PTH207
        if not matches:
            raise InputError(f"{flag}={pattern} matches no file")
        paths += matches
    missing += [f"{path} does not exist" for path in paths if not path.exists()]
    folders = [
        f"{path} is a folder; name the files in it, for example '{path}/*.tsv'" for path in paths if path.is_dir()
    ]
    # One file may have two names, as relative and absolute path, or by a link.
    times = Counter(path.resolve() for path in paths)
    repeated = [f"{path} is named more than once" for path in dict.fromkeys(paths) if times[path.resolve()] > 1]
    raise_problems(flag, missing + folders + repeated)
    return paths


def _download(name: str, cache: Cache | None) -> Path:
    if cache is None:
        raise InputError(f"{name} is the name of a download, and this dataset takes files")
    return cache.obtain(ask_for(name, cache))


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Names files by as few of their last path parts as tell them apart, so that moving the folder changes no name.

    Compression changes none either: `.gz` is left off, unless a file stands beside its compressed copy.
    """
    plain = [Path(str(path).removesuffix(".gz")) for path in paths]
    for candidates in (plain, paths):
        for count in range(1, max(len(path.parts) for path in candidates) + 1):
            names = ["/".join(path.parts[-count:]) for path in candidates]
            if len(set(names)) == len(names):
                return names
    return [str(path) for path in paths]


def place_names(paths: Sequence[Path]) -> list[str]:
    """Names files as `distinct_names` does, without white space, which no name of a place or cluster may hold."""
    names = []
    for label in distinct_names(paths):
        name = "_".join(label.split())
        # A space and an underscore may be all that tells two files apart.
        numbered = (f"{name}#{number}" for number in itertools.count(2))
        names.append(next(each for each in itertools.chain([name], numbered) if each not in names))
    return names


def organism_names(paths: Sequence[Path]) -> list[str]:
    """Names the organism of each file that names none itself: the file's name, without extension where that tells."""
    labels = distinct_names(paths)
    stems = [label.removesuffix(Path(label).suffix) for label in labels]
    times = Counter(stems)
    return [stem if times[stem] == 1 else label for stem, label in zip(stems, labels, strict=True)]
