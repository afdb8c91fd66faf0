"""The files that a `--source` flag stands for."""

import glob
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from lingjax.errors import InputError, raise_problems


def find_files(source: Sequence[str]) -> list[Path]:
    """Returns the files that names and glob patterns stand for: in the given order, those of one pattern sorted.

    Raises:
      InputError: a pattern matches nothing, or a file is named twice.
    """
    paths = []
    for pattern in source:
        path = Path(pattern).expanduser()
        # A file whose own name holds a bracket or an asterisk is not a pattern.
        is_pattern = glob.has_magic(str(path)) and not path.exists()
        # Path.glob takes no absolute pattern.
        matches = sorted(map(Path, glob.glob(str(path), recursive=True))) if is_pattern else [path]  # noqa: PTH207
        if not matches:
            raise InputError(f"--source={pattern} matches no file")
        paths += matches
    missing = [f"{path} does not exist" for path in paths if not path.exists()]
    folders = [
        f"{path} is a folder; name the files in it, for example '{path}/*.tsv'" for path in paths if path.is_dir()
    ]
    repeated = [f"{path} is named more than once" for path, times in Counter(paths).items() if times > 1]
    raise_problems("--source", missing + folders + repeated)
    return paths


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """Names files by as few of their last path parts as tell them apart, so that moving the folder changes no name.

    Compression changes none either: `.gz` is left off.
    """
    plain = [Path(str(path).removesuffix(".gz")) for path in paths]
    for count in range(1, max(len(path.parts) for path in plain) + 1):
        names = ["/".join(path.parts[-count:]) for path in plain]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in paths]
