"""Hugging Face tokenizers, reduced to what lingjax needs: ids, special tokens and a fingerprint."""

import dataclasses
import hashlib
import json
import os
import pathlib
import tempfile
from collections.abc import Iterable, Sequence
from typing import Any, SupportsIndex

import numpy as np
from etils import epath
from jaxtyping import Int32

from lingjax.data.text_preparation import check_text, prepare_texts
from lingjax.data.tokenizer_fidelity import check_as_in_file
from lingjax.errors import InputError
from lingjax.files import copy_folder, is_in_bucket, local_copy
from lingjax.sealed import check_sums, write_sums

# Without one of these transformers builds a tokenizer that knows only special tokens, and does not say so.
_VOCABULARY_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "tokenizer.model",
    "spiece.model",
    "sentencepiece.bpe.model",
)
_DOWNLOADED_FILES = (
    *_VOCABULARY_FILES,
    "merges.txt",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "config.json",
)
# By the name that a tokenizer_config.json gives. Version 4 of transformers has slow classes too; 5 knows these as well.
_CLASSES = {
    "GPT2Tokenizer": "GPT2TokenizerFast",
    "GPT2TokenizerFast": "GPT2TokenizerFast",
    "BertTokenizer": "BertTokenizerFast",
    "BertTokenizerFast": "BertTokenizerFast",
    "PreTrainedTokenizerFast": "PreTrainedTokenizerFast",
    "TokenizersBackend": "PreTrainedTokenizerFast",
}
_LONGEST_REASON = 300  # characters of another library's message
_CLASS_OF_MODEL = {"gpt2": "GPT2Tokenizer", "bert": "BertTokenizer"}


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """A loaded tokenizer; make one with `load_tokenizer`.

    Attributes:
      name: the folder or hub name it was loaded from.
      fingerprint: SHA-256 of everything that decides which ids a text becomes (vocabulary, merges, normaliser, added
        tokens, word limit).
      kind: the algorithm: "bpe", "wordpiece", "unigram" or "wordlevel".
      vocab_size: one more than the largest id, added tokens included: the rows an embedding needs.
      pad_id: the pad token's id; the end token's where there is none, as for GPT-2.
      unknown_id: what replaces text outside the vocabulary; None if every text can be spelt (byte-level BPE).
      start_id: [CLS], or else the beginning-of-text token.
      separator_id: [SEP], or else the end-of-text token.
      end_id: the end-of-text token; None for BERT.
      mask_id: [MASK], which stands for a token to be predicted; None for GPT-2.
      special_ids: every token that is no text, in increasing order.
      text: what is done to a text first; see `prepare_texts`.
    """

    name: str
    fingerprint: str
    kind: str
    vocab_size: int
    pad_id: int
    unknown_id: int | None
    start_id: int | None
    separator_id: int | None
    end_id: int | None
    mask_id: int | None
    special_ids: tuple[int, ...]
    _pretrained: Any = dataclasses.field(repr=False, compare=False)
    text: str = ""

    def reading(self, text: str) -> "Tokenizer":
        """Returns this tokenizer with another preparation of texts, which its fingerprint tells.

        Raises:
          InputError: there is no such preparation; see `prepare_texts`.
        """
        check_text(text)
        if text == self.text:
            return self
        fingerprint = hashlib.sha256(f"{self.fingerprint} {text}".encode()).hexdigest()
        return dataclasses.replace(self, text=text, fingerprint=fingerprint)

    def encode(self, texts: Sequence[str], *, ending: Sequence[int] = ()) -> list[Int32[np.ndarray, "_"]]:
        """Returns the token ids of each text, without any limit of length.

        Args:
          texts: any number.
          ending: ids to put after those of each text, such as a separator's; no other special token is added.
        """
        encodings = self._pretrained.backend_tokenizer.encode_batch_fast(
            prepare_texts(texts, self.text), add_special_tokens=False
        )
        return [np.array([*encoding.ids, *ending], np.int32) for encoding in encodings]

    def decode(self, token_ids: Iterable[SupportsIndex]) -> str:
        """Returns the text of some token ids; special tokens are left out."""
        return self._pretrained.backend_tokenizer.decode([int(token_id) for token_id in token_ids])

    def vocabulary(self) -> dict[str, int]:
        """Returns every token, added ones included, with its id."""
        return self._pretrained.backend_tokenizer.get_vocab(with_added_tokens=True)

    def moved_tokens(self, other: "Tokenizer") -> list[str]:
        """Returns the tokens of another tokenizer that have not the same ids here; none where this one extends it."""
        ours = self.vocabulary()
        return sorted(token for token, number in other.vocabulary().items() if ours.get(token) != number)

    def save(self, folder: epath.PathLike) -> None:
        """Writes a Hugging Face tokenizer folder, also of a bucket, that loads here and in transformers as this one."""
        if not is_in_bucket(folder):
            self._save(pathlib.Path(folder))
            return
        # transformers would make a local folder of that name.
        with tempfile.TemporaryDirectory(prefix="lingjax-") as temporary:
            self._save(pathlib.Path(temporary))
            copy_folder(temporary, folder)

    def _save(self, folder: pathlib.Path) -> None:
        written = [pathlib.Path(path).name for path in self._pretrained.save_pretrained(os.fspath(folder))]
        write_sums(folder, [name for name in written if (folder / name).is_file()])


