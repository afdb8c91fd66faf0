"""Where a run's model comes from: a checkpoint of ours, published weights, or random numbers."""

import concurrent.futures
import dataclasses
import hashlib
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np
from etils import epath
from flax import nnx, traverse_util
from jax.experimental import multihost_utils
from jax.sharding import Mesh

from lingjax.axes import Parameters
from lingjax.data import Tokenizer, has_tokenizer, load_tokenizer
from lingjax.errors import InputError
from lingjax.models import (
    ModelConfig,
    abstract_model,
    axes_by_path,
    build_model,
    grow_vocabulary,
    load_pretrained,
    parameters_of,
    preset,
    read_config,
    resolve_folder,
)
from lingjax.training.checkpoint import Checkpointer
from lingjax.training.loaded_model import LoadedModel
from lingjax.training.mesh import parameter_sharding, parameter_shardings
from lingjax.training.run_folder import is_described, is_finished, read_result, read_run_description, tokenizer_folder
from lingjax.training.token_table import check_tokenizer_fits


@dataclasses.dataclass(frozen=True)
class Architecture:
    """What a random model needs to be told.

    Attributes:
      family, size: a preset of `lingjax.models.config`.
      tokenizer: Hugging Face folder or hub name.
      max_length: rows of the position embedding; None takes the family's.
    """

    family: str
    size: str
    tokenizer: str
    max_length: int | None = None


def start_random(
    architecture: Architecture,
    *,
    head: str,
    mesh: Mesh,
    seed: int,
    changes: Mapping[str, Any],
    max_word_characters: int | None = None,
    offline: bool = False,
) -> LoadedModel:
    """Draws all parameters at random, each born on its devices."""
    if not architecture.tokenizer:
        raise InputError("a model from scratch needs a tokenizer: set config.model.tokenizer to a Hugging Face folder")
    tokenizer = load_tokenizer(architecture.tokenizer, offline=offline, max_word_characters=max_word_characters)
    config = preset(
        architecture.family,
        architecture.size,
        vocab_size=tokenizer.vocab_size,
        max_length=architecture.max_length,
        pad_id=tokenizer.pad_id,
        **changes,
    )
    return _randomised(config, head=head, tokenizer=tokenizer, mesh=mesh, seed=seed)


def start_random_like(start: LoadedModel, *, mesh: Mesh, seed: int) -> LoadedModel:
    """Draws anew every parameter of a model, keeping its shape and tokenizer: the untrained control."""
    return _randomised(start.config, head=start.head, tokenizer=start.tokenizer, mesh=mesh, seed=seed)


def start_pretrained(
    source: str,
    *,
    head: str,
    mesh: Mesh,
    seed: int | None,
    changes: Mapping[str, Any],
    max_word_characters: int | None = None,
    offline: bool = False,
    tokenizer: str = "",
) -> LoadedModel:
    """Loads a run folder of ours or a Hugging Face folder or hub name.

    Args:
      source: what to load.
      head: which the model shall have; parameters that the source lacks are drawn from `seed`.
      mesh: where parameters are placed.
      seed: decides the fresh parameters; None means that there must be none, as for evaluation.
      changes: fields of `ModelConfig` to set, such as `compute_dtype`.
      max_word_characters: see `load_tokenizer`.
      offline: never touch the network.
      tokenizer: folder or hub name, for a source that has none.

    Raises:
      InputError: the source cannot be used; the text says why.
    """
    if is_described(source):
        if tokenizer:
            raise InputError(f"{source} has a tokenizer of its own: leave out config.model.tokenizer={tokenizer}")
        trained = restore_run(source, mesh=mesh, changes=changes, max_word_characters=max_word_characters)
        return _with_head(trained, source=source, head=head, mesh=mesh, seed=seed)

    def place(path: str, value: Any) -> jax.Array:
        return jax.device_put(value, parameter_sharding(axes[path], value.shape, mesh))

    folder = resolve_folder(source, offline=offline)
    if tokenizer and has_tokenizer(folder):
        raise InputError(f"{source} has a tokenizer of its own: leave out config.model.tokenizer={tokenizer}")
    axes = axes_by_path(read_config(folder, changes).family, head)
    with concurrent.futures.ThreadPoolExecutor(max_workers=1) as background:
        # What it imports takes a second, which reading the weights leaves free.
        its_tokenizer = background.submit(
            load_tokenizer, tokenizer or str(folder), max_word_characters=max_word_characters, offline=offline
        )
        loaded = load_pretrained(
            folder,
            head=head,
            offline=offline,
            changes=changes,
            fresh_key=None if seed is None else jax.random.key(seed),
            place=place,
        )
    check_tokenizer_fits(its_tokenizer.result(), loaded.config, folder)
    return LoadedModel(
        config=loaded.config,
        head=head,
        graph=_abstract(loaded.config, head)[0],
        parameters=loaded.parameters,
        tokenizer=its_tokenizer.result(),
        init={"kind": "pretrained", "source": str(source), "sha256": loaded.report.sha256},
        fresh=loaded.report.fresh,
        labels=loaded.report.labels,
        ignored=loaded.report.ignored,
    )


