"""Folders may be called anything that the file system takes; what a flag cannot say is refused in a line."""

import json
import shutil

NAME = "-we@ird ü 'q' %s #1:"
DATA = "da@ta [x] *?"


def test_a_study_in_folders_of_any_name(command, transfer_flags, data, gpt2_folder, tmp_path):
    place = tmp_path / NAME
    for name in ("synthetic_english_pairs", "synthetic_dna_pairs"):
        shutil.copytree(data / name, place / DATA / name)
    shutil.copytree(gpt2_folder, place / "model")
    flags = [
        *transfer_flags,
        f"--config.model.init={place}/model",
        f"--config.source={place}/{DATA}/synthetic_english_pairs",
        f"--config.targets={place}/{DATA}/synthetic_dna_pairs@test",
        "--config.trained_controls=shuffled_labels",
        "--config.seeds=1",
    ]
    printed = command("experiments.transfer", f"--workdir={place}/run", *flags)
    assert f"{place}/run/report.html" in printed
    report = json.loads((place / "run" / "reports" / "synthetic_dna_pairs.json").read_text())
    assert report["source"]["split"] == "train" and "skipped" not in report["controls"]["shuffled_labels"]
    targets = f"--targets={place}/{DATA}/synthetic_dna_pairs@test"
    command("experiments.evaluate", f"--checkpoint={place}/run", targets, f"--out={place}/out")
    again = json.loads((place / "out" / "reports" / "synthetic_dna_pairs.json").read_text())
    assert again["seeds"] == report["seeds"]
    assert "synthetic_dna_pairs" in command("experiments.tabulate", f"{place}/run")
    assert {path.name for path in tmp_path.iterdir()} == {NAME}


def test_a_workdir_that_cannot_hold_checkpoints_is_refused(refused, transfer_flags, tmp_path):
    assert "for a pattern" in refused("experiments.transfer", f"--workdir={tmp_path}/a[b]", *transfer_flags)
    assert not list(tmp_path.iterdir())


def test_a_comma_parts_targets_and_the_parts_are_refused(refused, data, transfer_flags, tmp_path):
    shutil.copytree(data / "synthetic_dna_pairs", tmp_path / "a,b")
    line = refused(
        "experiments.transfer", f"--workdir={tmp_path}/run", *transfer_flags, f"--config.targets={tmp_path}/a,b"
    )
    assert f"{tmp_path}/a: no such dataset folder" in line
