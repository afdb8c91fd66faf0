import json
import os
import shutil

import numpy as np
import pytest
from scipy import stats

from lingjax.evaluation import CONTROL_NAMES, auroc
from lingjax.reporting import read_predictions, read_report
from lingjax.sealed import read_sealed, write_sealed
from lingjax.training.metrics import read_metrics

TARGETS = ("synthetic_dna_pairs", "synthetic_dna_protein_pairs")


def test_a_transfer_writes_a_valid_report_for_every_target(transferred):
    workdir, printed = transferred
    for target in TARGETS:
        report = read_report(workdir / "reports" / f"{target}.json")
        assert [seed["seed"] for seed in report.seeds] == [0, 1]
        assert report.source["dataset"] == "synthetic_english_pairs"
        assert report.model["init"]["kind"] == "pretrained"
        assert any("ynthetic" in warning for warning in report.verdict["warnings"])
        assert target in printed


def test_the_terminal_shows_the_verdict_in_words_and_every_warning(transferred):
    workdir, printed = transferred
    for target in TARGETS:
        warnings = read_report(workdir / "reports" / f"{target}.json").verdict["warnings"]
        assert f"{target}: " in printed
        assert warnings
        assert all(f"  warning: {text}" in printed for text in warnings)
    assert "the best control" in printed


def test_no_control_is_missing_where_it_can_be_computed(transferred):
    workdir, _ = transferred
    for target in TARGETS:
        controls = read_report(workdir / "reports" / f"{target}.json").controls
        assert set(controls) == {*CONTROL_NAMES, "local_alignment"}
        for name, control in controls.items():
            assert 0 <= control["auroc"] <= 1, name
            low, high = control["ci95"]
            assert low <= control["auroc"] <= high, name
        assert controls["kmer_jaccard"]["settings"]["k"] in range(1, 7)
        for name in ("not_finetuned", "random_init", "shuffled_labels"):
            assert [seed["seed"] for seed in controls[name]["seeds"]] == [0], name


def test_the_model_before_fine_tuning_predicts_as_its_folder_does(transferred, data, gpt2_folder):
    """Evaluated here from the published weights and the seed, without any run folder."""
    from lingjax.data import PairEncoder, PairSource, open_split
    from lingjax.evaluation.predict import predict_pairs
    from lingjax.training.mesh import make_mesh
    from lingjax.training.start import start_pretrained

    mesh = make_mesh("")
    start = start_pretrained(str(gpt2_folder), head="pairs", mesh=mesh, seed=0, changes={}, offline=True)
    encoder = PairEncoder(start.tokenizer, pair_format="concat", max_length=64)
    target = PairSource(open_split(f"{data}/{TARGETS[0]}", default=["test"]))
    predictions = predict_pairs(start, target, encoder, mesh=mesh, batch_size=5)
    control = read_report(transferred[0] / "reports" / f"{TARGETS[0]}.json").controls["not_finetuned"]
    assert auroc(predictions.labels, predictions.positive_probability) == pytest.approx(control["auroc"], abs=1e-3)


def test_the_report_counts_every_row_of_the_target(transferred):
    workdir, _ = transferred
    for target in TARGETS:
        report = read_report(workdir / "reports" / f"{target}.json")
        for seed in report.seeds:
            assert sum(map(sum, seed["confusion"])) == report.target["rows"]


def test_predictions_give_the_reported_accuracy(transferred):
    workdir, _ = transferred
    report = read_report(workdir / "reports" / f"{TARGETS[0]}.json")
    for seed in report.seeds:
        predictions = read_predictions(workdir / "predictions" / f"{TARGETS[0]}.seed{seed['seed']}.jsonl")
        assert np.mean((predictions.positive_probability > 0.5) == predictions.labels) == pytest.approx(
            seed["accuracy"], abs=1e-12
        )


def test_seeds_differ_and_their_runs_stand_beside_each_other(transferred):
    workdir, _ = transferred
    losses = [read_metrics(workdir / f"seed{seed}")[0]["loss"] for seed in (0, 1)]
    assert losses[0] != losses[1]
    assert (workdir / "random_init" / "seed0" / "result.json").exists()
    assert not (workdir / "random_init" / "seed1").exists()


