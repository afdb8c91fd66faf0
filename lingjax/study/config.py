"""What a study is: every setting of a transfer, and of an evaluation alone, as frozen dataclasses.

The defaults are the recipe of arXiv 2412.07678. Importing it costs no JAX, so that a wrong setting is found at once.
"""

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any, Literal, TypeVar

from lingjax.errors import InputError, nearest
from lingjax.study.limits import limit_problems
from lingjax.study.pretraining_config import check_wandb

TRAINED_CONTROLS = ("random_init", "shuffled_labels")
"""Controls that cost a fine-tuning a seed."""

CORRECTIONS = ("bonferroni", "benjamini_hochberg")
"""Of the tests of several targets."""

Recipe = TypeVar("Recipe")


@dataclasses.dataclass(frozen=True)
class ModelSettings:
    """Where the model comes from.

    Attributes:
      init: Hugging Face folder or hub name, or a run's folder; empty starts from random weights.
      family, size, tokenizer: shape and Hugging Face tokenizer of a model from random weights.
      dropout_rate, attention_dropout_rate: None keeps the model's own.
      remat: `none`, or `products` or `layers` to keep less for the backward pass.
      scan_layers: one loop over layers, or unrolled; None scans on a TPU.
      attention: `plain`, `bands` (GPT-2), `cudnn` (NVIDIA, bfloat16) or `auto`.
    """

    init: str = ""
    family: str = "gpt2"
    size: str = "small"
    tokenizer: str = ""
    dropout_rate: float | None = None
    attention_dropout_rate: float | None = None
    remat: str = "none"
    scan_layers: bool | None = None
    attention: str = "plain"


@dataclasses.dataclass(frozen=True)
class TrainSettings:
    """How a pair classifier is fine-tuned.

    Attributes:
      steps: 0 takes as many as `epochs` says.
      clip_norm: 0 clips nothing.
      accumulation: micro-batches an update.
      max_length: tokens of a pair.
      pair_format: `concat`, `separated` or `bert`; empty takes `concat` for GPT-2 and `bert` for BERT.
      pairs_per_row: most pairs packed into one row; 1 pads each.
      best_by: which checkpoint is kept, by the dev set's `loss` or `accuracy`, or the `last`.
      patience: evaluations without improvement before training stops; 0 never.
    """

    batch_size: int = 20
    epochs: float = 4.0
    steps: int = 0
    learning_rate: float = 1e-5
    schedule: Literal["constant", "linear", "cosine"] = "constant"
    warmup_fraction: float = 0.1
    weight_decay: float = 0.0
    beta1: float = 0.9
    beta2: float = 0.999
    epsilon: float = 1e-8
    clip_norm: float = 1.0
    label_smoothing: float = 0.0
    accumulation: int = 1
    max_length: int = 128
    pair_format: str = ""
    pairs_per_row: int = 8
    best_by: Literal["loss", "accuracy", "last"] = "loss"
    patience: int = 0


