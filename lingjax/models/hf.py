"""Hugging Face folder to model and back, with an account of every tensor."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx, traverse_util

from lingjax.axes import Parameters
from lingjax.errors import InputError
from lingjax.models.build import abstract_model, build_model, flat_parameters, merge_model
from lingjax.models.config import ModelConfig
from lingjax.models.hf_classifier import PAIR_LABELS, has_classifier, read_labels, why_not_pair_classifier
from lingjax.models.hf_config import INVERSE_LAYER_SCALE, check_dropout, read_config, read_config_json
from lingjax.models.hf_folder import WeightFiles, hash_files, resolve_folder
from lingjax.models.weight_names import (
    MAY_BE_FRESH,
    PAIR_HEAD_TENSORS,
    TIED,
    Head,
    WeightName,
    plain_name,
    reason_to_ignore,
    weight_names,
)
from lingjax.sealed import check_sums


@dataclasses.dataclass(frozen=True)
class ImportReport:
    """What became of every tensor of a checkpoint.

    Attributes:
      source: the folder or hub name that was asked for.
      sha256: the weight file's; for several, see `hf_folder.hash_files`.
      used: tensors that fill a parameter.
      ignored: tensors that are no part of the model, with the reason.
      fresh: our parameters that start from random weights.
      labels: what the source calls the classes 0 and 1 of its pair classifier; `PAIR_LABELS` where it has none.
    """

    source: str
    sha256: str
    used: tuple[str, ...]
    ignored: Mapping[str, str]
    fresh: tuple[str, ...]
    labels: tuple[str, ...] = PAIR_LABELS


@dataclasses.dataclass(frozen=True)
class Pretrained:
    """A loaded model: description, parameters, and where they came from."""

    head: Head
    config: ModelConfig
    parameters: Parameters
    report: ImportReport
    folder: Path

    def model(self) -> nnx.Module:
        """Returns the module with these parameters in it."""
        return merge_model(self.config, self.head, self.parameters)


def load_pretrained(
    source: str | Path,
    *,
    head: Head,
    offline: bool = False,
    changes: Mapping[str, Any] | None = None,
    fresh_key: jax.Array | None = None,
    may_be_fresh: Sequence[str] | None = None,
    place: Callable[[str, np.ndarray], jax.Array] = lambda path, array: jnp.asarray(array),
) -> Pretrained:
    """Loads a Hugging Face folder, leaf by leaf, so that the weights exist once in memory.

    Args:
      source: a folder, or a name on the hub.
      head: which model to build on the backbone.
      offline: never touch the network.
      changes: fields of `ModelConfig` that replace the folder's, for example `{"dropout_rate": 0.0}`.
      fresh_key: draws the weights of modules that the checkpoint lacks, as `build_model` does from
        `nnx.Rngs(fresh_key)`; None means that it must lack none, as for evaluation.
      may_be_fresh: the top-level modules that may be lacking, from the output inwards (one may be fresh only if those
        before it are); by default the pair classifier and BERT's pooler.
      place: puts one parameter, given its dotted path, where it shall live.

    Raises:
      InputError: the folder cannot be had or read, or its tensors are not exactly those of the model; all that are
        missing, unknown or of another shape are named together.
    """
    folder = resolve_folder(source, offline=offline)
    config, theirs = read_config(folder, changes), read_config_json(folder)
    if fresh_key is not None:
        check_dropout(folder, config, head, changes)
    shapes = flat_parameters(abstract_model(config, head))
    with WeightFiles(folder, config.family) as weights, ThreadPoolExecutor(max_workers=1) as background:
        _check_depth(folder, config, weights)
        account = _Account(weights, config, head, theirs)
        account.match(shapes, MAY_BE_FRESH[head] if may_be_fresh is None else may_be_fresh)
        account.check(folder, may_draw=fresh_key is not None)
        digest = background.submit(hash_files, weights.paths)  # reading leaves a core free
        parameters = {
            row.path: place(row.path, _fill(row, weights, shapes[row.path], config, theirs)) for row in account.filled
        }
        if account.fresh:
            drawn = _draw(fresh_key, config=config, head=head, paths=tuple(account.fresh))
            parameters |= {path: place(path, np.asarray(value)) for path, value in drawn.items()}
        sha256 = digest.result()
        check_sums(folder, [path.name for path in weights.paths])  # the files are hashed already
        report = ImportReport(
            source=str(source),
            sha256=sha256,
            used=tuple(sorted(weights.stored_names[name] for name in account.used)),
            ignored={weights.stored_names[name]: reason for name, reason in sorted(account.ignored.items())},
            fresh=tuple(account.fresh),
            labels=read_labels(theirs) if head == "pairs" and "head.kernel" not in account.fresh else PAIR_LABELS,
        )
    return Pretrained(head, config, traverse_util.unflatten_dict(parameters, sep="."), report, folder)


class _Account:
    """Assigns every tensor to a parameter or a reason, and every parameter to tensors or a random start."""

    def __init__(self, weights: WeightFiles, config: ModelConfig, head: Head, theirs: Mapping[str, Any]):
        self.weights, self.config, self.head = weights, config, head
        self.foreign_classifier = why_not_pair_classifier(theirs) if head == "pairs" else None
        self.has_classifier = head == "pairs" and has_classifier(theirs)
        self.filled: list[WeightName] = []
        self.used: set[str] = set()
        self.fresh: list[str] = []
        self.missing: list[str] = []
        self.misshaped: list[str] = []
        self.untied: list[str] = []
        self.ignored: dict[str, str] = {}
        for name in weights.shapes:
            reason = reason_to_ignore(config.family, head, name)
            if head == "pairs" and name in PAIR_HEAD_TENSORS[config.family]:
                reason = self.foreign_classifier
            if head == "language_model" and name in TIED[config.family]:
                reason = self._tied(name, TIED[config.family][name])
            if reason is not None:
                self.ignored[name] = reason
        if head == "language_model" and theirs.get("tie_word_embeddings") is False:
            output = next(iter(TIED[config.family]))
            if output not in weights.shapes:
                self.missing.append(f"{output} (config.json: tie_word_embeddings=false)")

    def _tied(self, name: str, original: str) -> str | None:
        if original not in self.weights.shapes:
            return None
        if np.array_equal(self.weights.read(name), self.weights.read(original)):
            return f"equals {original}"
        self.untied.append(name)
        return f"differs from {original}"

    def match(self, shapes: Mapping[str, jax.ShapeDtypeStruct], may_be_fresh: Sequence[str]) -> None:
        """Goes through the parameters."""
        rows = weight_names(self.config.family, self.head)
        offered = self.weights.shapes.keys() - self.ignored.keys()
        names = {row.path: self._names(row, shapes[row.path].shape) for row in rows}
        for module in may_be_fresh:
            of_module = [row.path for row in rows if row.path.split(".")[0] == module]
            if any(name in offered for path in of_module for name in names[path]):
                break
            self.fresh += of_module
        for row in rows:
            if row.path in self.fresh:
                continue
            self.filled.append(row)
            self.used |= offered & set(names[row.path])
            self.missing += [f"{name} (for {row.path})" for name in names[row.path] if name not in offered]
            expected = row.stored_shape(row.unpadded(shapes[row.path].shape, self.config.vocab_size))
            for name in names[row.path]:
                if name in offered and self.weights.shapes[name] != expected:
                    self.misshaped.append(f"{name} expected {expected}, got {self.weights.shapes[name]}")

    def _names(self, row: WeightName, shape: Sequence[int]) -> list[str]:
        return [plain_name(self.config.family, name) for name, _ in row.tensors(shape)]

    def check(self, folder: Path, *, may_draw: bool) -> None:
        """Raises one error that names all that does not match."""
        unknown = sorted(self.weights.shapes.keys() - self.used - self.ignored.keys())
        kinds = {
            "missing": self.missing,
            "unknown": [self.weights.stored_names[name] for name in unknown],
            "of another shape than config.json says": self.misshaped,
            "untied from the token embedding, which is not supported": self.untied,
            "not in the checkpoint (fine-tune it first)": [] if may_draw else self.fresh,
        }
        problems = [f"{kind}: {_listed(entries)}" for kind, entries in kinds.items() if entries]
        if not problems:
            return
        if self.fresh and self.has_classifier and self.foreign_classifier:
            problems.append(f"what it holds is a {self.foreign_classifier}")
        if prefix := _shared_prefix([self.weights.stored_names[name] for name in unknown]):
            problems.append(
                f"all unknown names begin with '{prefix}': save the model inside, without what wraps it "
                "(transformers: model.module.save_pretrained(DIR))"
            )
        raise InputError(f"{folder} does not hold a {self.config.family} {self.head} model: {'; '.join(problems)}")


def _shared_prefix(names: Sequence[str]) -> str:
    """Returns the first part that many names share, such as a wrapper's `module.`."""
    prefix = names[0].split(".")[0] + "." if len(names) > 3 else ""
    return prefix if prefix and all(name.startswith(prefix) for name in names) else ""


