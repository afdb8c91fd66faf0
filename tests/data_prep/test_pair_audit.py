import numpy as np
import pytest

from data_prep.pair_audit import audit_pairs, measure
from lingjax.data import PairRecord, encodes_piece, encoding_fractions

PROTEIN = "MAKRWCDEFG"
CODING = "ATGGCTAAACGTTGGTGCGATGAATTTGGT"
COMPLEMENT = str.maketrans("ACGT", "TGCA")


def row(sentence1, sentence2, label, **more):
    return {"pair_id": "x", "sentence1": sentence1, "sentence2": sentence2, "label": label, **more}


def audit(**splits):
    return audit_pairs(splits, measure([record for records in splits.values() for record in records]))


def test_labels_and_kinds_are_counted_by_split():
    found = audit(
        train=[row("a", "b", 1, kind="homolog"), row("c", "d", 0, kind="random"), row("e", "f", 0, kind="hard")],
        test=[row("g", "h", 0, kind="random")],
    )
    assert found["rows"] == 4
    assert found["kinds"] == {"0": {"hard": 1, "random": 2}, "1": {"homolog": 1}}
    assert found["splits"]["train"] == {
        "rows": 3,
        "label_counts": {"0": 2, "1": 1},
        "kinds": {"0": {"hard": 1, "random": 1}, "1": {"homolog": 1}},
    }
    assert found["splits"]["test"]["label_counts"] == {"0": 1, "1": 0}


def test_repeated_and_conflicting_pairs_are_found_in_either_order_and_any_case():
    found = audit(
        train=[row("a b", "c", 1), row("C", "A  B", 0), row("a b", "c", 1), row("x", "y", 0), row("z", "Z", 1)]
    )
    assert (found["duplicate_rows"], found["conflicting_label_pairs"], found["conflicting_label_rows"]) == (2, 1, 3)
    assert found["equal_texts"] == {"0": 0, "1": 1}


def test_texts_in_two_splits_are_counted_whichever_column_they_are_in():
    found = audit(
        train=[row("a", "b", 1), row("a", "c", 0), row("d", "e", 0)], dev=[row("f", "g", 1)], test=[row("B", "a", 0)]
    )
    assert found["texts_shared_between_splits"] == {
        "train, dev": {"texts": 0, "rows_of_train": 0, "rows_of_dev": 0},
        "train, test": {"texts": 2, "rows_of_train": 2, "rows_of_test": 1},
        "dev, test": {"texts": 0, "rows_of_dev": 0, "rows_of_test": 0},
    }


def test_quantiles_are_those_of_numpy():
    rng = np.random.default_rng(3)
    lengths = rng.integers(1, 97, size=53)
    found = audit(train=[row("x" * length, "?", 1) for length in lengths])["lengths"]["sentence1"]
    assert set(found) == {"1"}
    assert found["1"]["p95"] == pytest.approx(np.percentile(lengths, 95))
    assert found["1"]["mean"] == pytest.approx(lengths.mean(), abs=1e-6)
    assert (found["1"]["min"], found["1"]["max"]) == (lengths.min(), lengths.max())


def test_gc_is_measured_where_a_column_is_dna_and_identity_where_every_row_has_it():
    found = audit(train=[row("GGCC", "mkl", 1, identity=0.75), row("ACGN", "MKV", 0, identity=0.0)])
    assert found["alphabets"] == {"sentence1": "dna", "sentence2": "protein"}
    assert set(found["gc"]) == {"sentence1"}
    assert found["gc"]["sentence1"]["1"]["p50"] == 1.0
    assert found["gc"]["sentence1"]["0"]["p50"] == pytest.approx(2 / 3, abs=1e-6)
    assert found["identity"]["1"]["mean"] == 0.75
    assert "gc" not in audit(train=[row("One.", "Two!", 1)])


@pytest.mark.parametrize(
    ("dna", "encodes"),
    [
        (CODING, True),
        (f"A{CODING}", True),
        (f"AC{CODING.lower()}", True),
        (CODING[::-1].translate(COMPLEMENT), True),
        (CODING.replace("T", "U"), True),
        (CODING[:12] + "N" + CODING[13:], True),  # the codons after it are five
        (CODING[:12], False),
        (CODING[::-1], False),
    ],
)
def test_five_residues_in_a_row_in_any_frame_count(dna, encodes):
    assert encodes_piece(dna, PROTEIN) is encodes


@pytest.mark.parametrize("swapped", [False, True])
def test_the_shares_that_encode_are_those_of_the_evaluation(swapped):
    rng = np.random.default_rng(11)
    rows = []
    for number in range(97):
        codons = rng.choice(["GCT", "AAA", "CGT", "TGG", "TGC", "GAT", "NNG"], size=31)
        dna = "".join(codons)
        letters = rng.choice(list("AKRWCD"), size=23)
        protein = "".join(letters) if number % 3 else PROTEIN
        dna = dna if number % 4 else CODING + dna
        texts = (protein, dna) if swapped else (dna, protein)
        rows.append(row(*texts, int(rng.integers(2))))
    found = audit(train=rows)
    records = [PairRecord(r["pair_id"], r["sentence1"], r["sentence2"], r["label"]) for r in rows]
    expected = encoding_fractions(records)
    assert (found["negatives_that_encode_fraction"], found["positives_that_encode_fraction"]) == pytest.approx(
        expected, abs=1e-6
    )
    assert 0 < found["negatives_that_encode"] < sum(r["label"] == 0 for r in rows)


def test_nothing_is_said_of_encoding_where_the_pairs_are_not_dna_and_protein():
    assert not any("encode" in key for key in audit(train=[row("ACGT", "ACGA", 1), row("ACGT", "GGGG", 0)]))


def test_texts_that_stand_for_a_missing_value_are_counted():
    texts = [("NS", "a"), ("b", "\\N"), ("c", "NS"), ("nan", "Nancy"), ("d", "e")]
    rows = [{"sentence1": first, "sentence2": second, "label": 1} for first, second in texts]
    audit = audit_pairs({"train": rows}, measure(rows))
    assert audit["texts_like_missing_values"] == {"NS": 2, "\\N": 1, "nan": 1}
    assert "texts_like_missing_values" not in audit_pairs({"train": rows[4:]}, measure(rows[4:]))
