"""Tokenizer folders with which transformers' own call makes of pairs what `PairEncoder` makes of them."""

import copy
import dataclasses
import json
import pathlib
from typing import Any

import numpy as np

from lingjax.data.dataset import PairRecord
from lingjax.data.pairs import PairEncoder
from lingjax.data.tokenizer import Tokenizer, load_tokenizer
from lingjax.errors import InputError

_PAD_NAMES = ("[PAD]", "<|pad|>", "<|padding|>", "<|pad of pairs|>")
_INPUTS = {"gpt2": ["input_ids", "attention_mask"], "bert": ["input_ids", "token_type_ids", "attention_mask"]}
_OF_LOADING = ("is_local", "local_files_only")  # transformers writes down how a tokenizer came to it
_PROBES = (("the cat sat", "a dog ran."), ("ACGTTGCAAC", "MKVLAT"), ("A", "b c d"))
_LONGEST = 2**20  # no limit of length for the probes

CALLS = {
    "concat": "tokenizer(a + b, padding=True)",
    "separated": "tokenizer(a, b, padding=True)",
    "bert": "tokenizer(a, b, padding=True)",
}
"""By pair format, the call of an exported tokenizer that gives what the model was trained on."""


@dataclasses.dataclass(frozen=True)
class ExportedTokenizer:
    """What became of a tokenizer that was written for transformers.

    Attributes:
      pad_id: the token that its call pads with.
      vocab_size: rows that the token table needs; one more than before where a pad token had to be added.
      changes: what differs from the tokenizer as it was, as texts for the user.
    """

    pad_id: int
    vocab_size: int
    changes: tuple[str, ...]


def export_tokenizer(
    tokenizer: Tokenizer, folder: pathlib.Path, *, family: str, classifies: bool, pair_format: str | None = None
) -> ExportedTokenizer:
    """Writes a tokenizer so that its call in transformers gives what the model reads here.

    The ids of texts stay. What may change is all around them: which inputs the call returns, the side of padding, the
    special tokens that it puts around texts, and the token that it pads with. GPT-2's classifier in transformers takes
    the last token that is not the pad token, so that where END closes a pair, padding must be another token.

    Args:
      tokenizer: the model's.
      folder: where to; it exists.
      family: the model's.
      classifies: whether the model is a pair classifier, whose texts are padded.
      pair_format: how the classifier reads pairs; None if that is not known.

    Raises:
      InputError: transformers' call would still give other ids.
    """
    exported = copy.deepcopy(tokenizer._pretrained)
    settings: dict[str, Any] = {"model_input_names": _INPUTS[family]}
    changes = []
    had, has = ("token_type_ids" in names for names in (exported.model_input_names, _INPUTS[family]))
    if had != has:
        changes.append(f"its call returns {'' if has else 'no '}token_type_ids, as a {family} needs it")
    if not classifies:
        _save(exported, folder, settings)
        return ExportedTokenizer(tokenizer.pad_id, tokenizer.vocab_size, tuple(changes))
    settings["padding_side"] = "right"
    if exported.padding_side != "right":
        changes.append("it pads on the right: padding on the left would shift the positions")
    if pair_format == "separated" and tokenizer.pad_id == tokenizer.end_id:
        vocabulary = exported.backend_tokenizer.get_vocab(with_added_tokens=True)
        name = next(name for name in _PAD_NAMES if name not in vocabulary)
        exported.add_special_tokens({"pad_token": name})
        changes.append(
            f"it pads with a new token, {name}: transformers' GPT-2 classifies the last token that is no padding, and "
            "the end token, which pads here, ends every pair"
        )
    elif exported.pad_token_id is None:
        exported.pad_token = exported.convert_ids_to_tokens(tokenizer.pad_id)
        changes.append(f"it pads with {exported.pad_token}, as is done here")
    _save(exported, folder, settings)
    if pair_format is not None and not _agrees(tokenizer, folder, pair_format):
        changes.append(f"its call puts the special tokens of the pair format '{pair_format}' around texts")
        _save(_with_template(tokenizer, exported, pair_format), folder, settings)
        if not _agrees(tokenizer, folder, pair_format):
            raise InputError(
                f"tokenizer '{tokenizer.name}' cannot be exported for the pair format '{pair_format}': loaded by "
                "transformers, its call gives other ids than here; keep the model's workdir, which "
                "experiments.evaluate reads, or fine-tune with another pair_format"
            )
    again = load_tokenizer(str(folder))
    return ExportedTokenizer(again.pad_id, again.vocab_size, tuple(changes))


def _save(pretrained: Any, folder: pathlib.Path, settings: dict[str, Any]) -> None:
    """Writes the folder; transformers keeps of what was set on the object only what it was once made with."""
    pretrained.save_pretrained(str(folder))
    path = folder / "tokenizer_config.json"
    written = {**json.loads(path.read_text(encoding="utf-8")), **settings}
    for name in _OF_LOADING:
        written.pop(name, None)
    path.write_text(json.dumps(written, indent=2, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")


def _agrees(tokenizer: Tokenizer, folder: pathlib.Path, pair_format: str) -> bool:
    """Says whether transformers' call of a written tokenizer gives the ids and segments of our encoder."""
    theirs = load_tokenizer(str(folder))._pretrained
    encoder = PairEncoder(tokenizer, pair_format=pair_format, max_length=_LONGEST)
    for first, second in _PROBES:
        (ours,) = encoder.encode([PairRecord("probe", first, second, 0)])
        called = theirs(first + second) if pair_format == "concat" else theirs(first, second)
        segments = called.get("token_type_ids", [0] * len(called["input_ids"]))
        if not np.array_equal(called["input_ids"], ours.token_ids) or not np.array_equal(segments, ours.segment_ids):
            return False
    return True


def _with_template(tokenizer: Tokenizer, exported: Any, pair_format: str) -> Any:
    """Returns a tokenizer that puts a pair format's special tokens around texts, in the class that keeps this.

    A text alone is left bare, but for BERT: so a pair can also be written out as one text, with its special tokens.
    """
    import transformers
    from tokenizers import processors

    backend = exported.backend_tokenizer
    if pair_format == "concat":
        backend.post_processor = processors.TemplateProcessing(single=["$A"], pair=["$A", "$B:1"], special_tokens=[])
    elif pair_format == "separated":
        end = tokenizer._pretrained.convert_ids_to_tokens(tokenizer.end_id)
        backend.post_processor = processors.TemplateProcessing(
            single=["$A"], pair=["$A", end, "$B:0", end], special_tokens=[(end, tokenizer.end_id)]
        )
    else:
        ids = (tokenizer.start_id, tokenizer.separator_id)
        start, separator = tokenizer._pretrained.convert_ids_to_tokens(list(ids))
        backend.post_processor = processors.TemplateProcessing(
            single=[start, "$A", separator],
            pair=[start, "$A", separator, "$B:1", f"{separator}:1"],
            special_tokens=list(zip((start, separator), ids, strict=True)),
        )
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=exported.model_max_length, **exported.special_tokens_map
    )
