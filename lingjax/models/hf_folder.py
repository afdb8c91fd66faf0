"""Hugging Face folders as files: finding one locally or on the hub, and opening its safetensors lazily."""

import contextlib
import hashlib
import json
import re
from pathlib import Path

import numpy as np
import safetensors

from lingjax.errors import InputError, raise_problems
from lingjax.models.weight_names import plain_name
from lingjax.sealed import file_sha256

WEIGHT_FILE = "model.safetensors"
_INDEX_FILE = "model.safetensors.index.json"
TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "merges.txt",
    "vocab.txt",
)
_HUB_FILES = ("config.json", WEIGHT_FILE, _INDEX_FILE, "model-*-of-*.safetensors", *TOKENIZER_FILES)
_HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")
_OTHER_FORMATS = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.h5", "*.msgpack", "*.ot")
_LFS_POINTER = b"version https://git-lfs"
_CONVERT = (
    "in an environment you trust, convert them with transformers: "
    "from_pretrained(...).save_pretrained(DIR, safe_serialization=True)"
)
_FLOATS = ("F64", "F32", "F16", "BF16")


def resolve_folder(source: str | Path, *, offline: bool = False) -> Path:
    """Returns a local model folder: `source` itself, or the hub's copy, downloaded unless it is cached.

    Only config, tokenizer and safetensors files are downloaded.

    Args:
      source: a folder, or a name on huggingface.co such as `openai-community/gpt2`.
      offline: never touch the network; the hub's cache on this machine still counts.

    Raises:
      InputError: neither a folder nor a model that can be had.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return folder
    name = str(source)
    if folder.exists():
        raise InputError(f"{folder} is a file; expected a Hugging Face folder or a hub name")
    if not _HUB_NAME.fullmatch(name):
        raise InputError(f"model folder {name} does not exist, and it is no hub name such as 'openai-community/gpt2'")
    # Costs a third of a second, and only a hub name needs it.
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError

    try:
        return Path(huggingface_hub.snapshot_download(name, allow_patterns=_HUB_FILES, local_files_only=offline))
    except (OSError, HFValidationError) as error:
        reason = "offline, and not in the cache" if offline else f"{type(error).__name__}: {error}"
        raise InputError(
            f"model '{name}' is no local folder, and the hub does not give it ({reason}); on a machine with network "
            f"run `hf download {name} --local-dir DIR` (https://huggingface.co/{name}) and give DIR instead"
        ) from error
    except RuntimeError as error:
        raise InputError(f"model '{name}' is no local folder, and downloading it failed: {error}") from error


class WeightFiles:
    """The tensors of a folder, read one at a time; a context manager that keeps the files open.

    Tensors go by their plain name (see `weight_names.plain_name`); `read` takes any spelling.

    Attributes:
      paths: the safetensors files.
      stored_names: the checkpoint's spelling of each plain name.
      shapes: the shape of each tensor.

    Raises:
      InputError: there is no safetensors file, one is missing or damaged, or two tensors share a plain name.
    """

    def __init__(self, folder: Path, family: str):
        self._family = family
        self.stored_names: dict[str, str] = {}
        self.shapes: dict[str, tuple[int, ...]] = {}
        self._handles: dict[str, safetensors.safe_open] = {}
        indexed = _indexed_names(folder)
        self.paths = [folder / name for name in sorted(set(indexed.values()))] or [_single_file(folder)]
        missing = [path.name for path in self.paths if not path.is_file()]
        if missing:
            raise InputError(f"{folder / _INDEX_FILE} names files that are not there: {', '.join(missing)}")
        with contextlib.ExitStack() as stack:
            for path in self.paths:
                try:
                    handle = stack.enter_context(safetensors.safe_open(path, framework="numpy"))
                except (safetensors.SafetensorError, OSError) as error:
                    raise InputError(
                        f"{path} is no readable safetensors file: {_why_unreadable(path, error)}"
                    ) from error
                self._add(handle, path)
            absent = sorted(set(indexed) - set(self.stored_names.values()))
            raise_problems(str(folder / _INDEX_FILE), [f"{name} is not in {indexed[name]}" for name in absent])
            self._stack = stack.pop_all()

    def _add(self, handle: safetensors.safe_open, path: Path) -> None:
        for stored in handle.keys():  # noqa: SIM118 - a handle is not iterable
            name = plain_name(self._family, stored)
            if name in self._handles:
                raise InputError(f"{path}: {stored} and {self.stored_names[name]} are two tensors for one parameter")
            self._handles[name] = handle
            self.stored_names[name] = stored
            self.shapes[name] = tuple(handle.get_slice(stored).get_shape())

    def __enter__(self) -> "WeightFiles":
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    def stored(self, name: str) -> str:
        """Returns the checkpoint's spelling of a tensor's name."""
        return self.stored_names[plain_name(self._family, name)]

    def read(self, name: str) -> np.ndarray:
        """Returns one tensor in the type it is stored in.

        Raises:
          InputError: the type is not a float: a quantised checkpoint.
        """
        name = plain_name(self._family, name)
        handle, stored = self._handles[name], self.stored_names[name]
        kind = handle.get_slice(stored).get_dtype()
        if kind not in _FLOATS:
            raise InputError(
                f"{self.paths[0].parent}: {stored} is stored as {kind}, expected one of {', '.join(_FLOATS)}"
            )
        return handle.get_tensor(stored)


def _why_unreadable(path: Path, error: Exception) -> str:
    with contextlib.suppress(OSError), path.open("rb") as file:
        if file.read(len(_LFS_POINTER)) == _LFS_POINTER:
            return (
                "it is a Git LFS pointer, the name of the weights in place of the weights; run `git lfs pull` in its "
                "folder, or download it again"
            )
    return f"{error}; download it again"


def _indexed_names(folder: Path) -> dict[str, str]:
    """Returns tensor name to file name of a sharded checkpoint; nothing if a single file is there."""
    path = folder / _INDEX_FILE
    if (folder / WEIGHT_FILE).is_file() or not path.is_file():
        return {}
    try:
        names = json.loads(path.read_text(encoding="utf-8"))["weight_map"]
        valid = bool(names) and all(file not in ("", "..") and Path(file).name == file for file in names.values())
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        valid = False
    if not valid:
        raise InputError(f"{path} is damaged: expected a JSON object whose weight_map names a file for every tensor")
    return names


def _single_file(folder: Path) -> Path:
    path = folder / WEIGHT_FILE
    if path.is_file():
        return path
    others = sorted(file.name for pattern in _OTHER_FORMATS for file in folder.glob(pattern))
    if others:
        raise InputError(
            f"{folder} holds its weights only as {', '.join(others)}: loading pickled weights can execute code, so "
            f"only safetensors are read; {_CONVERT}"
        )
    raise InputError(
        f"{folder} has no {WEIGHT_FILE} (nor {_INDEX_FILE}), and only safetensors are read (and, from the hub, "
        f"downloaded); if its weights are stored otherwise, {_CONVERT}"
    )


def hash_files(paths: list[Path]) -> str:
    """Returns the SHA-256 of one file, or of the lines `HASH  NAME` that `sha256sum` prints for several."""
    hashes = [file_sha256(path) for path in paths]
    if len(paths) == 1:
        return hashes[0]
    lines = "".join(f"{digest}  {path.name}\n" for digest, path in zip(hashes, paths, strict=True))
    return hashlib.sha256(lines.encode()).hexdigest()