@dataclasses.dataclass(frozen=True)
class StudyConfig:
    """A transfer: a model fine-tuned on a source task and judged on targets. Lists may be texts with commas.

    Attributes:
      model, train: the model, and how it is fine-tuned.
      source, dev: datasets, `DIR/NAME` or `DIR/NAME@SPLIT`; an empty `dev` takes the source's validation split, or
        `dev_fraction` of its training rows.
      targets: datasets that the model is judged on.
      seed, seeds: the first training seed, and how many follow.
      seeds_at_once: runs in one program; 0 for as many as fit a device's memory, on a CPU one.
      max_characters: each sentence is cut to so many; 0 leaves it whole.
      max_word_characters: WordPiece's limit of a word; 0 keeps the tokenizer's own.
      text: `letters` sets every letter of a text apart for the tokenizer, `kmers:6` writes overlapping words of 6.
      allow_unknown: judge a target although over 1 % of its tokens are unknown.
      evaluation_batch_size: pairs a forward pass.
      curve_rows: rows of each target that are measured at each evaluation for the learning curve; 0 for none.
      shots, shots_epochs: fine-tune further on so many of a target's own training pairs, so often; empty for never.
      bootstrap_replicates: resamples of the items for intervals.
      control_seeds: seeds of each control that is a model; 0 skips them.
      trained_controls: `random_init`, `shuffled_labels`; each costs a fine-tuning a seed.
      kmer_sizes: the source dev set chooses among them; one alone is fixed beforehand.
      alignment_rows: rows of each dataset whose hidden states are compared; 0 for none.
      correction: for tests of several targets, `bonferroni` or `benjamini_hochberg` (false discovery rate).
      mesh: as in `data:8` or `data:2,fsdp:2,tensor:2`; empty puts all devices on data.
      dtype: what is computed in, `float32` or `bfloat16`.
      log_every, save_every, evaluate_every: in steps; `evaluate_every` 0 means once an epoch.
      keep_checkpoints: the newest, beside the best.
      profile_at: the first of three steps that JAX's profiler records; 0 for none.
      wandb: project of Weights & Biases; empty for none.
      offline: never touch the network.

    Raises:
      InputError: a value is out of range; all problems are named.

    >>> StudyConfig(source="data/paws_en", targets=["data/dna_pairs"], seeds=3).seed_numbers
    range(0, 3)
    >>> StudyConfig(shots="64,16").shots
    (16, 64)
    """

    model: ModelSettings = ModelSettings()
    source: str = ""
    dev: str = ""
    dev_fraction: float = 0.1
    targets: tuple[str, ...] = ()
    seed: int = 0
    seeds: int = 1
    seeds_at_once: int = 0
    train: TrainSettings = TrainSettings()
    max_characters: int = 0
    max_word_characters: int = 0
    text: str = ""
    allow_unknown: bool = False
    evaluation_batch_size: int = 64
    curve_rows: int = 256
    shots: tuple[int, ...] = ()
    shots_epochs: float = 20.0
    bootstrap_replicates: int = 1000
    control_seeds: int = 1
    trained_controls: tuple[str, ...] = ("random_init",)
    kmer_sizes: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    alignment_rows: int = 0
    correction: Literal["bonferroni", "benjamini_hochberg"] = "bonferroni"
    mesh: str = ""
    dtype: str = "float32"
    log_every: int = 50
    save_every: int = 0
    keep_checkpoints: int = 1
    profile_at: int = 0
    wandb: str = ""
    evaluate_every: int = 0
    offline: bool = False

    def __post_init__(self):
        check_wandb(self.wandb)
        problems = list(self._problems())
        if problems:
            raise InputError("; ".join(problems))
        _set(self, targets=tuple(parts(self.targets)), kmer_sizes=_positive_numbers(self.kmer_sizes))
        _set(self, shots=tuple(sorted(_positive_numbers(self.shots))))
        chosen = parts(self.trained_controls)
        _set(self, trained_controls=tuple(name for name in TRAINED_CONTROLS if name in chosen))

    @property
    def seed_numbers(self) -> range:
        """The seeds to train: `seed` and those after it."""
        return range(self.seed, self.seed + self.seeds)

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as plain values under the keys of `experiments/configs/base.py`."""
        return _plain(self)

    def recipe(self, kind: type[Recipe]) -> Recipe:
        """Builds the training recipe, a dataclass of `lingjax.training`, from `train` and the settings of the loop."""
        return build_recipe(kind, {**dataclasses.asdict(self), **dataclasses.asdict(self.train)})

    def _problems(self) -> typing.Iterator[str]:
        yield from limit_problems(self)
        if self.seeds < 1:
            yield f"--config.seeds={self.seeds} must be at least 1"
        elif not 0 <= self.control_seeds <= self.seeds:
            yield f"--config.control_seeds={self.control_seeds} must lie between 0 and seeds={self.seeds}"
        if self.seeds_at_once < 0:
            yield f"--config.seeds_at_once={self.seeds_at_once} must not be negative; 0 takes what fits"
        if self.seeds_at_once > 1 and self.model.attention in ("cudnn", "auto"):
            yield (
                f"--config.seeds_at_once={self.seeds_at_once} needs --config.model.attention=plain or bands: "
                "cuDNN's kernel takes no runs side by side"
            )
        if self.seeds_at_once > 1 and self.train.pairs_per_row == 1:
            yield (
                f"--config.seeds_at_once={self.seeds_at_once} needs rows of one length: set "
                "--config.train.pairs_per_row above 1"
            )
        for name in parts(self.trained_controls):
            if name not in TRAINED_CONTROLS:
                yield f"--config.trained_controls: no control '{name}' is trained, {nearest(name, TRAINED_CONTROLS)}"
        yield from _kmer_problems(self.kmer_sizes)
        yield from _correction_problems(self.correction)
        if self.curve_rows < 0:
            yield f"--config.curve_rows={self.curve_rows} must not be negative; 0 looks at none"
        if parts(self.shots):
            numbers = _positive_numbers(self.shots)
            if not numbers or min(numbers) < 2:
                yield f"--config.shots='{_text(self.shots)}' must be numbers of pairs, 2 or more, as in 16,64,256"
            if not self.shots_epochs > 0:
                yield f"--config.shots_epochs={self.shots_epochs} must be positive"


@dataclasses.dataclass(frozen=True)
class EvaluationConfig:
    """How models that are there already are judged. Lists may be texts with commas.

    Attributes:
      pair_format: empty takes the checkpoint's.
      max_length: tokens of a pair; 0 takes the checkpoint's.
      max_characters: each sentence is cut to so many; None takes the checkpoint's, 0 leaves it whole.
      max_word_characters: WordPiece's limit of a word; None keeps the tokenizer's own.
      text: as in `StudyConfig`; None takes the checkpoint's.
      control_seeds: seeds of the control `not_finetuned`; 0 skips it.
      allow_unknown, evaluation_batch_size, bootstrap_replicates, kmer_sizes, alignment_rows: as in `StudyConfig`.
      correction: as in `StudyConfig`.
      mesh, dtype, offline: as in `StudyConfig`.

    Raises:
      InputError: `kmer_sizes` holds none, or what is no positive number, or a number is out of bounds.
    """

    pair_format: str = ""
    max_length: int = 0
    max_characters: int | None = None
    max_word_characters: int | None = None
    text: str | None = None
    allow_unknown: bool = False
    evaluation_batch_size: int = 64
    bootstrap_replicates: int = 1000
    control_seeds: int = 1
    kmer_sizes: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
    alignment_rows: int = 0
    correction: Literal["bonferroni", "benjamini_hochberg"] = "bonferroni"
    mesh: str = ""
    dtype: str = "float32"
    offline: bool = False

    def __post_init__(self):
        problems = [*limit_problems(self), *_kmer_problems(self.kmer_sizes), *_correction_problems(self.correction)]
        if problems:
            raise InputError("; ".join(problems))
        _set(self, kmer_sizes=_positive_numbers(self.kmer_sizes))

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as plain values under the keys of `experiments/configs/evaluate.py`."""
        return _plain(self)