def test_the_learning_curve_follows_source_and_target(transferred):
    workdir, _ = transferred
    for target in TARGETS:
        report = read_report(workdir / "reports" / f"{target}.json")
        for entry, seed in zip(report.learning_curve, report.seeds, strict=True):
            # The only evaluation is that of the model which is kept, and the target has fewer rows than are looked at.
            assert (entry["seed"], entry["step"], entry["rows"]) == (seed["seed"], 4, report.target["rows"])
            for metric in ("accuracy", "auroc", "log_loss"):
                assert entry[metric] == pytest.approx(seed[metric], rel=1e-6)


@pytest.mark.exhaustive
def test_seeds_and_controls_in_one_program_give_the_same_report(command, transferred, transfer_flags, tmp_path):
    options = ("--config.seeds_at_once=4", "--config.curve_rows=9")
    command("experiments.transfer", f"--workdir={tmp_path}", *transfer_flags, *options)
    for target in TARGETS:
        together, alone = (read_report(each / "reports" / f"{target}.json") for each in (tmp_path, transferred[0]))
        for seed, other in zip(together.seeds, alone.seeds, strict=True):
            assert seed["confusion"] == other["confusion"]
            assert seed["auroc"] == pytest.approx(other["auroc"], abs=1e-3)
            assert seed["log_loss"] == pytest.approx(other["log_loss"], rel=1e-4)
        for name in ("random_init", "shuffled_labels"):
            assert together.controls[name]["auroc"] == pytest.approx(alone.controls[name]["auroc"], abs=1e-3)
        assert [entry["step"] for entry in together.learning_curve] == [4, 4]
        assert {entry["rows"] for entry in together.learning_curve} == {9}


def test_shuffled_labels_change_what_is_learned(transferred):
    workdir, _ = transferred
    losses = [read_metrics(workdir / folder)[0]["loss"] for folder in ("seed0", "shuffled_labels/seed0")]
    assert losses[0] != losses[1]
    assert not (workdir / "shuffled_labels" / "seed1").exists()