def load_start_tokenizer(source: str, *, offline: bool = False) -> Tokenizer:
    """Loads the tokenizer of what `start_pretrained` would load, without its weights."""
    folder = tokenizer_folder(source) if is_described(source) else resolve_folder(source, offline=offline)
    return load_tokenizer(str(folder), offline=offline)


def extend_vocabulary(start: LoadedModel, tokenizer: Tokenizer, *, mesh: Mesh, seed: int, new_rows: str) -> LoadedModel:
    """Gives a model a tokenizer that extends its own; the embeddings of the tokens that were added are new.

    Args:
      start: the model.
      tokenizer: knows every token of the model's tokenizer by the same id.
      mesh: where parameters are placed.
      seed: decides the new rows' noise.
      new_rows: see `lingjax.models.grow_vocabulary`.

    Raises:
      InputError: a token of the model's tokenizer is missing from this one, or has another id here.
    """
    moved = tokenizer.moved_tokens(start.tokenizer)
    if moved:
        shown = ", ".join(map(repr, moved[:3])) + (", ..." if len(moved) > 3 else "")
        raise InputError(
            f"tokenizer '{tokenizer.name}' does not extend the model's own '{start.tokenizer.name}': {len(moved)} "
            f"of its tokens are missing or have other ids ({shown}), so their embeddings would stand for other tokens; "
            "extend the model's tokenizer (data_prep.train_tokenizer --extend)"
        )
    config, parameters = grow_vocabulary(
        start.config,
        start.head,
        start.parameters,
        vocab_size=tokenizer.vocab_size,
        key=jax.random.key(seed),
        new_rows=new_rows,
        num_known=start.tokenizer.vocab_size,
    )
    graph, shapes = _abstract(config, start.head)
    shardings = parameter_shardings(axes_by_path(config.family, start.head), shapes, mesh)
    return dataclasses.replace(
        start,
        config=config,
        graph=graph,
        parameters=jax.device_put(parameters, shardings),
        tokenizer=tokenizer,
    )


def restore_run(
    folder: epath.PathLike,
    *,
    mesh: Mesh,
    changes: Mapping[str, Any],
    max_word_characters: int | None = None,
    step: int | None = None,
) -> LoadedModel:
    """Loads a run's model with the head it was trained with.

    Args:
      folder: where the run lives.
      mesh: where parameters are placed.
      changes: fields of `ModelConfig` to set.
      max_word_characters: see `load_tokenizer`.
      step: which checkpoint; None takes the best of a finished run, else the newest.

    Raises:
      InputError: the folder holds no finished checkpoint.
    """
    folder = epath.Path(folder)
    description = read_run_description(folder)
    head = description["head"]
    config = _changed(folder, description, changes)
    graph, shapes = _abstract(config, head)
    shardings = parameter_shardings(axes_by_path(config.family, head), shapes, mesh)
    like = jax.tree.map(
        lambda x, sharding: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), shapes, shardings
    )
    with Checkpointer(folder / "checkpoints", read_only=True) as checkpointer:
        if step is None:
            step = read_result(folder)["best_step"] if is_finished(folder) else checkpointer.latest_step()
        if step is None:
            raise InputError(f"{folder}: holds no finished checkpoint; train it first")
        parameters = checkpointer.restore_parameters(like, step=step)
    return LoadedModel(
        config=config,
        head=head,
        graph=graph,
        parameters=parameters,
        tokenizer=load_tokenizer(str(tokenizer_folder(folder)), offline=True, max_word_characters=max_word_characters),
        init=description["init"],
        fresh=(),
    )


