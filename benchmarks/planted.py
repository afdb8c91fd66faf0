"""Made-up tables: clean ones of many kinds, and the same with one give-away planted. Seeded; nothing is read or kept.

In a clean table of pairs both texts of a row of label 1 descend from one ancestor by one noisy channel, and those of
label 0 from two; so each text alone looks the same under both labels. In a clean table of single texts the label
follows from nothing.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from lingjax.evaluation.giveaways import AuditedRows

BASES, RESIDUES = "ACGT", "ACDEFGHIKLMNPQRSTVWY"
Rng = np.random.Generator


@dataclasses.dataclass(frozen=True)
class Tables:
    """A table, and the rows that a model would be trained on where the fault lies between the two."""

    rows: AuditedRows
    training: AuditedRows | None = None


# --- clean tables ---------------------------------------------------------------------------------------------------


def draw_labels(rng: Rng, rows: int, one_in: int = 2) -> np.ndarray:
    """Labels in random order, of which one in `one_in` is 1."""
    labels = np.zeros(rows, np.int64)
    labels[: rows // one_in] = 1
    return rng.permutation(labels)


def _background(rng: Rng, letters: str, *, skewed: bool) -> np.ndarray:
    return rng.dirichlet(np.full(len(letters), 12.0)) if skewed else np.full(len(letters), 1 / len(letters))


def _noisy(text: np.ndarray, rng: Rng, letters: str, weights: np.ndarray, *, rate: float) -> np.ndarray:
    """Substitutes, inserts and deletes."""
    text = text.copy()
    changed = rng.random(text.size) < rate
    text[changed] = rng.choice(list(letters), changed.sum(), p=weights)
    kept = text[rng.random(text.size) >= rate / 10]
    places = np.flatnonzero(rng.random(kept.size) < rate / 10)
    return np.insert(kept, places, rng.choice(list(letters), places.size, p=weights))


def _sequence_pairs(rng: Rng, labels: np.ndarray, letters: str, *, length: tuple[int, int], skewed: bool):
    weights = _background(rng, letters, skewed=skewed)
    first, second = [], []
    for label in labels:
        size = int(rng.integers(length[0], length[1] + 1))
        ancestor = rng.choice(list(letters), size, p=weights)
        other = ancestor if label else rng.choice(list(letters), int(rng.integers(length[0], length[1] + 1)), p=weights)
        first.append("".join(_noisy(ancestor, rng, letters, weights, rate=0.2)))
        second.append("".join(_noisy(other, rng, letters, weights, rate=0.2)))
    return first, second


def _dna_pairs(rng: Rng, labels: np.ndarray):
    return _sequence_pairs(rng, labels, BASES, length=(100, 100), skewed=False)


def _skewed_dna_pairs(rng: Rng, labels: np.ndarray):
    return _sequence_pairs(rng, labels, BASES, length=(60, 140), skewed=True)


def _protein_pairs(rng: Rng, labels: np.ndarray):
    return _sequence_pairs(rng, labels, RESIDUES, length=(40, 90), skewed=True)


def _vocabulary(rng: Rng) -> tuple[np.ndarray, np.ndarray]:
    consonants, vowels = list("bcdfghklmnprstvw"), list("aeiou")
    words = {
        "".join(rng.choice(consonants) + rng.choice(vowels) for _ in range(int(rng.integers(1, 4))))
        + rng.choice(["", "n", "s"])
        for _ in range(600)
    }
    names = np.array(sorted(words))
    rng.shuffle(names)
    weights = 1 / np.arange(2, names.size + 2)
    return names, weights / weights.sum()


def _said(words: Sequence[str]) -> str:
    text = " ".join(words)
    return text[:1].upper() + text[1:] + "."


def _sentence_pairs(rng: Rng, labels: np.ndarray):
    names, weights = _vocabulary(rng)

    def channel(sentence: np.ndarray) -> str:
        sentence = sentence.copy()
        changed = rng.random(sentence.size) < 0.2
        sentence[changed] = rng.choice(names, changed.sum(), p=weights)
        return _said(sentence)

    first, second = [], []
    for label in labels:
        ancestor = rng.choice(names, int(rng.integers(6, 20)), p=weights)
        other = ancestor if label else rng.choice(names, int(rng.integers(6, 20)), p=weights)
        first.append(channel(ancestor))
        second.append(channel(other))
    return first, second


def _hub_pairs(rng: Rng, labels: np.ndarray):
    """Few texts, each in many rows, of both labels alike: label 1 for two copies of one family."""
    families = max(8, labels.size // 8)
    ancestors = [rng.choice(list(BASES), 90) for _ in range(families)]
    weights = _background(rng, BASES, skewed=False)
    copies = [["".join(_noisy(one, rng, BASES, weights, rate=0.15)) for _ in range(6)] for one in ancestors]
    rows: dict[tuple[str, str], None] = {}
    for label in labels:
        while True:
            one, other = rng.choice(families, 2, replace=False)
            here, there = sorted(rng.choice(6, 2, replace=False))
            row = copies[one][here], copies[one if label else other][there]
            if row not in rows and row[::-1] not in rows:
                break
        rows[row] = None
    first, second = zip(*rows, strict=True)
    return list(first), list(second)


def _single(rng: Rng, labels: np.ndarray, make):
    return make(rng, np.zeros_like(labels))[0], None


CLEAN: Mapping[str, Callable] = {
    "DNA pairs": _dna_pairs,
    "DNA pairs, skewed": _skewed_dna_pairs,
    "protein pairs": _protein_pairs,
    "sentence pairs": _sentence_pairs,
    "pairs of few texts": _hub_pairs,
    "single DNA": lambda rng, labels: _single(rng, labels, _skewed_dna_pairs),
    "single proteins": lambda rng, labels: _single(rng, labels, _protein_pairs),
    "single sentences": lambda rng, labels: _single(rng, labels, _sentence_pairs),
}


def clean(kind: str, *, rows: int, one_in: int, seed: int) -> Tables:
    """A table without give-away."""
    rng = np.random.default_rng((seed, rows, one_in, len(kind)))
    labels = draw_labels(rng, rows, one_in)
    first, second = CLEAN[kind](rng, labels)
    ids = [f"p{number}" for number in rng.permutation(rows)]
    return Tables(AuditedRows(first, second, labels, ids=ids))


# --- planted give-aways ---------------------------------------------------------------------------------------------

_SHARE = 0.9
"""Of the rows concerned, how many have the give-away."""


def _pairs(rng: Rng, rows: int, make=_dna_pairs) -> tuple[list[str], list[str], np.ndarray, np.ndarray]:
    """A clean table, and which rows are to have what label 1 has: nine in ten of label 1, one in ten of label 0."""
    labels = draw_labels(rng, rows)
    first, second = make(rng, labels)
    marked = np.where(rng.random(rows) < _SHARE, labels, 1 - labels) == 1
    return first, second, labels, marked


def _changed(texts: list[str], marked: np.ndarray, change: Callable[[str], str]) -> list[str]:
    return [change(text) if mark else text for text, mark in zip(texts, marked, strict=True)]


def _with_gc(rng: Rng, size: int, share: float) -> str:
    strong = rng.random(size) < share
    return "".join(np.where(strong, rng.choice(["G", "C"], size), rng.choice(["A", "T"], size)))


def _gc_band(rng, rows):
    first, _, labels, marked = _pairs(rng, rows)
    shares = np.where(
        marked,
        rng.uniform(0.42, 0.58, rows),
        rng.permutation(np.concatenate([rng.uniform(0.2, 0.38, rows // 2), rng.uniform(0.62, 0.8, rows - rows // 2)])),
    )
    return Tables(AuditedRows(first, [_with_gc(rng, 100, share) for share in shares], labels))


def _letter_at_a_position(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)
    place = int(rng.integers(3, 60))
    return Tables(
        AuditedRows(first, _changed(second, marked, lambda text: text[:place] + "G" + text[place + 1 :]), labels)
    )


def _motif_in_text_2(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)
    motif = "".join(rng.choice(list(BASES), 8))

    def planted(text):
        place = int(rng.integers(0, len(text) - 8))
        return text[:place] + motif + text[place + 8 :]

    return Tables(AuditedRows(first, _changed(second, marked, planted), labels))


def _bracket_counts(rng, rows):
    """Words of brackets; those of label 0 have one more of one kind; the second text says nothing."""
    labels = draw_labels(rng, rows)
    texts = []
    for label in labels:
        half = int(rng.integers(8, 18))
        word = list("()" * half + "[]" * half)
        rng.shuffle(word)
        if not label:
            word[int(rng.integers(len(word)))] = str(rng.choice(list("()[]")))
        texts.append("".join(word))
    return Tables(AuditedRows(texts, _sentence_pairs(rng, labels)[1], labels))


def _prefix_in_positives(rng, rows):
    first, second, labels, marked = _pairs(rng, rows, _protein_pairs)
    return Tables(AuditedRows(first, _changed(second, marked, lambda text: "M" + text), labels))


def _case(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)
    return Tables(AuditedRows(_changed(first, marked, str.lower), second, labels))


def _codon_phase(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)

    def third(text):
        return "".join(
            str(rng.choice(["G", "C"])) if place % 3 == 2 and rng.random() < 0.4 else letter
            for place, letter in enumerate(text)
        )

    def anywhere(text):
        return "".join(str(rng.choice(["G", "C"])) if rng.random() < 0.4 / 3 else letter for letter in text)

    second = [third(text) if mark else anywhere(text) for text, mark in zip(second, marked, strict=True)]
    return Tables(AuditedRows(first, second, labels))


def _n_runs(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)

    def masked(text):
        size, place = int(rng.integers(4, 15)), int(rng.integers(0, len(text) - 15))
        return text[:place] + "N" * size + text[place + size :]

    return Tables(AuditedRows(_changed(first, marked & (rng.random(rows) < 0.7), masked), second, labels))


def _composition_twins(rng, rows):
    """Every negative is a positive's second text shuffled."""
    first, second, labels, _ = _pairs(rng, rows)
    ones, zeros = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    for one, zero in zip(ones, zeros, strict=False):
        second[zero] = "".join(rng.permutation(list(second[one])))
        if rng.random() < 0.5:
            first[zero] = first[one]
    return Tables(AuditedRows(first, second, labels))


