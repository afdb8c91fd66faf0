"""Adding tokens, learnt on new texts, to a tokenizer that a model was trained with.

Old ids keep their tokens, and text that the new tokens do not concern is cut as before, so that the model goes on as
it was. How tokens are added depends on how each kind cuts a word.

BPE applies merges in their order. The texts are first cut by the old merges, and training goes on from there: the new
merges come after the old ones and join what the old ones leave side by side. So an old merge never waits for a new one,
every new token is reached, and a word changes only where two of its tokens stand side by side that were worth joining
in the new texts. New tokens of DNA and protein are runs of capital letters: words in small letters cannot change. Two
other ways are wrong:

- Merges learnt afresh and put after the old ones: many start from tokens that the old merges never leave, and their
  tokens never occur.
- `add_tokens` of transformers: such tokens are cut out before any merge, also inside words. With ATTAC added, GPT-2
  reads "CATTLE ATTACK" no longer as ` ATT` `ACK` but as ` ` `ATTAC` `K`.

WordPiece takes the longest entry that fits, from the left. Merges play no part, so new entries are learnt on the new
texts alone and those that are there already are left out. Whole words of the vocabulary cannot change; but an uncased
BERT sees DNA and protein in small letters, and inside a rare English word, cut into pieces, a new entry may be longer
than what fitted so far. WordPiece also calls every word unknown that is longer than a limit, 100 characters in BERT. A
DNA sequence is one word, so the limit is raised to the longest word of the texts.

Texts to `keep` are cut as before to the last token (words above the old limit excepted): an addition that would change
them is not made, nor what builds on it. That costs little where the old tokens are many. A small BPE spells capitals
letter by letter: a single acronym then keeps its letters apart in DNA too, and tokens become much shorter. The report
counts what changes in texts that were held out, so that both sides can be weighed.
"""

import itertools
import json
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import tokenizers

from data_prep.corpora import open_corpus
from data_prep.tokenizer_additions import ReadTexts, learn_merges, learn_new_pieces
from data_prep.tokenizer_corpora import draw_mixture, identify, open_held_out, open_mixture, read_documents
from data_prep.tokenizer_folder import is_built, write_folder
from data_prep.tokenizer_kinds import WORDPIECE_PREFIX, split_words
from data_prep.tokenizer_report import compare, describe_sample
from lingjax.data import Tokenizer, load_tokenizer
from lingjax.errors import InputError, raise_problems

_SETTINGS = "tokenizer.json"
_LONGEST_WORD = 10_000  # WordPiece's time grows with the cube of a word's length; it takes seconds for this one


def extend_tokenizer(
    out: Path | str,
    *,
    source: str,
    corpora: Sequence[tuple[str, float]],
    add_tokens: int,
    keep: Sequence[str] = (),
    max_word_characters: int | None = None,
    max_characters: int | None = None,
    seed: int = 0,
    overwrite: bool = False,
) -> Path:
    """Extends a tokenizer, writes it to `out` and returns that folder; one made by the same call is left alone.

    The new tokens get the ids after the largest old one, in the order in which they were learnt. The same arguments
    give the same bytes.

    Args:
      out: the folder; complete or absent, whatever happens.
      source: a folder, or a name on the hub, of a byte-level BPE as GPT-2's or a WordPiece as BERT's.
      corpora: corpus references with their shares of characters; shares need not sum to 1.
      add_tokens: how many tokens to add; exactly as many come.
      keep: references of corpora whose training texts must be cut as before.
      max_word_characters: for WordPiece, the longest word that is not replaced by one unknown token, at least the
        tokenizer's own limit; by default the longest word of `corpora`.
      max_characters: most characters of all corpora together; None limits DNA and protein, as `draw_mixture`.
      seed: decides which documents are taken where a corpus is larger than its share.
      overwrite: whether a folder with another tokenizer of ours in it is replaced.

    Raises:
      InputError: an argument cannot be used, the texts give fewer tokens, or `out` may not be replaced.
    """
    out = Path(out).expanduser()
    if add_tokens < 1 or seed < 0:
        raise InputError(f"--add_tokens={add_tokens} must be 1 or more, and --seed={seed} must be 0 or more")
    opened = open_mixture(corpora)
    kept = [open_corpus(reference, default=["train"]) for reference in keep]
    given = load_tokenizer(source)
    request = {
        "extend": {"name": Path(source).name, "fingerprint": given.fingerprint},
        "add_tokens": add_tokens,
        "seed": seed,
        "corpora": [identify(corpus) | {"weight": weight} for corpus, weight in opened],
        "keep": [identify(corpus) for corpus in kept],
        "max_word_characters": max_word_characters,
    }
    if max_characters is not None:
        request["max_characters"] = max_characters
    if is_built(out, request, overwrite=overwrite):
        return out
    settings = _read_settings(given)
    _check_extendable(source, settings)
    word_limit = settings["model"].get("max_input_chars_per_word")

    samples, limit = draw_mixture(opened, seed=seed, max_characters=max_characters)
    measured = [open_held_out(corpus) for corpus in (*(sample.corpus for sample in samples), *kept)]

    def read_texts() -> Iterable[str]:
        return read_documents(samples)

    def read_kept() -> Iterable[str]:
        return itertools.chain(*kept)

    base = given
    if given.kind == "wordpiece" or max_word_characters is not None:
        texts = itertools.chain(read_texts(), *measured[: len(samples)])
        base = _with_word_limit(given, settings, texts, wanted=max_word_characters)
        settings = _read_settings(base)
    extended = _extend(
        settings, first_new_id=given.vocab_size, read_texts=read_texts, read_kept=read_kept, count=add_tokens
    )

    def save(folder: Path) -> None:
        base.save(folder)
        (folder / _SETTINGS).write_text(json.dumps(extended, ensure_ascii=False), encoding="utf-8")

    parts = [describe_sample(sample, samples) for sample in samples]
    parts += [{"name": corpus.split.name, "domain": corpus.domain, "documents_kept": len(corpus)} for corpus in kept]
    before, after = _build(settings), _build(extended)
    report = {
        "request": request,
        "max_characters": limit,
        "vocab_size": given.vocab_size + add_tokens,
        "vocab_size_before": given.vocab_size,
        "max_word_characters": extended["model"].get("max_input_chars_per_word"),
        "max_word_characters_before": word_limit,
        "corpora": [
            part | {"measured_on": compare(corpus, before, after, first_new_id=given.vocab_size)}
            for part, corpus in zip(parts, measured, strict=True)
        ],
    }
    write_folder(out, save, report)
    return out


