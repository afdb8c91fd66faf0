"""Whether a loaded tokenizer cuts texts as its `tokenizer.json` says.

transformers 5 builds the tokenizers of its named classes, such as `GPT2TokenizerFast`, anew from vocabulary and merges;
earlier versions took the file. Where the file has more in it, such as a cut into k-mers, the two give other ids. Which
of them a model was trained with cannot be known, so such a folder is refused.
"""

import json
import pathlib
from typing import Any

from lingjax.errors import InputError

# What every version sets from tokenizer_config.json, or what changes no id of a text.
_SET_BY_CLASS = ("trim_offsets", "add_prefix_space", "prepend_scheme", "split", "lowercase", "strip_accents")
_SET_BY_CLASS += ("handle_chinese_chars",)
# `max_input_chars_per_word` is kept as the file says (`tokenizer.load_tokenizer`); the others change no id where every
# character can be spelt, and an empty prefix is none.
_OF_MODEL = ("type", "vocab", "merges", "continuing_subword_prefix", "end_of_word_suffix", "ignore_merges")
_WHERE_FOUND = ("single_word", "lstrip", "rstrip")


def check_as_in_file(folder: pathlib.Path, backend: Any) -> None:
    """Refuses a tokenizer that does not cut texts as the folder's `tokenizer.json` says.

    Args:
      folder: the tokenizer's.
      backend: what transformers made of it, from the `tokenizers` library.

    Raises:
      InputError: they differ in more than what the class sets; names the parts.
    """
    path = folder / "tokenizer.json"
    if not path.is_file():
        return
    import tokenizers

    # Through the library, so that what an older version left out is there with its default.
    stated = json.loads(tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8")).to_str())
    loaded = json.loads(backend.to_str())
    parts = [part for part in ("normalizer", "pre_tokenizer") if _cutting(stated[part]) != _cutting(loaded[part])]
    parts += ["model"] if _model(stated["model"]) != _model(loaded["model"]) else []
    tokens = _added(loaded)
    lost = [content for content, token in _added(stated).items() if tokens.get(content, token) != token]
    lost += [content for content in _added(stated) if content not in tokens and content not in loaded["model"]["vocab"]]
    parts += [f"added token {lost[0]!r}"] if lost else []
    if parts:
        raise InputError(
            f"tokenizer '{folder}': transformers takes vocabulary and merges alone from this tokenizer.json and loses "
            f"its {' and '.join(parts)}, so that texts get other ids than the file says; if the file is right, write "
            '"tokenizer_class": "PreTrainedTokenizerFast" into tokenizer_config.json, and if transformers is, load the '
            "folder there and save it again"
        )


def _cutting(part: Any) -> Any:
    """Returns a normalizer or pre-tokenizer without what the class sets."""
    if isinstance(part, dict):
        kept = {key: _cutting(value) for key, value in part.items() if key not in _SET_BY_CLASS}
        inner = kept.get("normalizers") or kept.get("pretokenizers")
        return inner[0] if kept.get("type") == "Sequence" and inner and len(inner) == 1 else kept
    return [_cutting(value) for value in part] if isinstance(part, list) else part


def _model(model: dict[str, Any]) -> dict[str, Any]:
    return {key: model.get(key) or None for key in _OF_MODEL}


def _added(settings: dict[str, Any]) -> dict[str, tuple]:
    return {
        token["content"]: (token["id"], *(token[key] for key in _WHERE_FOUND)) for token in settings["added_tokens"]
    }
