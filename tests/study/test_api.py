"""The names of `import lingjax`, as a notebook uses them."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import lingjax
from lingjax.errors import InputError
from lingjax.reporting import read_predictions, read_report
from tests.training.small_run import make_records

ROOT = Path(__file__).parents[2]


def test_importing_the_package_imports_nothing_heavy():
    code = (
        "import sys, time; t = time.perf_counter(); import lingjax; t = time.perf_counter() - t; print(t, *sys.modules)"
    )
    printed = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    seconds, *modules = printed.split()
    assert float(seconds) < 0.3
    assert not {name.partition(".")[0] for name in modules} & {"jax", "flax", "numpy", "transformers", "absl"}


def test_every_public_name_is_there_and_listed():
    assert set(lingjax.__all__) <= set(dir(lingjax))
    assert all(getattr(lingjax, name).__doc__ for name in lingjax.__all__)
    with pytest.raises(AttributeError, match="no attribute 'judge'"):
        _ = lingjax.judge


@pytest.fixture(scope="module")
def model(tiny_model):
    return lingjax.load_model(tiny_model)


TEXTS = ["red stone", "a river", "blue", "snow wind sand moon frost tree cloud"]


def test_states_are_those_of_transformers(model, tiny_model):
    import torch
    import transformers

    theirs = transformers.AutoModel.from_pretrained(tiny_model).eval()
    for text, states in zip(TEXTS, model.hidden_states(TEXTS, batch_size=3), strict=True):
        token_ids = torch.tensor(model.tokenizer.encode([text])[0][None].astype(np.int64))
        with torch.no_grad():
            expected = theirs(input_ids=token_ids, output_hidden_states=True).hidden_states
        np.testing.assert_allclose(states, np.stack([one[0].numpy() for one in expected]), rtol=0, atol=1e-4)


def test_an_embedding_is_the_mean_of_the_last_states(model):
    states = model.hidden_states(TEXTS)
    expected = np.stack([one[-1].mean(axis=0) for one in states])
    np.testing.assert_allclose(model.embed(TEXTS, batch_size=2), expected, rtol=0, atol=1e-6)
    assert model.embed([]).shape == (0, 16)


@pytest.mark.parametrize(
    ("texts", "line"),
    [(["red", ""], "text 1 has 0 tokens"), (["red " * 17], "text 0 has 17 tokens"), ("red", "a list of texts")],
)
def test_texts_that_the_model_cannot_read_are_refused(model, texts, line):
    with pytest.raises(InputError, match=line):
        model.embed(texts)


def test_only_a_classifier_has_logits(model, tiny_classifier):
    with pytest.raises(InputError, match="has the head 'language_model'"):
        model.logits([("red", "blue")])
    classifier = lingjax.load_model(tiny_classifier)
    both = classifier.logits([("red", "blue snow"), ("moon", "magic")], batch_size=1)
    np.testing.assert_allclose(classifier.logits([("moon", "magic")])[0], both[1], rtol=0, atol=1e-5)
    assert classifier.logits([]).shape == (0, 2)


def test_a_run_is_loaded_and_a_folder_of_runs_names_them(tiny_transfer):
    assert lingjax.load_model(tiny_transfer / "seed0").loaded.head == "pairs"
    with pytest.raises(InputError, match=r"holds several runs, name one of them: .*seed0"):
        lingjax.load_model(tiny_transfer)


def test_reports_are_flat_records(tiny_transfer):
    (record,) = lingjax.read_reports(tiny_transfer)
    report = read_report(tiny_transfer / "reports" / "tiny.json")
    assert record["auroc_mean"] == report.summary["auroc"]["mean"]
    assert all(isinstance(value, str | int | float | None) for value in record.values())


@pytest.fixture(scope="module")
def judged(tiny_transfer, tiny_pairs):
    return lingjax.evaluate(
        tiny_transfer, [f"{tiny_pairs}@test"], config=lingjax.EvaluationConfig(bootstrap_replicates=20)
    )


def test_evaluation_of_a_transfer_gives_its_figures(judged, tiny_transfer):
    report = read_report(tiny_transfer / "reports" / "tiny.json")
    assert judged["tiny"].seeds == report.seeds
    assert judged["tiny"].controls.keys() == report.controls.keys()
    assert judged["tiny"].controls["not_finetuned"] == report.controls["not_finetuned"]


def test_pairs_in_memory_are_judged_as_those_of_a_folder(judged, tiny_transfer):
    pairs = [(one.sentence1, one.sentence2, one.label) for one in make_records(14, seed=14)]
    config = lingjax.EvaluationConfig(bootstrap_replicates=20)
    (report,) = lingjax.evaluate(tiny_transfer, {"mine": pairs}, config=config).values()
    assert report.seeds == judged["tiny"].seeds
    assert report.audit == judged["tiny"].audit
    assert (report.target["dataset"], report.target["label_counts"]) == ("mine", judged["tiny"].target["label_counts"])


def test_a_loaded_model_is_judged_without_its_controls(tiny_classifier, tmp_path):
    pairs = [(one.sentence1, one.sentence2, one.label) for one in make_records(12, seed=2)]
    model = lingjax.load_model(tiny_classifier)
    config = lingjax.EvaluationConfig(bootstrap_replicates=5)
    (report,) = lingjax.evaluate(model, {"mine": pairs}, config=config, out=tmp_path).values()
    assert "give its workdir" in report.controls["random_init"]["skipped"]
    assert (tmp_path / "report.html").exists()
    logits = read_predictions(tmp_path / "predictions/mine.seed0.jsonl").logits
    np.testing.assert_allclose(model.logits([pair[:2] for pair in pairs]), logits, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("targets", "line"),
    [
        ({"x": [("a", "b")]}, "pair 0 of 'x' is"),
        ({"x": [("a", "b", 2)]}, "a label, 0 or 1"),
        ({"x": []}, "'x' has no pairs"),
        ({}, "no targets"),
        ([], "no targets"),
    ],
)
def test_targets_that_cannot_be_are_refused(tiny_classifier, targets, line):
    with pytest.raises(InputError, match=line):
        lingjax.evaluate(tiny_classifier, targets)


def test_the_example_prints_a_verdict(tiny_model, tiny_pairs, tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("judge_one_target", ROOT / "examples" / "judge_one_target.py")
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    settings = {"steps": 2, "batch_size": 4, "max_length": 16, "pair_format": "separated"}
    example.judge(str(tiny_model), str(tiny_pairs), f"{tiny_pairs}@test", str(tmp_path), **settings)
    printed = capsys.readouterr().out
    assert "tiny: AUROC 0." in printed
    assert "above the best control: " in printed
