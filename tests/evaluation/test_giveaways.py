"""Give-aways planted in made-up tables are found, each by what reads it; clean tables have none."""

import numpy as np
import pytest

from benchmarks.planted import CLEAN, LISTED, OTHERS, clean, planted
from lingjax.alphabets import reverse_complement
from lingjax.evaluation.giveaways import AuditedRows, audit_rows, clean_rows
from lingjax.evaluation.giveaways.copies import near_copies
from lingjax.evaluation.giveaways.exact import similar_rows
from lingjax.evaluation.giveaways.probe import dealt

ROWS = 300
FOUND_BY = {
    "a GC band": "letters, text 2 alone",
    "a letter at one position of text 2": "letters at fixed positions, text 2 alone",
    "a motif in text 2": "runs of 5 and 6 letters, text 2 alone",
    "brackets that a count decides": "letters counted against each other, text 1 alone",
    "a fixed prefix": "letters at fixed positions, text 2 alone",
    "case": "case, text 1 alone",
    "codon phase": "letters by phase, text 2 alone",
    "runs of N": "repeats and symmetry, text 1 alone",
    "composition twins of opposite label": "composition twins of opposite label",
    "conflicting labels": "conflicting labels",
    "duplicated rows across splits": "rows shared",
    "homologs across splits": "near copies",
    "label by source file": "source, no text",
    "negatives from another organism": "letters, text 2 alone",
    "sorted labels": "order of the rows, no text",
    "ids that tell": "id, no text",
    "a letter in the middle": "letters at fixed positions, text 1 alone",
    "a space at the end": "spaces, digits and punctuation, text 2 alone",
    "punctuation": "letters at fixed positions, text 2 alone",
    "digits": "spaces, digits and punctuation, text 1 alone",
    "a palindrome": "repeats and symmetry, text 2 alone",
    "a tandem repeat": "repeats and symmetry, text 2 alone",
    "first letter with length": "two simple features together, text 2 alone",
    "first letter with the other text's length": (
        "ends of one text with the length of the other, or case, unlike features of both texts"
    ),
    "one word": "words and pairs of words, text 2 alone",
    "parity of length": "length, text 2 alone",
    "negatives that are shuffled positives": "shuffled texts",
    "no stop codon in frame": "letters by phase, text 1 alone",
    "a prefix of single texts": "letters at fixed positions, the text",
    "length of single texts": "length, the text",
}
TWICE = {
    "first letter with length",
    "first letter with the other text's length",
    "parity of length",
    "length of single texts",
    "no stop codon in frame",
}
QUICK = [*LISTED, "ids that tell", "first letter with length", "length of single texts"]


def audit(tables, **options):
    return audit_rows(tables.rows, tables.training, **options)


@pytest.mark.parametrize(
    "kind", [*QUICK, *(pytest.param(one, marks=pytest.mark.exhaustive) for one in OTHERS if one not in QUICK)]
)
def test_a_planted_giveaway_is_found_by_what_reads_it(kind):
    found = audit(planted(kind, rows=2 * ROWS if kind in TWICE else ROWS, seed=3))
    assert FOUND_BY[kind] in [finding.name for finding in found.findings]


@pytest.mark.parametrize("kind", CLEAN)
@pytest.mark.parametrize("one_in", [2, pytest.param(20, marks=pytest.mark.exhaustive)])
def test_a_clean_table_has_no_finding(kind, one_in):
    assert not audit(clean(kind, rows=200, one_in=one_in, seed=5)).findings


@pytest.fixture(scope="module")
def position():
    return audit(planted("a letter at one position of text 2", rows=400, seed=1))


def test_a_finding_says_what_is_read_how_well_and_shows_rows(position):
    (finding,) = [one for one in position.findings if one.name.startswith("letters at fixed positions")]
    assert finding.category == "shortcut"
    assert "text 2 alone" in finding.words
    assert "'G' at position" in finding.words
    assert len(finding.rows) == 3
    assert len(finding.rows[0].texts) == 2


def test_families_are_ordered_and_their_bounds_are_corrected_for_their_number(position):
    bounds = [one.lower_bound for one in position.families]
    assert bounds == sorted(bounds, reverse=True)
    assert all(one.lower_bound < one.ci95[0] for one in position.families)


def test_likeness_of_the_two_texts_is_told_and_is_no_giveaway(position):
    (likeness,) = [one for one in position.families if one.family == "likeness of both"]
    assert likeness.auroc > 0.95
    assert likeness.is_telling
    assert not likeness.is_giveaway


def test_the_audit_is_json_of_plain_values(position):
    import json

    held = json.loads(json.dumps(position.to_json(), allow_nan=False))
    assert held["rows"] == held["rows_read"] == 400
    assert {"family", "reads", "auroc", "ci95", "lower_bound", "is_giveaway"} <= held["families"][0].keys()


