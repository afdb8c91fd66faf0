import numpy as np
import pytest

from lingjax.data import PairRecord, TokenStatistics
from lingjax.errors import InputError
from lingjax.evaluation import PredictedLabel, audit_target, check_unknown_tokens


def records(*rows):
    return [PairRecord(f"p{number}", first, second, label) for number, (first, second, label) in enumerate(rows)]


def statistics(**changes):
    fields = {
        "rows": 4,
        "text_tokens": 200,
        "unknown_tokens": 1,
        "rows_all_unknown": 0,
        "truncated_rows": 2,
        "cut_rows": 1,
        "characters": 500,
        "tokens_per_row": np.array([40, 50, 60, 70], np.int32),
    }
    return TokenStatistics(**fields | changes)


TARGET = records(
    ("A cat sat.", "The cat sat.", 1),
    ("the  cat sat.", "a cat\tsat.", 0),
    ("Dogs bark.", "Birds sing.", 0),
    ("Dogs bark.", "Birds sing.", 0),
)


def test_counts_of_a_small_target_worked_out_by_hand():
    audit = audit_target(TARGET, statistics()).to_json()
    assert audit == {
        "unknown_token_fraction": 0.005,
        "rows_all_unknown": 0,
        "truncated_rows": 2,
        "cut_rows": 1,
        "tokens_per_row": pytest.approx({"p5": 41.5, "p50": 55.0, "p95": 68.5, "max": 70.0}),
        "characters_per_token": 2.5,
        "duplicate_rows": 2,  # the second cat pair is the first one swapped
        "conflicting_label_rows": 2,
        "rows_shared_with_source": None,
        "rows_similar_to_source": None,
        "rows_that_share_a_text": 4,
        "groups": {"count": 3, "largest": 2, "by": "first text"},
    }


def test_what_predicts_the_label_is_reported_where_it_is_known():
    shortcuts = {"length_predicts_label": PredictedLabel(0.75, (0.5, 1.0)), "composition_predicts_label": None}
    audit = audit_target(TARGET, statistics(), shortcuts=shortcuts).to_json()
    assert audit["length_predicts_label"] == {"auroc": 0.75, "ci95": [0.5, 1.0], "ci95_widened": [0.375, 1.0]}
    assert "composition_predicts_label" not in audit


def test_leakage_is_found_in_either_order_and_whatever_the_case():
    source = records(("BIRDS SING.", " dogs bark.", 1), ("unrelated", "text", 0))
    assert audit_target(TARGET, statistics(), source_records=source).rows_shared_with_source == 2


def test_unknown_tokens_stop_an_evaluation_and_name_the_ways_out():
    with pytest.raises(InputError) as stopped:
        check_unknown_tokens(statistics(unknown_tokens=200, rows_all_unknown=4), target="dna", tokenizer="wordpiece")
    for text in ("dna: 100.0%", "'wordpiece'", "4 of 4 rows", "--config.max_characters=50"):
        assert text in str(stopped.value)
    for text in ("--config.max_word_characters=N", "max_input_chars_per_word", "--config.allow_unknown=true"):
        assert text in str(stopped.value)


@pytest.mark.parametrize(
    ("wanted", "shown"),
    [
        ("letters", "one of single letters, .*--config.text=letters"),
        ("kmers:6", "of 6 letters, .*--config.text=kmers:6"),
    ],
)
def test_a_vocabulary_of_letters_or_kmers_is_told_apart_and_its_way_out_named(wanted, shown):
    tokens = statistics(unknown_tokens=200, rows_all_unknown=4)
    with pytest.raises(InputError, match=shown) as stopped:
        check_unknown_tokens(tokens, target="dna", tokenizer="w", wanted_text=wanted)
    assert "max_characters" not in str(stopped.value)


@pytest.mark.parametrize(("unknown", "allow"), [(2, False), (200, True)])
def test_one_per_cent_or_a_permission_lets_it_go_on(unknown, allow):
    check_unknown_tokens(statistics(unknown_tokens=unknown), target="t", tokenizer="w", allow_unknown=allow)


def test_no_tokens_at_all_have_no_unknown_ones():
    audit = audit_target(TARGET, statistics(text_tokens=0, unknown_tokens=0))
    assert (audit.unknown_token_fraction, audit.characters_per_token) == (0.0, None)


def test_dna_protein_targets_get_their_own_figures():
    target = records(("ATGGCTAAACGTTGGCTT", "MAKRWL", 1), ("ATGGCTAAACGTTGGCTT", "MHHHHH", 0))
    audit = audit_target(target, statistics()).to_json()
    assert (audit["negatives_that_encode_fraction"], audit["positives_that_encode_fraction"]) == (0.0, 1.0)
