"""Artefacts that could pass for transfer, or hide it, each planted in an otherwise clean target and judged from the raw
pairs on: every one is named in the verdict, in words, and the clean target is not."""

import dataclasses

import numpy as np
import pytest

from lingjax.data import PairEncoder, PairRecord, load_tokenizer, measure_tokens
from lingjax.errors import InputError
from lingjax.evaluation import (
    PairSides,
    TextControls,
    assess,
    audit_target,
    check_unknown_tokens,
    complete_controls,
    label_shortcuts,
    summarise,
)

ROWS = 240
LENGTH = 70
BASES = "ACGT"
RESIDUES = "ACDEFGHIKLMNPQRSTVWY"
CODONS = "GCTTGTGATGAATTTGGTCATATTAAACTTATGAATCCTCAACGTTCTACTGTTTGGTAT"  # one for each of these


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    """WordPiece that can spell every sequence of up to 100 letters; a longer word is one `[UNK]`, as BERT has it."""
    import tokenizers
    from transformers import BertTokenizerFast

    backend = tokenizers.BertWordPieceTokenizer()
    letters = [f"{letter} {letter}{letter}" for letter in RESIDUES]
    backend.train_from_iterator(letters, vocab_size=200, min_frequency=1, show_progress=False)
    folder = tmp_path_factory.mktemp("wordpiece")
    BertTokenizerFast(tokenizer_object=backend._tokenizer).save_pretrained(str(folder))
    return load_tokenizer(str(folder), offline=True)


def random_text(rng, length=LENGTH, letters=BASES):
    return "".join(rng.choice(list(letters), length))


def mutated(text, rng, *, fraction, letters=BASES):
    """The text with a share of its letters replaced by others."""
    changed = list(text)
    for place in rng.choice(len(text), round(fraction * len(text)), replace=False):
        changed[place] = rng.choice([letter for letter in letters if letter != text[place]])
    return "".join(changed)


def dna_pairs(rng, rows=ROWS):
    """Half mutated copies, half unrelated, of one length and one composition."""
    pairs = []
    for row in range(rows):
        first = random_text(rng)
        second = mutated(first, rng, fraction=0.3) if row % 2 else random_text(rng)
        pairs.append(PairRecord(f"p{row}", first, second, row % 2))
    return pairs


def skilled(labels, *, skill=2.5, seeds=3):
    """Logits by seed that rank rows of label 1 above the others."""
    rng = np.random.default_rng(1)
    return {seed: skill * (labels - 0.5) + rng.normal(size=labels.size) for seed in range(seeds)}


def judged(target, tokenizer, make_predictions, *, logits=None, source=None):
    """Audit and verdict as the evaluation stage makes them from pairs and logits."""
    labels = np.array([record.label for record in target], np.int32)
    logits = skilled(labels) if logits is None else logits
    predictions = {seed: make_predictions(labels, 1 / (1 + np.exp(-one))) for seed, one in logits.items()}
    summary = summarise(predictions, replicates=100)
    tokens = measure_tokens(target, PairEncoder(tokenizer, pair_format="bert", max_length=512))
    sides = PairSides.of(target, tokenizer)
    shortcuts = label_shortcuts(sides)
    audit = audit_target(target, tokens, source_records=source, shortcuts=shortcuts)
    controls = complete_controls(TextControls(source=None, dev=None).measure(sides), reason="not run")
    verdict = assess(predictions, summary=summary, controls=controls, audit=audit, source=None, synthetic=False)
    return audit, verdict, tokens


def about(verdict, words):
    return [text for text in verdict.warnings if words in text]


WORDS = {
    "unknown": "are unknown to the tokenizer",
    "flipped": "Orientation flipped",
    "length": "The labels follow from length alone",
    "conflict": "Rows of a pair that occurs with both labels",
    "repeat": "Rows that repeat an earlier pair",
    "shared": "Rows that also occur in the source training set",
    "similar": "near-copy of one in the source training set",
    "encode": "of the negatives hold DNA that encodes",
    "collapsed": "Collapsed predictions",
}


@pytest.fixture
def clean():
    return dna_pairs(np.random.default_rng(0))


@pytest.fixture
def judge(tokenizer, make_predictions):
    def run(target, **options):
        return judged(target, tokenizer, make_predictions, **options)

    return run


def test_the_clean_target_has_none_of_the_warnings(judge, clean):
    source = dna_pairs(np.random.default_rng(9), rows=2000)
    _, verdict, tokens = judge(clean, source=source)
    check_unknown_tokens(tokens, target="clean", tokenizer="wordpiece")
    assert verdict.orientation == "direct"
    assert not [text for words in WORDS.values() for text in about(verdict, words)]


def test_rows_of_one_unknown_token_stop_an_evaluation_or_are_named(judge):
    rng = np.random.default_rng(2)
    target = [
        PairRecord(f"p{row}", random_text(rng, 120), random_text(rng, 120), int(rng.integers(2))) for row in range(ROWS)
    ]
    audit, verdict, tokens = judge(target)
    assert (audit.unknown_token_fraction, audit.rows_all_unknown) == (1.0, ROWS)
    assert audit.tokens_per_row["max"] == 5  # [CLS] [UNK] [SEP] [UNK] [SEP]
    assert about(verdict, f"100.0% of the tokens {WORDS['unknown']}, and {ROWS} rows hold nothing else")
    with pytest.raises(InputError, match=f"{ROWS} of {ROWS} rows hold nothing else"):
        check_unknown_tokens(tokens, target="dna", tokenizer="wordpiece")


