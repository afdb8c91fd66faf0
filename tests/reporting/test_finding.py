"""The sentence about what was found: made from verdicts of every kind, and no stronger than any."""

import dataclasses

import pytest

from lingjax.evaluation import SourceEvidence, assess
from lingjax.reporting import finding, pretraining_finding

CONTROLS = {
    "token_jaccard": {"accuracy": 0.9, "auroc": 0.98, "ci95": [0.95, 0.99]},
    "random_init": {"accuracy": 0.5, "auroc": 0.49, "ci95": [0.43, 0.55]},
    "not_finetuned": {"accuracy": 0.5, "auroc": 0.51, "ci95": [0.45, 0.57]},
}


@pytest.fixture
def judged(make_report):
    """`judged(target, **verdict)`: a report of three seeds whose verdict says so, and whose source was learned."""

    def make(
        target="dna", *, auroc=0.76, controls=CONTROLS, synthetic=False, seeds=3, over_seeds=(0.72, 0.8), **verdict
    ):
        report = make_report(seeds=seeds, rows=31)
        tests = {"chance": {"p": 0.001, "p_corrected": 0.001}}
        default = {"above_chance": True, "above_best_control": False, "orientation": "direct", "warnings": []}
        return dataclasses.replace(
            report,
            target=report.target | {"dataset": target, "synthetic": synthetic},
            source=report.source | {"synthetic": synthetic},
            summary=report.summary
            | {"auroc": report.summary["auroc"] | {"mean": auroc, "ci95_over_seeds": over_seeds}},
            controls=dict(controls),
            verdict=report.verdict | default | {"sign_tests": tests} | verdict,
        )

    return make


UNDETERMINED = {"orientation": "undetermined", "above_chance": False, "above_best_control": False}
LEARNED = "What was learned from paws_en (dev accuracy 0.900, 3 seeds; always the commoner label: 0.560) "
FIGURES = "(AUROC 0.760, random_init 0.490, not_finetuned 0.510)"


def test_a_ranking_that_a_control_reaches_too_says_so(judged):
    assert finding([judged()]) == (
        f"{LEARNED}carries over, as a ranking, to dna {FIGURES}, "
        "where token_jaccard reaches 0.980, so reading was not needed."
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"above_best_control": True}, "better than every control."),
        ({"above_best_control": None}, "while it is not known whether it beats every control."),
        ({"auroc": 0.99}, "though not clearly better than its controls (token_jaccard 0.980)."),
        (
            {"controls": {"random_init": {"accuracy": 0.7, "auroc": 0.8, "ci95": [0.7, 0.9]}}},
            "where random_init reaches 0.800, so learning the source was not needed.",
        ),
        ({"controls": {}}, "while it is not known whether it beats every control."),
    ],
)
def test_what_is_said_of_the_controls_follows_from_the_verdict(judged, changes, said):
    text = finding([judged(**changes)])
    assert text.endswith(said)
    assert text.count("better than every control") == (changes.get("above_best_control") is True)


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        (UNDETERMINED, "is not shown to carry over to dna (AUROC 0.760)."),
        ({**UNDETERMINED, "orientation": "flipped"}, "ranks dna (AUROC 0.760) the wrong way round."),
        ({**UNDETERMINED, "above_chance": None, "auroc": None}, "cannot be judged on dna."),
    ],
)
def test_nothing_carries_over_unless_the_verdict_is_direct(judged, verdict, said):
    text = finding([judged(**verdict)])
    assert text == LEARNED + said
    assert "carries over" not in text


def test_targets_are_named_by_what_was_found_the_strongest_first(judged):
    text = finding([judged("german", **UNDETERMINED), judged("dna"), judged("french", **UNDETERMINED)])
    assert text.index("carries over, as a ranking, to dna") < text.index("; it is not shown to carry over to german")
    assert "german (AUROC 0.760) and french (AUROC 0.760)" in text


def test_a_source_that_was_not_learned_carries_nothing_over(judged, make_report):
    # The warning as the verdict itself words it.
    report = make_report(rows=31)
    verdict = _verdict_on_a_source_not_learned(report)
    text = finding([judged(warnings=list(verdict.warnings))])
    assert text.startswith("paws_en was not learned (dev accuracy ")
    assert "so nothing can carry over from it: dna (" in text
    assert "carries over" not in text


