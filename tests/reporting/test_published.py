import pytest

from lingjax.reporting.published import PUBLISHED, find_published


@pytest.fixture
def found(make_report, report):
    """`found(model, target, ...)`: the published accuracies beside a report of that model and target."""

    def find(init, target, *, source="paws_en", kind="pretrained", synthetic=False):
        made = make_report(
            rows=11,
            seeds=1,
            model=report.model | {"init": {"kind": kind, "source": init, "sha256": None}},
            source=source and report.source | {"dataset": source},
            target=report.target | {"dataset": target, "synthetic": synthetic},
        )
        return [figure.accuracy for figure in find_published(made)]

    return find


@pytest.mark.parametrize(
    ("model", "target", "accuracies"),
    [
        ("gpt2", "paws_de", [0.73, 0.7260]),
        ("openai-community/gpt2", "dna_pairs", [0.78, 0.7836]),
        ("models/gpt2-medium/", "dna_sim_pair_50bp", [0.55, 0.5494]),
        ("bert-base-uncased", "paws_x_fr", [0.77]),
        ("bert-base-uncased", "dna_protein_pairs", []),
        ("google-bert/bert-base-multilingual-cased", "dna_pairs", [0.82, 0.89, 0.8897]),
        ("bert-base-cased", "dna_protein_pair", [0.52]),
    ],
)
def test_what_corresponds_is_found(found, model, target, accuracies):
    assert found(model, target) == accuracies


@pytest.mark.parametrize(
    "target",
    ["paws_like_dna", "paws_es", "paws_en_shuffled", "dna_homologs", "dna_sim_pair_150bp", "protein_pairs", "x"],
)
def test_other_targets_have_no_published_figure(found, target):
    assert found("gpt2", target) == []


@pytest.mark.parametrize(
    "changes",
    [
        {"source": None},
        {"source": "synthetic_english_pairs"},
        {"source": "paws_de"},
        {"kind": "checkpoint"},
        {"synthetic": True},
    ],
)
def test_other_training_and_made_up_data_have_none(found, changes):
    assert found("gpt2", "paws_de", **changes) == []


@pytest.mark.parametrize("model", ["gpt2-xl", "my-gpt2", "distilgpt2", "gpt2/finetuned"])
def test_other_models_have_none(found, model):
    assert found(model, "paws_de") == []


def test_doubts_are_told_with_the_figure():
    swapped = [figure for figure in PUBLISHED if "labels swapped" in figure.setting]
    assert {figure.accuracy for figure in swapped} == {0.54, 0.82}
    unknown = [figure for figure in PUBLISHED if "[UNK]" in figure.setting]
    assert {figure.hub_name for figure in unknown} == {"bert-base-cased", "bert-base-multilingual-cased"}


def test_every_figure_is_an_accuracy_with_a_source():
    assert len(PUBLISHED) == 7 * 5 + 1 + 6 * 6
    assert all(0 < figure.accuracy < 1 and figure.source for figure in PUBLISHED)