def build_recipe(kind: type[Recipe], values: Mapping[str, Any]) -> Recipe:
    """Builds a dataclass from values by field name; a field that is itself a dataclass is built from the same values.

    >>> build_recipe(TrainSettings, {"steps": 3, "other": 1}).steps
    3
    """
    types = typing.get_type_hints(kind)
    given = {}
    for field in dataclasses.fields(kind):
        if dataclasses.is_dataclass(types[field.name]):
            given[field.name] = build_recipe(types[field.name], values)
        elif field.name in values:
            given[field.name] = values[field.name]
    return kind(**given)


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, str]:
    """Returns what changed between two trees of settings: `old -> new` by dotted key."""
    flat_before, flat_now = _flat(before), _flat(now)
    return {
        key: f"{flat_before.get(key)!r} -> {flat_now.get(key)!r}"
        for key in sorted(flat_before | flat_now)
        if flat_before.get(key) != flat_now.get(key)
    }


def none_if_zero(value: int | None) -> int | None:
    """Translates the configuration's 0 for "no limit"."""
    return value or None


def parts(value: object) -> list[str]:
    """Returns the entries of a list, or of a text with commas, as texts; spaces and empty ones are dropped.

    >>> parts("a, b,"), parts([1, 2])
    (['a', 'b'], ['1', '2'])
    """
    entries = value if isinstance(value, list | tuple | range) else str(value).split(",")
    return [text for entry in entries if (text := str(entry).strip())]


def _positive_numbers(value: object) -> tuple[int, ...]:
    """The different numbers of a list; none if one of them is no positive number."""
    texts = parts(value)
    if not all(text.isdecimal() and int(text) for text in texts):
        return ()
    return tuple(dict.fromkeys(map(int, texts)))


def _kmer_problems(sizes: object) -> typing.Iterator[str]:
    if not _positive_numbers(sizes):
        yield f"--config.kmer_sizes='{_text(sizes)}' must be positive numbers, as in 1,2,3,4,5,6; one fixes k"


def _correction_problems(correction: str) -> typing.Iterator[str]:
    if correction not in CORRECTIONS:
        yield f"--config.correction='{correction}' is unknown; {nearest(correction, CORRECTIONS)}"


def _text(value: object) -> str:
    return value if isinstance(value, str) else ",".join(parts(value))


def _set(config: object, **values: Any) -> None:
    for name, value in values.items():
        object.__setattr__(config, name, value)


def _plain(config: Any) -> dict[str, Any]:
    values = dataclasses.asdict(config)
    return {name: _text(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat = {}
    for name, value in values.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": value}
    return flat