def _check_depth(folder: Path, config: ModelConfig, weights: WeightFiles) -> None:
    """Names are made layer by layer: a config that claims a million layers must not make millions of them."""
    if config.depth > len(weights.shapes):
        raise InputError(
            f"{folder}: config.json says {config.depth:,} layers, and the weights are {len(weights.shapes):,} tensors"
        )


def _listed(entries: Sequence[str]) -> str:
    more = f" and {len(entries) - 20} more" if len(entries) > 20 else ""
    return ", ".join(entries[:20]) + more


def _fill(
    row: WeightName,
    weights: WeightFiles,
    wanted: jax.ShapeDtypeStruct,
    config: ModelConfig,
    theirs: Mapping[str, Any],
) -> np.ndarray:
    shape = row.unpadded(wanted.shape, config.vocab_size)
    array = np.zeros(wanted.shape, wanted.dtype)
    held = array[: shape[0]]  # only the vocabulary is ever padded, and it comes first
    folds = theirs.get(INVERSE_LAYER_SCALE) is True and "three" in row.axes
    for name, index in row.tensors(shape):
        tensor = weights.read(name)
        if not np.isfinite(tensor).all():
            raise InputError(f"{weights.paths[0].parent}: {weights.stored(name)} holds numbers that are not finite")
        part = row.from_stored(tensor, shape)
        if folds:  # the scores of layer l are divided by l + 1, and so are the queries, of which they are linear
            part = np.array(part, np.float32)
            part[..., 0, :, :] /= index[0] + 1
        held[index] = part
    return array


@functools.partial(jax.jit, static_argnames=("config", "head", "paths"))
def _draw(key: jax.Array, *, config: ModelConfig, head: Head, paths: tuple[str, ...]) -> dict[str, jax.Array]:
    """Initialises the model but keeps these leaves; the compiler drops the drawing of all others."""
    leaves = flat_parameters(build_model(config, head, rngs=nnx.Rngs(key)))
    return {path: leaves[path] for path in paths}
