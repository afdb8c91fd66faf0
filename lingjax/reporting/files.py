"""Files appear complete or not at all."""

import os

from etils import epath


def replace_file(path: epath.PathLike, text: str) -> None:
    """Writes `text` as UTF-8 under a temporary name in the same folder, which is made if need be, then renames it."""
    path = epath.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.parent / f".{path.name}.{os.getpid()}.tmp"
    try:
        temporary.write_bytes(text.encode("utf-8"))
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
