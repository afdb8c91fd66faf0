"""A trained model as a folder that transformers computes the same with: tokenizer, pad token and labels included."""

import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lingjax.axes import Parameters
from lingjax.data.tokenizer import Tokenizer
from lingjax.data.tokenizer_export import export_tokenizer
from lingjax.errors import InputError
from lingjax.models.config import ModelConfig
from lingjax.models.hf_classifier import PAIR_LABELS
from lingjax.models.hf_save import save_pretrained
from lingjax.models.weight_names import Head

# What transformers classifies: BERT's first token and GPT-2's last. These formats classify that token as well.
_FORMATS = {"gpt2": ("concat", "separated"), "bert": ("bert",)}


@dataclasses.dataclass(frozen=True)
class Exported:
    """A written folder.

    Attributes:
      folder: where it stands.
      notes: what a user of the folder should know, one text a line.
    """

    folder: Path
    notes: tuple[str, ...]


def export_model(
    folder: str | Path,
    config: ModelConfig,
    parameters: Parameters,
    *,
    head: Head,
    tokenizer: Tokenizer,
    pairs: Mapping[str, Any] | None = None,
    labels: Sequence[str] = PAIR_LABELS,
    original: Mapping[str, Any] | None = None,
    overwrite: bool = False,
) -> Exported:
    """Writes a folder that gives our logits in transformers, batched and padded by the folder's own tokenizer.

    Args:
      folder: see `save_pretrained`.
      config: the model's description.
      parameters: nested dicts.
      head: which model the parameters are of.
      tokenizer: the model's.
      pairs: how a classifier reads pairs; None if that is not known.
      labels: names of a classifier's classes 0 and 1.
      original: `config.json` of the folder that is written again, if it is one.
      overwrite: see `save_pretrained`.

    Raises:
      InputError: transformers' model would read another token than ours, or the folder cannot be written.
    """
    pair_format = pairs["pair_format"] if pairs and head == "pairs" else None
    if pair_format not in (None, *_FORMATS[config.family]):
        token = "first" if config.family == "bert" else "last"
        raise InputError(
            f"a {config.family} that reads pairs as '{pair_format}' cannot be exported: transformers classifies the "
            f"{token} token of a {config.family}, and this one was trained on another; keep the workdir, which "
            f"experiments.evaluate reads, or fine-tune with --config.train.pair_format={_FORMATS[config.family][0]}"
        )
    with tempfile.TemporaryDirectory() as temporary:
        written = export_tokenizer(
            tokenizer, Path(temporary), family=config.family, classifies=head == "pairs", pair_format=pair_format
        )
        notes = [f"tokenizer: {change}" for change in written.changes]
        if head == "pairs" and pairs and pairs.get("text"):
            notes.append(
                f"texts: the model reads them as text={pairs['text']} writes them; transformers' tokenizer does not, "
                "so prepare them before its call (lingjax does, as config.json says)"
            )
        before = (original or {}).get("pad_token_id")
        if before not in (None, written.pad_id):
            notes.append(f"pad_token_id is {written.pad_id}, with which the tokenizer pads, and no longer {before}")
        saved = save_pretrained(
            folder,
            config,
            parameters,
            head=head,
            tokenizer_folder=Path(temporary),
            end_id=tokenizer.end_id,
            pairs=pairs if head == "pairs" else None,
            labels=labels,
            original=original,
            extra_rows=max(0, written.vocab_size - config.vocab_size),
            pad_id=written.pad_id,
            overwrite=overwrite,
        )
    return Exported(saved, tuple(notes))