def test_equal_draws_are_judged_equally():
    tables = clean("single DNA", rows=100, one_in=2, seed=1)
    assert audit(tables, seed=4).to_json() == audit(tables, seed=4).to_json()


def test_of_many_rows_a_sample_is_read_that_keeps_the_rarer_label():
    labels = np.arange(2000) % 20 == 0
    rows = AuditedRows([f"t{row}" for row in range(2000)], None, labels.astype(np.int64))
    read = rows.sample(most=300, seed=0)
    assert (len(read), int(read.labels.sum())) == (300, 100)
    assert [rows.first[row] for row in read.places] == list(read.first)


def test_labels_in_turn_are_no_finding():
    rows = clean("DNA pairs", rows=200, one_in=2, seed=2).rows
    order = np.argsort(np.argsort(rows.labels, kind="stable") % 100, kind="stable")
    assert not [one for one in audit_rows(rows.take(order)).findings if "order" in one.name]


@pytest.mark.parametrize("rows", [0, 1, 7])
def test_few_rows_are_counted_and_not_modelled(rows):
    audited = audit_rows(AuditedRows(["ACGT"] * rows, None, np.zeros(rows, np.int64)))
    assert not audited.families
    assert audited.rows == rows


@pytest.mark.parametrize("texts", [["", "a"], [" ", "\t"], ["日本語", "ł\U0001f9ec"], ["x" * 9000, "y" * 5000]])
def test_odd_texts_are_read(texts):
    labels = np.arange(60) % 2
    first = [f"{texts[row % 2]}{'' if row < 2 else row}" for row in range(60)]
    audited = audit_rows(AuditedRows(first, [text[::-1] for text in first], labels))
    assert len(audited.families) > 10


def test_columns_of_different_lengths_are_refused():
    with pytest.raises(ValueError, match="equally long"):
        AuditedRows(["a"], ["b", "c"], np.array([1]))


# --- near-copies, folds, cleaning -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "letters", "rate"), [("dna", "ACGT", 0.12), ("protein", "ACDEFGHIKLMNPQRSTVWY", 0.3)])
def test_near_copies_are_found_and_nothing_else(kind, letters, rate):
    rng = np.random.default_rng(0)
    texts = ["".join(rng.choice(list(letters), 150)) for _ in range(300)]
    copies = ["".join(rng.choice(list(letters)) if rng.random() < rate else one for one in text) for text in texts[:20]]
    near = near_copies([*copies, *texts[100:200]], texts[:90], kind)
    assert sorted(zip(near.first.tolist(), near.second.tolist(), strict=True)) == [(row, row) for row in range(20)]


def test_a_copy_of_the_other_strand_is_a_near_copy():
    rng = np.random.default_rng(3)
    texts = ["".join(rng.choice(list("ACGT"), 150)) for _ in range(40)]
    training = AuditedRows(texts[:20], None, np.zeros(20, np.int64))
    rows = AuditedRows([reverse_complement(texts[4])[1:], *texts[20:]], None, np.zeros(21, np.int64))
    assert similar_rows(rows, training).rows.tolist() == [0]


def test_a_long_chance_match_is_no_near_copy():
    """Of 1,000 times 1,000 random texts of DNA some share 17 letters in a row."""
    rng = np.random.default_rng(1)
    texts = ["".join(rng.choice(list("ACGT"), 100)) for _ in range(1000)]
    assert not near_copies(texts[:500], texts[500:], "dna").first.size


def test_groups_stay_together_and_folds_hold_equal_shares_of_label_1():
    rng = np.random.default_rng(2)
    positive, groups = rng.random(500) < 0.1, rng.integers(0, 150, 500)
    folds = dealt(positive, groups, seed=0)
    assert all(len(set(folds[groups == group])) == 1 for group in np.unique(groups))
    ones = np.bincount(folds, weights=positive)
    assert ones.max() - ones.min() <= 3


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("conflicting labels", "conflicting labels"),
        ("composition twins of opposite label", "composition twins of opposite label"),
        ("duplicated rows across splits", "rows with a text of the training rows"),
        ("homologs across splits", "near copies of training rows"),
    ],
)
def test_cleaning_leaves_nothing_of_what_was_found(kind, reason):
    tables = planted(kind, rows=ROWS, seed=2)
    cleaned = clean_rows(tables.rows, tables.training)
    assert cleaned.dropped[reason] > 0
    assert cleaned.kept.size + sum(cleaned.dropped.values()) == ROWS
    left = audit_rows(tables.rows.take(cleaned.kept), tables.training, most_rows=100)
    assert not [one for one in left.findings if one.category != "shortcut"]


def test_cleaning_keeps_clean_rows():
    rows = clean("protein pairs", rows=200, one_in=2, seed=0).rows
    assert clean_rows(rows).kept.tolist() == list(range(200))