def _changed(folder: epath.Path, description: Mapping[str, Any], changes: Mapping[str, Any]) -> ModelConfig:
    """Returns a run's configuration with the changes, which may not be of a kind that its checkpoints do not fit."""
    try:
        config = ModelConfig(**description["model"])
    except (TypeError, ValueError) as error:
        raise InputError(f"{folder / 'model.json'}: describes no model: {error}") from error
    changed = dataclasses.replace(config, **changes)
    shapes = [_flat(_abstract(each, description["head"])[1]) for each in (config, changed)]
    if any(shapes[0][path].shape != shapes[1][path].shape for path in shapes[0]):
        listed = ", ".join(
            f"{name}={value} (the run's is {before})"
            for name, value in changes.items()
            if (before := getattr(config, name)) != value
        )
        raise InputError(f"{folder}: its checkpoints do not fit a model of {listed}; leave the run's own")
    return changed


def _with_head(trained: LoadedModel, *, source: str, head: str, mesh: Mesh, seed: int | None) -> LoadedModel:
    init = {"kind": "checkpoint", "source": str(source), "sha256": hash_parameters(trained.parameters)}
    if trained.head == head:
        return dataclasses.replace(trained, init=init)
    if seed is None:
        raise InputError(f"{source}: its model has the head '{trained.head}', not '{head}'; fine-tune it first")
    # Another head: the backbone is carried over, the new head drawn; which parts those are stands in `fresh`.
    drawn = _randomised(trained.config, head=head, tokenizer=trained.tokenizer, mesh=mesh, seed=seed)
    parameters = {**drawn.parameters, "backbone": trained.parameters["backbone"]}
    fresh = tuple(path for path in _flat(parameters) if not path.startswith("backbone."))
    return dataclasses.replace(drawn, parameters=parameters, init=init, fresh=fresh)


def _randomised(config: ModelConfig, *, head: str, tokenizer: Tokenizer, mesh: Mesh, seed: int) -> LoadedModel:
    graph, shapes = _abstract(config, head)
    shardings = parameter_shardings(axes_by_path(config.family, head), shapes, mesh)

    def draw(key: jax.Array) -> Parameters:
        return parameters_of(build_model(config, head, rngs=nnx.Rngs(key)))

    return LoadedModel(
        config=config,
        head=head,
        graph=graph,
        parameters=jax.jit(draw, out_shardings=shardings)(jax.random.key(seed)),
        tokenizer=tokenizer,
        init={"kind": "random", "source": None, "sha256": None},
        fresh=tuple(_flat(shapes)),
    )


def hash_parameters(parameters: Parameters) -> str:
    """Returns the SHA-256 of names, types, shapes and values, independent of how they are stored or sharded.

    Of parameters that several hosts share, each host receives the whole, one array at a time.
    """
    digest = hashlib.sha256()
    for path, leaf in sorted(_flat(parameters).items()):
        digest.update(f"{path} {leaf.dtype} {leaf.shape}".encode())
        digest.update(np.ascontiguousarray(_whole(leaf)).tobytes())
    return digest.hexdigest()


def _whole(leaf: Any) -> np.ndarray:
    if not isinstance(leaf, jax.Array) or leaf.is_fully_addressable or leaf.is_fully_replicated:
        return np.asarray(leaf)
    return multihost_utils.process_allgather(leaf, tiled=True)


def _abstract(config: ModelConfig, head: str) -> tuple[nnx.GraphDef, Parameters]:
    """The module's graph and its parameters' shapes, without making a number."""
    model = abstract_model(config, head)
    return nnx.split(model)[0], parameters_of(model)


def _flat(parameters: Parameters) -> dict[str, Any]:
    return traverse_util.flatten_dict(parameters, sep=".")