def _read_settings(tokenizer: Tokenizer) -> dict[str, Any]:
    """Returns what a tokenizer's `tokenizer.json` says."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save(folder)
        return json.loads((Path(folder) / _SETTINGS).read_text(encoding="utf-8"))


def _build(settings: dict[str, Any]) -> tokenizers.Tokenizer:
    return tokenizers.Tokenizer.from_str(json.dumps(settings))


def _check_extendable(source: str, settings: dict[str, Any]) -> None:
    """Raises what stands against adding tokens to this tokenizer in the way that its kind needs."""
    model = settings["model"]
    outside = [token for token in settings["added_tokens"] if token["content"] not in model["vocab"]]
    if model["type"] == "BPE":
        obstacles = {
            "it is not byte-level": "ByteLevel" not in json.dumps(settings["pre_tokenizer"]),
            "it takes whole words before merges": model["ignore_merges"],
            "it marks a token's place in its word": model["continuing_subword_prefix"] or model["end_of_word_suffix"],
        }
    elif model["type"] == "WordPiece":
        obstacles = {
            "it does not mark inner pieces by ##": model["continuing_subword_prefix"] != WORDPIECE_PREFIX,
            "it has no normalizer or no pre-tokenizer": not (settings["normalizer"] and settings["pre_tokenizer"]),
            "a token was added to it as a single word": any(token["single_word"] for token in outside),
        }
    else:
        obstacles = {f"it is {model['type']}": True}
    raise_problems(
        f"tokenizer '{source}' is no byte-level BPE like GPT-2's and no WordPiece like BERT's, as --extend needs",
        [text for text, found in obstacles.items() if found],
    )


def _with_word_limit(
    given: Tokenizer, settings: dict[str, Any], texts: Iterable[str], *, wanted: int | None
) -> Tokenizer:
    """Returns the tokenizer with the wanted word limit, or else with that of the longest word of some texts."""
    limit = settings["model"].get("max_input_chars_per_word", 0)
    if wanted is None:
        backend = _build(settings)
        longest = max(map(len, split_words(texts, backend.normalizer, backend.pre_tokenizer)), default=0)
        if longest > max(limit, _LONGEST_WORD):
            raise InputError(
                f"--corpora hold a word of {longest:,} characters, for which WordPiece takes very long; build them in "
                f"shorter windows, or let longer words be unknown with --max_word_characters={_LONGEST_WORD}"
            )
        wanted = max(limit, longest)
    elif wanted < limit:
        raise InputError(
            f"--max_word_characters={wanted} is below the limit of tokenizer '{given.name}', {limit}: words that it "
            "knows would become unknown"
        )
    return given if wanted == limit else load_tokenizer(given.name, max_word_characters=wanted)


def _extend(
    settings: dict[str, Any], *, first_new_id: int, read_texts: ReadTexts, read_kept: ReadTexts, count: int
) -> dict[str, Any]:
    """Returns the settings with `count` more tokens."""
    tokenizer, model = _build(settings), settings["model"]
    texts = {"read_texts": read_texts, "read_kept": read_kept}
    if model["type"] == "BPE":
        merges = learn_merges(tokenizer, count=count, **texts)
        tokens = [left + right for left, right in merges]
        model = model | {"merges": [*model["merges"], *merges]}
    else:
        tokens = learn_new_pieces(tokenizer, count=count, **texts)
    # Tokens once added outside the model's vocabulary would be numbered anew, behind the new ones.
    outside = {token["content"]: token["id"] for token in settings["added_tokens"]}
    new = {token: first_new_id + number for number, token in enumerate(tokens)}
    return settings | {"model": model | {"vocab": outside | model["vocab"] | new}}