def _download(name: str, *, offline: bool) -> pathlib.Path:
    """Returns the local folder of a hub repository's tokenizer files; a copy in the cache serves when offline."""
    import huggingface_hub

    try:
        # The repository's folder first, then transformers: asked for a name, transformers retries each file of an
        # unreachable hub for a minute before it says so.
        folder = huggingface_hub.snapshot_download(
            name, allow_patterns=list(_DOWNLOADED_FILES), local_files_only=offline
        )
    except (OSError, ValueError) as error:
        refused = f"the hub did not give it ({type(error).__name__})"
        reason = "it is not in the local cache and offline was asked for" if offline else refused
        raise InputError(
            f"tokenizer '{name}': no such folder, and as a hub name: {reason}. Check the name, or download it on a "
            f"machine with access (huggingface-cli download {name} --local-dir FOLDER) and give that folder"
        ) from error
    return pathlib.Path(folder)


def has_tokenizer(folder: pathlib.Path) -> bool:
    """Says whether a folder holds a tokenizer's vocabulary."""
    return any((folder / name).is_file() for name in _VOCABULARY_FILES)


def _find_folder(source: str, *, offline: bool) -> pathlib.Path:
    folder = pathlib.Path(source).expanduser()
    if not folder.is_dir():
        if folder.exists() or source.startswith(("/", ".", "~")) or source.count("/") > 1:
            raise InputError(
                f"tokenizer '{source}': no such folder; give a Hugging Face tokenizer folder or a hub name"
            )
        folder = _download(source, offline=offline)
    if not has_tokenizer(folder):
        raise InputError(
            f"tokenizer '{source}': {folder} has none of the files {', '.join(_VOCABULARY_FILES)}; copy those of the "
            "model's tokenizer into it, or for fine-tuning set config.model.tokenizer"
        )
    return folder


def _import_transformers() -> Any:
    """Imports it late, because that takes seconds, and without its advice to install PyTorch, which is not needed."""
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    import transformers

    return transformers


def _transformers_class(folder: pathlib.Path) -> Any:
    """Returns the class that loads a folder: what `AutoTokenizer` chooses, found without it for GPT-2 and BERT.

    `AutoTokenizer` imports PyTorch where that is installed, which takes seconds.
    """
    transformers = _import_transformers()
    settings, model = (_read_object(folder / name) for name in ("tokenizer_config.json", "config.json"))
    model_type = model.get("model_type")
    named = settings.get("tokenizer_class") or model.get("tokenizer_class") or _CLASS_OF_MODEL.get(str(model_type))
    class_name = _CLASSES.get(named) if isinstance(named, str) else None
    if class_name is None or "auto_map" in settings or model_type not in (None, *_CLASS_OF_MODEL):
        return transformers.AutoTokenizer
    return getattr(transformers, class_name)


def _read_object(path: pathlib.Path) -> dict[str, Any]:
    """Returns a file's JSON object; an empty one where the file is missing or holds something else."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _stated_word_limit(folder: pathlib.Path) -> int | None:
    """Returns the word limit of a folder's `tokenizer.json`, which transformers 5 forgets for its BERT class."""
    model = _read_object(folder / "tokenizer.json").get("model")
    return model.get("max_input_chars_per_word") if isinstance(model, dict) else None


def _with_word_limit(pretrained: Any, max_word_characters: int) -> Any:
    """Returns the tokenizer with another word limit, in the class whose saved folders keep it."""
    transformers = _import_transformers()
    pretrained.backend_tokenizer.model.max_input_chars_per_word = max_word_characters
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=pretrained.backend_tokenizer,
        model_max_length=pretrained.model_max_length,
        model_input_names=pretrained.model_input_names,  # whether transformers returns segment ids
        **pretrained.special_tokens_map,
    )