def _conflicting_labels(rng, rows):
    first, second, labels, _ = _pairs(rng, rows)
    for source, target in rng.permutation(rows)[: rows // 20 * 2].reshape(-1, 2):
        first[target], second[target], labels[target] = first[source], second[source], 1 - labels[source]
    return Tables(AuditedRows(first, second, labels))


def _two_tables(rng, rows):
    first, second, labels, _ = _pairs(rng, 2 * rows)
    training = AuditedRows(first[rows:], second[rows:], labels[rows:])
    return first[:rows], second[:rows], labels[:rows], training


def _duplicates_across_splits(rng, rows):
    first, second, labels, training = _two_tables(rng, rows)
    for row in rng.choice(rows, rows // 50, replace=False):
        other = int(rng.integers(rows))
        first[row], second[row], labels[row] = training.first[other], training.second[other], training.labels[other]
    return Tables(AuditedRows(first, second, labels), training)


def _homologs_across_splits(rng, rows):
    first, second, labels, training = _two_tables(rng, rows)
    weights = np.full(4, 0.25)
    for row in rng.choice(rows, rows // 25, replace=False):
        other = int(rng.integers(rows))
        for mine, theirs in ((first, training.first), (second, training.second)):
            mine[row] = "".join(_noisy(np.array(list(theirs[other])), rng, BASES, weights, rate=0.25))
        labels[row] = training.labels[other]
    return Tables(AuditedRows(first, second, labels), training)


def _label_by_source(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)
    files = np.where(marked & (rng.random(rows) < 0.8), 0, rng.integers(1, 4, rows))
    return Tables(AuditedRows(first, second, labels, sources=[f"part{one}.tsv" for one in files]))


def _another_organism(rng, rows):
    """Negatives' second text is from a genome of 42 % GC, all else from one of 50 %."""
    first, second, labels, marked = _pairs(rng, rows)
    return Tables(
        AuditedRows(
            first,
            [text if mark else _with_gc(rng, len(text), 0.42) for text, mark in zip(second, marked, strict=True)],
            labels,
        )
    )


LISTED = {
    "a GC band": _gc_band,
    "a letter at one position of text 2": _letter_at_a_position,
    "a motif in text 2": _motif_in_text_2,
    "brackets that a count decides": _bracket_counts,
    "a fixed prefix": _prefix_in_positives,
    "case": _case,
    "codon phase": _codon_phase,
    "runs of N": _n_runs,
    "composition twins of opposite label": _composition_twins,
    "conflicting labels": _conflicting_labels,
    "duplicated rows across splits": _duplicates_across_splits,
    "homologs across splits": _homologs_across_splits,
    "label by source file": _label_by_source,
    "negatives from another organism": _another_organism,
}


# --- other kinds ----------------------------------------------------------------------------------------------------


def _sorted_labels(rng, rows):
    first, second, labels, _ = _pairs(rng, rows)
    order = np.argsort(labels, kind="stable")
    return Tables(AuditedRows([first[row] for row in order], [second[row] for row in order], labels[order]))


def _telling_ids(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)
    ids = [f"{'hom' if mark else 'rnd'}_{number}" for number, mark in enumerate(marked)]
    return Tables(AuditedRows(first, second, labels, ids=ids))


def _letter_in_the_middle(rng, rows):
    first, second, labels, marked = _pairs(rng, rows, _skewed_dna_pairs)
    return Tables(
        AuditedRows(_changed(first, marked, lambda t: t[: len(t) // 2] + "T" + t[len(t) // 2 + 1 :]), second, labels)
    )


def _space_at_the_end(rng, rows):
    first, second, labels, marked = _pairs(rng, rows, _sentence_pairs)
    return Tables(AuditedRows(first, _changed(second, marked, lambda text: text + " "), labels))


def _punctuation(rng, rows):
    first, second, labels, marked = _pairs(rng, rows, _sentence_pairs)
    return Tables(AuditedRows(first, _changed(second, marked, lambda text: text.rstrip(".")), labels))


def _digits(rng, rows):
    first, second, labels, marked = _pairs(rng, rows, _sentence_pairs)
    return Tables(
        AuditedRows(
            _changed(first, marked & (rng.random(rows) < 0.7), lambda text: f"{text[:-1]} {rng.integers(100)}."),
            second,
            labels,
        )
    )


def _palindrome(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)
    return Tables(
        AuditedRows(
            first, _changed(second, marked, lambda text: text[: len(text) // 2] + text[: len(text) // 2][::-1]), labels
        )
    )


def _tandem_repeat(rng, rows):
    first, second, labels, marked = _pairs(rng, rows)

    def repeated(text):
        place, unit = int(rng.integers(0, 60)), text[:7]
        return text[:place] + unit * 4 + text[place + 28 :]

    return Tables(AuditedRows(first, _changed(second, marked, repeated), labels))


def _first_letter_and_length(rng, rows):
    """The label follows from first letter and length of text 2 together, and from neither alone."""
    labels = draw_labels(rng, rows)
    first, second = _skewed_dna_pairs(rng, labels)
    long = np.array([len(text) > 100 for text in second])
    marked = np.where(rng.random(rows) < _SHARE, labels, 1 - labels) == 1
    start = np.where(marked == long, rng.choice(["A", "C"], rows), rng.choice(["G", "T"], rows))
    return Tables(AuditedRows(first, [letter + text[1:] for letter, text in zip(start, second, strict=True)], labels))


def _first_letter_with_the_other_length(rng, rows):
    """The label follows from text 2's first letter and text 1's length together."""
    labels = draw_labels(rng, rows)
    first, second = _skewed_dna_pairs(rng, labels)
    long = np.array([len(text) > 100 for text in first])
    marked = np.where(rng.random(rows) < _SHARE, labels, 1 - labels) == 1
    start = np.where(marked == long, rng.choice(["A", "C"], rows), rng.choice(["G", "T"], rows))
    return Tables(AuditedRows(first, [letter + text[1:] for letter, text in zip(start, second, strict=True)], labels))


def _count_of_a_word(rng, rows):
    first, second, labels, marked = _pairs(rng, rows, _sentence_pairs)
    return Tables(AuditedRows(first, _changed(second, marked, lambda text: f"{text[:-1]} the heron."), labels))


def _length_parity(rng, rows):
    first, second, labels, marked = _pairs(rng, rows, _skewed_dna_pairs)
    return Tables(
        AuditedRows(
            first,
            [text if (len(text) % 2 == 1) == mark else text[:-1] for text, mark in zip(second, marked, strict=True)],
            labels,
        )
    )


def _shuffled_negatives(rng, rows):
    """Text 2 of a negative is text 1 in another order."""
    first, second, labels, _ = _pairs(rng, rows)
    second = [
        text if label else "".join(rng.permutation(list(one)))
        for one, text, label in zip(first, second, labels, strict=True)
    ]
    return Tables(AuditedRows(first, second, labels))


def _stop_codons(rng, rows):
    """Positives have no stop codon in their first frame."""
    first, second, labels, marked = _pairs(rng, rows)

    def open_frame(text):
        triplets = [text[place : place + 3] for place in range(0, len(text), 3)]
        return "".join("GCA" if one in ("TAA", "TAG", "TGA") else one for one in triplets)

    return Tables(AuditedRows(_changed(first, marked, open_frame), second, labels))


def _single_prefix(rng, rows):
    table = _prefix_in_positives(rng, rows).rows
    return Tables(AuditedRows(table.second, None, table.labels))


def _single_length(rng, rows):
    first, _, labels, marked = _pairs(rng, rows)
    return Tables(
        AuditedRows(
            [
                text[: int(rng.integers(80, 90)) if mark else int(rng.integers(84, 94))]
                for text, mark in zip(first, marked, strict=True)
            ],
            None,
            labels,
        )
    )


OTHERS = {
    "sorted labels": _sorted_labels,
    "ids that tell": _telling_ids,
    "a letter in the middle": _letter_in_the_middle,
    "a space at the end": _space_at_the_end,
    "punctuation": _punctuation,
    "digits": _digits,
    "a palindrome": _palindrome,
    "a tandem repeat": _tandem_repeat,
    "first letter with length": _first_letter_and_length,
    "first letter with the other text's length": _first_letter_with_the_other_length,
    "one word": _count_of_a_word,
    "parity of length": _length_parity,
    "negatives that are shuffled positives": _shuffled_negatives,
    "no stop codon in frame": _stop_codons,
    "a prefix of single texts": _single_prefix,
    "length of single texts": _single_length,
}


def planted(kind: str, *, rows: int, seed: int) -> Tables:
    """A table with one give-away."""
    make = {**LISTED, **OTHERS}[kind]
    return make(np.random.default_rng((seed, rows, len(kind))), rows)