def test_unknown_rows_are_found_among_long_rows_that_outweigh_them(judge):
    """A tenth of the rows is unreadable; of all tokens that is less than 1 %."""
    rng = np.random.default_rng(3)
    target = [
        PairRecord(f"p{row}", *(" ".join(random_text(rng, 80) for _ in range(2)) for _ in "ab"), row % 2)
        if row % 10
        else PairRecord(f"p{row}", random_text(rng, 120), random_text(rng, 120), row % 4 // 2)
        for row in range(ROWS)
    ]
    audit, verdict, tokens = judge(target)
    assert audit.unknown_token_fraction < 0.01
    assert about(verdict, f"and {ROWS // 10} rows hold nothing else")
    with pytest.raises(InputError, match="rows hold nothing else"):
        check_unknown_tokens(tokens, target="dna", tokenizer="wordpiece")


def test_swapped_labels_are_called_flipped(judge, clean):
    labels = np.array([record.label for record in clean])
    _, verdict, _ = judge(clean, logits=skilled(1 - labels, skill=6.0))
    assert (verdict.orientation, verdict.above_chance, verdict.above_best_control) == ("flipped", False, False)
    assert about(verdict, f"{WORDS['flipped']}: the model ranks unlike pairs above like ones (AUROC 0.00")


def test_labels_decided_by_length_are_named(judge, clean):
    target = [dataclasses.replace(record, sentence2=record.sentence2[: 60 if record.label else 50]) for record in clean]
    audit, verdict, _ = judge(target)
    assert audit.length_predicts_label.auroc > 0.99
    assert len(about(verdict, WORDS["length"])) == 1


def test_duplicates_with_both_labels_are_counted(judge, clean):
    extra = [
        PairRecord(f"x{row}", clean[row].sentence2.lower(), clean[row].sentence1, 1 - clean[row].label)
        for row in range(5)
    ]
    audit, verdict, _ = judge(clean + extra)
    assert (audit.duplicate_rows, audit.conflicting_label_rows) == (5, 10)
    assert about(verdict, f"{WORDS['conflict']}: 10.")
    assert about(verdict, f"{WORDS['repeat']}: 5;")


def test_target_rows_inside_the_source_are_counted(judge, clean):
    source = dna_pairs(np.random.default_rng(4), rows=500)
    source[100:103] = [
        PairRecord(f"s{row}", clean[row].sentence2, clean[row].sentence1, clean[row].label) for row in range(3)
    ]
    audit, verdict, _ = judge(clean, source=source)
    assert (audit.rows_shared_with_source, audit.rows_similar_to_source) == (3, 3)
    assert about(verdict, f"{WORDS['shared']}: 3.")


@pytest.mark.parametrize("letters", [BASES, RESIDUES], ids=["dna", "protein"])
def test_homologs_of_the_training_data_are_counted(judge, letters):
    """One text of 12 rows is a training text of which 10 % of the letters were substituted."""
    rng = np.random.default_rng(5)
    texts = [random_text(rng, 90, letters) for _ in range(4 * ROWS)]
    source = [PairRecord(f"s{row}", texts[2 * row], texts[2 * row + 1], row % 2) for row in range(2 * ROWS)]
    target = [
        PairRecord(
            f"p{row}",
            random_text(rng, 90, letters),
            mutated(texts[row], rng, fraction=0.1, letters=letters) if row < 12 else random_text(rng, 90, letters),
            row % 2,
        )
        for row in range(ROWS)
    ]
    audit, verdict, _ = judge(target, source=source)
    assert (audit.rows_shared_with_source, audit.rows_similar_to_source) == (0, 12)
    assert len(about(verdict, WORDS["similar"])) == 1


def coding_pairs(rng, *, encoding_negatives):
    """Positives whose DNA encodes their protein; negatives with another protein, some with a piece of their own."""
    codon = {residue: CODONS[3 * index : 3 * index + 3] for index, residue in enumerate(RESIDUES)}
    pairs = []
    for row in range(ROWS):
        protein, other = random_text(rng, 25, RESIDUES), random_text(rng, 25, RESIDUES)
        dna = "".join(codon[residue] for residue in protein)
        if row % 2 == 0 and row < 2 * encoding_negatives:
            other = other[:10] + protein[3:11] + other[18:]
        pairs.append(PairRecord(f"p{row}", dna, protein if row % 2 else other, row % 2))
    return pairs


def test_negatives_that_encode_are_named(judge):
    audit, verdict, _ = judge(coding_pairs(np.random.default_rng(6), encoding_negatives=12))
    assert (audit.negatives_that_encode_fraction, audit.positives_that_encode_fraction) == (0.1, 1.0)
    assert about(verdict, f"10% {WORDS['encode']}")


def test_a_single_negative_that_encodes_shows_in_the_audit_but_may_be_chance(judge):
    audit, verdict, _ = judge(coding_pairs(np.random.default_rng(6), encoding_negatives=1))
    assert audit.negatives_that_encode_fraction == pytest.approx(2 / ROWS)
    assert not about(verdict, WORDS["encode"])


@pytest.mark.parametrize("says", [0, 1])
def test_a_model_that_says_one_class_is_named(judge, clean, says):
    labels = np.array([record.label for record in clean])
    logits = {seed: one + (20 if says else -20) for seed, one in skilled(labels).items()}
    _, verdict, _ = judge(clean, logits=logits)
    (warning,) = about(verdict, WORDS["collapsed"])
    assert f"seed 0 says {says} for 100.0%" in warning
    assert about(verdict, "The decision threshold does not transfer")