def _verdict_on_a_source_not_learned(report):
    import numpy as np

    from lingjax.evaluation import PairPredictions, TargetAudit, majority, summarise

    labels = np.array([0, 1] * 20, np.int32)
    logits = np.stack([np.zeros(40), np.linspace(-1, 1, 40)], 1).astype(np.float32)
    predictions = {0: PairPredictions(np.arange(40, dtype=np.int32), labels, logits)}
    audit = TargetAudit(0.0, 0, 0, 0, {"p5": 50.0, "p50": 50.0, "p95": 50.0, "max": 50.0}, 4.0, 0, 0, 0)
    return assess(
        predictions,
        summary=summarise(predictions, replicates=5),
        controls={"majority": majority(labels)},
        audit=audit,
        source=SourceEvidence({0: 0.51}, 0.5, 50.0),
        synthetic=False,
    )


def test_seeds_that_disagree_weaken_the_claim(judged):
    text = finding([judged(over_seeds=(0.51, 0.85))])
    assert f"to dna {FIGURES}, though its seeds disagree (0.510 to 0.850 over seeds), where" in text


def test_of_what_carried_over_the_clearest_is_said_first(judged):
    text = finding([judged("dna", auroc=0.6), judged("protein", auroc=0.8)])
    assert text.index("to protein") < text.index("to dna")


def test_one_seed_and_a_permutation_test_that_disagrees_weaken_the_claim(judged):
    tests = {"chance": {"p": 0.04, "p_corrected": 0.12}}
    text = finding([judged(seeds=1, sign_tests=tests)])
    assert ", in one trained model, by its intervals but not by a permutation test (p = 0.12), " in text


@pytest.mark.parametrize(
    ("made", "said"),
    [
        ((True, True), "All pairs are simulated, so this says nothing about real language or biology."),
        ((True, False), "Simulated are the pairs of a."),
        ((False, False), "needed."),
    ],
)
def test_simulated_pairs_are_named(judged, made, said):
    reports = [judged(name, synthetic=synthetic) for name, synthetic in zip("ab", made, strict=True)]
    reports = [dataclasses.replace(one, source=one.source | {"synthetic": all(made)}) for one in reports]
    assert finding(reports).endswith(said)


def test_each_source_and_each_model_has_a_sentence_of_its_own(judged):
    first, second = judged("a"), judged("b")
    other_source = dataclasses.replace(second, source=second.source | {"dataset": "rte"})
    assert finding([first, other_source]).count("What was learned from ") == 2
    other_model = dataclasses.replace(
        second, model=second.model | {"init": {"kind": "pretrained", "source": "models/large", "sha256": "0" * 64}}
    )
    text = finding([first, other_model])
    assert text.startswith("bert (minilm): What was learned from paws_en")
    assert "bert (large): What was learned from paws_en" in text


def test_other_pairs_of_the_source_are_no_transfer(judged):
    assert "holds on other pairs of its own, paws_en (" in finding([judged("paws_en")])


def test_no_report_has_no_sentence_and_an_unknown_source_is_said(judged):
    assert finding([]) == ""
    report = dataclasses.replace(judged(), source=None)
    assert finding([report]).startswith("What was learned from an unknown source carries over")


@pytest.mark.parametrize(
    ("bits", "said"),
    [
        (1.2, "more than runs of characters tell of dna (1.200 bits a character beside 1.800)"),
        (1.9, "more than the frequencies of characters, but no more than their runs, tell of dna (1.900 bits "),
        (2.1, "no more than the frequencies of characters tell of dna (2.100 bits a character beside 1.950)"),
    ],
)
def test_what_pretraining_learnt_is_said_beside_models_that_count(bits, said):
    beside = {"dna_composition_bits_per_character": 1.95, "dna_markov_bits_per_character": 1.8, "dna_markov_order": 5}
    assert said in pretraining_finding({"dna_loss": 3.0, "dna_bits_per_character": bits, **beside})


def test_domains_that_learnt_alike_are_named_together_and_without_bits_nothing_is_said():
    figures = {
        f"{domain}_{name}bits_per_character": value
        for domain in ("dna", "protein")
        for name, value in (("", 3.0), ("composition_", 2.0), ("markov_", 1.5))
    }
    text = pretraining_finding(figures)
    assert text.startswith(
        "On held-out text this run has learnt no more than the frequencies of characters tell of dna ("
    )
    assert " and protein (" in text
    assert pretraining_finding({"dna_loss": 3.0}) == ""