def _load_from_bucket(source: str, *, max_word_characters: int | None) -> Tokenizer:
    with local_copy(source) as folder:
        try:
            loaded = load_tokenizer(str(folder), offline=True, max_word_characters=max_word_characters)
        except InputError as error:
            raise InputError(str(error).replace(str(folder), source)) from error
    return dataclasses.replace(loaded, name=source)


def _from_folder(folder: pathlib.Path) -> Any:
    """Loads a folder in transformers, of which none of its own code is run."""
    return _transformers_class(folder).from_pretrained(str(folder), local_files_only=True, trust_remote_code=False)


def _why_not_loaded(folder: pathlib.Path, error: BaseException) -> str:
    """Returns the reason as one line; tokenizers raises bare exceptions, and transformers pages of advice."""
    settings = _read_object(folder / "tokenizer_config.json")
    named, by_file = settings.get("tokenizer_class"), (folder / "tokenizer.json").is_file()
    way_out = 'write "tokenizer_class": "PreTrainedTokenizerFast" into its tokenizer_config.json' + (
        "" if by_file else ", and beside it the tokenizer.json that its save_pretrained writes for a fast tokenizer"
    )
    if "auto_map" in settings:
        return f"it brings its own code (auto_map), which is never run; remove auto_map, and {way_out}"
    if named is not None and not (isinstance(named, str) and hasattr(_import_transformers(), named)):
        return f"transformers has no tokenizer_class {named!r}; {way_out}"
    reason = " ".join(str(error).split()) or type(error).__name__
    return reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]}..."


def load_tokenizer(source: str, *, offline: bool = False, max_word_characters: int | None = None) -> Tokenizer:
    """Loads a tokenizer from a Hugging Face folder or a hub name.

    Args:
      source: a folder, of a bucket too, or a name on the hub.
      offline: whether to use only what is on this machine.
      max_word_characters: raises WordPiece's limit, above which a whole word becomes one unknown token. It is 100 as a
        rule, and a DNA sequence is one word.

    Raises:
      InputError: there is no such tokenizer, it is not a fast one, or `max_word_characters` does not apply to it.
    """
    if max_word_characters is not None and max_word_characters < 1:
        raise InputError(f"max_word_characters={max_word_characters} must be at least 1")
    if is_in_bucket(source):
        return _load_from_bucket(source, max_word_characters=max_word_characters)
    folder = _find_folder(source, offline=offline)
    check_sums(folder, _DOWNLOADED_FILES)
    try:
        pretrained = _from_folder(folder)
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise InputError(
            f"tokenizer '{source}': {folder} cannot be loaded: {_why_not_loaded(folder, error)}"
        ) from error
    if getattr(pretrained, "backend_tokenizer", None) is None:
        class_name = type(pretrained).__name__
        raise InputError(f"tokenizer '{source}': {class_name} is not a fast tokenizer; convert it to a tokenizer.json")
    kind = type(pretrained.backend_tokenizer.model).__name__.lower()
    if kind == "wordpiece":
        limit = max_word_characters or _stated_word_limit(folder)
        if limit and limit != pretrained.backend_tokenizer.model.max_input_chars_per_word:
            pretrained = _with_word_limit(pretrained, limit)
    elif max_word_characters is not None:
        raise InputError(f"max_word_characters is for WordPiece; tokenizer '{source}' is {kind} and has no such limit")
    backend = pretrained.backend_tokenizer
    check_as_in_file(folder, backend)
    backend.no_truncation()
    backend.no_padding()
    settings = json.loads(backend.to_str())
    if settings["model"].get("dropout"):
        raise InputError(
            f"tokenizer '{source}': cuts texts at random (dropout={settings['model']['dropout']}); set dropout to null "
            "in its tokenizer.json"
        )
    unknown_token = settings["model"].get("unk_token")
    end_id, pad_id = pretrained.eos_token_id, pretrained.pad_token_id
    if pad_id is None and end_id is None:
        raise InputError(
            f"tokenizer '{source}': has neither a pad nor an end-of-text token; name one in its tokenizer_config.json"
        )
    return Tokenizer(
        name=source,
        fingerprint=hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest(),
        kind=kind,
        vocab_size=max(backend.get_vocab(with_added_tokens=True).values()) + 1,
        pad_id=end_id if pad_id is None else pad_id,
        unknown_id=backend.token_to_id(unknown_token) if unknown_token else settings["model"].get("unk_id"),
        start_id=pretrained.bos_token_id if pretrained.cls_token_id is None else pretrained.cls_token_id,
        separator_id=end_id if pretrained.sep_token_id is None else pretrained.sep_token_id,
        end_id=end_id,
        mask_id=pretrained.mask_token_id,
        special_ids=tuple(sorted(set(pretrained.all_special_ids))),
        _pretrained=pretrained,
    )
