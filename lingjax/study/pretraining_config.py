"""What a pretraining is: every setting as frozen dataclasses. Importing it costs no JAX."""

import dataclasses
import importlib.util
from typing import Any, Literal

from lingjax.errors import InputError
from lingjax.study.limits import limit_problems


@dataclasses.dataclass(frozen=True)
class PretrainedModel:
    """The model to pretrain.

    Attributes:
      init: Hugging Face folder or hub name, or a run's folder, to go on from; empty starts from random weights.
      family, size: shape of a model from random weights.
      width, depth, num_heads: in place of the size's own.
      tokenizer: the one that packed the corpora; with `init`, empty means that model's own.
      new_rows: embeddings of tokens that `init`'s tokenizer lacks, by `mean` (and noise) or `zeros`.
      max_length: positions of a model from random weights.
      vocab_multiple: the token table's rows are rounded up to it, so that devices can share them.
      remat, scan_layers, attention: as in `lingjax.study.config.ModelSettings`.
    """

    init: str = ""
    family: str = "gpt2"
    size: str = "small"
    width: int | None = None
    depth: int | None = None
    num_heads: int | None = None
    tokenizer: str = ""
    new_rows: str = "mean"
    max_length: int = 1024
    dropout_rate: float | None = 0.1
    attention_dropout_rate: float | None = 0.1
    vocab_multiple: int = 128
    remat: str = "none"
    scan_layers: bool | None = None
    attention: str = "auto"

    @property
    def shape(self) -> dict[str, int | None]:
        """What replaces the size's own numbers."""
        return {"width": self.width, "depth": self.depth, "num_heads": self.num_heads}


@dataclasses.dataclass(frozen=True)
class PretrainingSteps:
    """How it is trained; `mask_fraction` is the share of the tokens that BERT predicts."""

    batch_size: int = 32
    steps: int = 10_000
    learning_rate: float = 6e-4
    schedule: Literal["constant", "linear", "cosine"] = "cosine"
    warmup_fraction: float = 0.02
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    clip_norm: float = 1.0
    accumulation: int = 1
    mask_fraction: float = 0.15


@dataclasses.dataclass(frozen=True)
class PretrainingData:
    """The corpora: packed folders and their shares of the tokens, as in `DIR/english:0.5,DIR/dna:0.5`."""

    mixture: str = ""


@dataclasses.dataclass(frozen=True)
class PretrainingConfig:
    """A language model's training on mixed, packed corpora.

    Attributes:
      model, data, train: what is trained, on what, and how.
      mesh, dtype, wandb, profile_at, offline: as in `lingjax.study.config.StudyConfig`.
      log_every, save_every, evaluate_every: in steps.
      keep_checkpoints: the newest, beside the best.
      evaluation_rows: held-out rows a domain; 0 for all.
      markov_tokens: tokens of each corpus that are read for a Markov model and for what was seen; 0 for neither.

    Raises:
      InputError: Weights & Biases is asked for and is not installed.
    """

    model: PretrainedModel = PretrainedModel()
    data: PretrainingData = PretrainingData()
    seed: int = 0
    train: PretrainingSteps = PretrainingSteps()
    mesh: str = ""
    dtype: str = "float32"
    log_every: int = 50
    save_every: int = 500
    keep_checkpoints: int = 2
    evaluate_every: int = 500
    evaluation_rows: int = 0
    markov_tokens: int = 2_000_000
    profile_at: int = 0
    wandb: str = ""
    offline: bool = False

    def __post_init__(self):
        check_wandb(self.wandb)
        problems = [*limit_problems(self)]
        if problems:
            raise InputError("; ".join(problems))

    def to_json(self) -> dict[str, Any]:
        """Returns the settings as plain values under the keys of `experiments/configs/pretrain_gpt2.py`."""
        return dataclasses.asdict(self)


def check_wandb(project: str) -> None:
    """Refuses a project of Weights & Biases where that is not installed, before anything is begun.

    Raises:
      InputError: it is not.
    """
    if project and importlib.util.find_spec("wandb") is None:
        raise InputError(f"--config.wandb={project}: wandb is not installed; pip install wandb, or leave it empty")