def test_controls_not_asked_for_say_so_and_k_can_be_fixed(command, data, transferred, transfer_flags, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(transferred[0], workdir)
    changes = {"trained_controls": "", "kmer_sizes": "2", "targets": f"{data}/{TARGETS[0]}@train"}
    flags = [f"--config.{name}={value}" for name, value in changes.items()]
    command("experiments.transfer", f"--workdir={workdir}", *transfer_flags, *flags)
    report = read_report(workdir / "reports" / f"{TARGETS[0]}.json")
    controls = report.controls
    # The train split is large enough to ask what predicts its labels.
    for name in ("length_predicts_label", "composition_predicts_label"):
        assert 0 <= report.audit[name]["auroc"] <= 1
    for name in ("random_init", "shuffled_labels"):
        assert "config.trained_controls" in controls[name]["skipped"]
    assert controls["kmer_jaccard"]["settings"] == {"k": 2, "chosen": "fixed beforehand"}


def test_evaluation_without_the_first_weights_says_that_they_are_missing(command, data, transferred, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(transferred[0], workdir)
    for path in workdir.glob("seed*/model.json"):
        description = read_sealed(path)
        description["settings"]["request"]["model"]["init"] = "/gone"
        write_sealed(path, description)
    out = tmp_path / "out"
    targets = f"{data}/{TARGETS[0]}"
    command("experiments.evaluate", f"--checkpoint={workdir}", f"--targets={targets}", f"--out={out}")
    reason = read_report(out / "reports" / f"{TARGETS[0]}.json").controls["not_finetuned"]["skipped"]
    assert "the weights before fine-tuning cannot be loaded" in reason
    assert "/gone" in reason


def test_finished_stages_are_not_done_again(command, transferred, transfer_flags):
    workdir, _ = transferred
    files = [workdir / "seed0" / "result.json", workdir / "reports" / f"{TARGETS[0]}.json"]
    before = [file.stat().st_mtime_ns for file in files]
    command("experiments.transfer", f"--workdir={workdir}", *transfer_flags)
    assert [file.stat().st_mtime_ns for file in files] == before


def test_another_target_is_added_without_training(command, data, transferred, transfer_flags, tmp_path):
    workdir = tmp_path / "copy"
    shutil.copytree(transferred[0], workdir)
    before = (workdir / "seed0" / "result.json").stat().st_mtime_ns
    flags = [flag for flag in transfer_flags if "targets" not in flag]
    command("experiments.transfer", f"--workdir={workdir}", *flags, f"--config.targets={data}/synthetic_protein_pairs")
    assert read_report(workdir / "reports" / "synthetic_protein_pairs.json").seeds
    assert (workdir / "seed0" / "result.json").stat().st_mtime_ns == before


def test_a_changed_recipe_is_noticed_in_a_used_workdir(refused, transferred, transfer_flags):
    line = refused(
        "experiments.transfer", f"--workdir={transferred[0]}", *transfer_flags, "--config.train.learning_rate=0.5"
    )
    assert "train.learning_rate 1e-05 -> 0.5" in line


def test_a_report_is_corrected_again_when_more_targets_are_judged_beside_it(command, data, transferred, tmp_path):
    report = tmp_path / "reports" / f"{TARGETS[0]}.json"
    judged = []
    for targets in (TARGETS[:1], TARGETS[:2]):
        named = ",".join(f"{data}/{target}" for target in targets)
        command("experiments.evaluate", f"--checkpoint={transferred[0]}", f"--targets={named}", f"--out={tmp_path}")
        judged.append(read_report(report).verdict["targets_judged_together"])
    assert judged == [1, 2]


def test_a_false_discovery_rate_is_over_all_targets(command, data, transferred, tmp_path):
    named = ",".join(f"{data}/{target}" for target in TARGETS[:2])
    command(
        "experiments.evaluate",
        *(f"--checkpoint={transferred[0]}", f"--targets={named}", f"--out={tmp_path}"),
        "--config.correction=benjamini_hochberg",
    )
    verdicts = [read_report(tmp_path / "reports" / f"{target}.json").verdict for target in TARGETS[:2]]
    tests = [verdict["sign_tests"]["chance"] for verdict in verdicts]
    expected = stats.false_discovery_control([test["p"] for test in tests])
    assert [test["p_corrected"] for test in tests] == pytest.approx(expected.tolist())
    assert {verdict["correction"] for verdict in verdicts} == {"benjamini_hochberg"}


def test_evaluation_of_the_workdir_gives_the_same_figures(command, data, transferred, tmp_path):
    workdir, _ = transferred
    command(
        "experiments.evaluate",
        f"--checkpoint={workdir}",
        f"--targets={data}/{TARGETS[0]}",
        f"--out={tmp_path}",
        "--config.bootstrap_replicates=50",
    )
    there, here = (read_report(folder / "reports" / f"{TARGETS[0]}.json") for folder in (workdir, tmp_path))
    assert here.seeds == there.seeds
    assert here.controls == there.controls
    assert here.audit == there.audit


def test_an_exported_seed_predicts_the_same_here_and_in_transformers(command, data, transferred, tmp_path):
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from lingjax.data import PairSource, open_split

    exported = tmp_path / "exported"
    command("experiments.export", f"--checkpoint={transferred[0]}/seed0", f"--out={exported}")
    command(
        "experiments.evaluate",
        f"--checkpoint={exported}",
        f"--targets={data}/{TARGETS[0]}",
        f"--out={tmp_path}/out",
        "--config.bootstrap_replicates=50",
    )
    ours = read_predictions(transferred[0] / "predictions" / f"{TARGETS[0]}.seed0.jsonl")
    again = read_predictions(tmp_path / "out" / "predictions" / f"{TARGETS[0]}.seed0.jsonl")
    np.testing.assert_array_equal(again.logits, ours.logits)

    model = AutoModelForSequenceClassification.from_pretrained(exported).eval()
    tokenizer = AutoTokenizer.from_pretrained(exported)
    source = PairSource(open_split(f"{data}/{TARGETS[0]}", default=["test"]))
    texts = [source[row].sentence1 + source[row].sentence2 for row in range(len(source))]
    with torch.no_grad():
        theirs = [
            model(**tokenizer(text, truncation=True, max_length=64, return_tensors="pt")).logits[0].numpy()
            for text in texts
        ]
    np.testing.assert_allclose(ours.logits, np.stack(theirs), atol=1e-4)


def test_another_model_in_the_same_folder_is_evaluated_anew(command, data, transferred, tmp_path):
    logits = []
    for seed in (0, 1):
        exported = tmp_path / f"exported{seed}"
        command("experiments.export", f"--checkpoint={transferred[0]}/seed{seed}", f"--out={exported}")
        command(
            "experiments.evaluate",
            f"--checkpoint={exported}",
            f"--targets={data}/{TARGETS[0]}",
            f"--out={tmp_path}/out",
            "--config.bootstrap_replicates=50",
        )
        assert read_report(tmp_path / "out" / "reports" / f"{TARGETS[0]}.json").model["init"]["source"] == str(exported)
        logits.append(read_predictions(tmp_path / "out" / "predictions" / f"{TARGETS[0]}.seed0.jsonl").logits)
    assert np.any(logits[0] != logits[1])


def test_reports_become_a_table(command, transferred, tmp_path):
    reports = sorted((transferred[0] / "reports").glob("*.json"))
    command("experiments.tabulate", *reports, f"--out={tmp_path}/table.md")
    assert all(target in (tmp_path / "table.md").read_text() for target in TARGETS)
    assert TARGETS[0] in command("experiments.tabulate", reports[0])


def test_what_is_drawn_stays_while_reports_do(transferred, tmp_path, monkeypatch):
    from lingjax.reporting import report_paths
    from lingjax.study import publish as published

    workdir = tmp_path / "run"
    shutil.copytree(transferred[0], workdir, copy_function=shutil.copy2)
    drawn = []
    monkeypatch.setattr(published, "write_plots", lambda folder, reports: drawn.append([*reports]))
    paths = report_paths(workdir)
    published.publish(workdir, paths)
    assert drawn == []
    published.publish(workdir, paths[:1])  # a page of fewer targets is another page
    (workdir / "plots" / f"{paths[0].stem}.scores.svg").unlink()
    published.publish(workdir, paths[:1])
    os.utime(paths[0])
    published.publish(workdir, paths[:1])
    assert drawn == [[paths[0].stem]] * 3


def test_a_transfer_leaves_plots_of_every_target(transferred):
    names = {path.name for path in (transferred[0] / "plots").iterdir()}
    assert names >= {f"{target}.scores.{kind}" for target in TARGETS for kind in ("png", "svg")}


def test_the_resolved_configuration_is_kept(transferred):
    config = json.loads((transferred[0] / "config.json").read_text())
    assert config["train"]["steps"] == 4
    assert config["train"]["weight_decay"] == 0.0


def test_bands_and_calibration_count_every_row(transferred):
    workdir, _ = transferred
    for target in TARGETS:
        report = read_report(workdir / "reports" / f"{target}.json")
        rows = report.target["rows"]
        for name in ("length", "identity"):
            assert sum(band["rows"] for band in report.bands[name]) == rows
        assert sum(one["rows"] for one in report.calibration) == len(report.seeds) * rows
        assert 0 <= report.audit["rows_similar_to_source"] <= rows


@pytest.mark.exhaustive
def test_hidden_states_are_compared_where_it_is_asked_for(command, data, transferred, tmp_path):
    workdir, _ = transferred
    out = tmp_path / "out"
    command(
        "experiments.evaluate",
        f"--checkpoint={workdir}",
        f"--targets={data}/{TARGETS[0]}@train",
        f"--out={out}",
        "--config.alignment_rows=20",
    )
    alignment = read_report(out / "reports" / f"{TARGETS[0]}.json").alignment
    assert alignment["rows"] == {"source": 20, "target": 20}
    before, after = (alignment["states"][when] for when in ("before", "after"))
    for name in ("cka", "source_cka"):
        assert before[name] is None
        assert after[name] == pytest.approx([1.0] * len(alignment["layers"]), abs=0.01)  # four steps change little
    assert before["similarity"] != after["similarity"]
    attention = alignment["attention"]["after"]["target"]
    assert len(attention["matching"]) == len(alignment["layers"]) - 1
    assert {point[2] for point in alignment["projection"]["after"]["target"]} == {0, 1}
    assert read_report(workdir / "reports" / f"{TARGETS[0]}.json").alignment is None


def test_too_few_rows_to_compare_hidden_states_are_refused(refused, data, transferred, tmp_path):
    line = refused(
        "experiments.evaluate",
        f"--checkpoint={transferred[0]}",
        f"--targets={data}/{TARGETS[0]}",
        f"--out={tmp_path}",
        "--config.alignment_rows=19",
    )
    assert "--config.alignment_rows=19 is too few to compare hidden states; at least 20" in line
