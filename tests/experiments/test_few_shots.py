import itertools
import json
import shutil

import numpy as np
import pytest

from lingjax.reporting import read_report
from lingjax.study.few_shots import draw_rows

LABELS = np.array([0, 1, 1, 0, 0, 1, 0, 1, 1, 1])


@pytest.mark.parametrize(("shots", "of_label"), [(2, [1, 1]), (5, [2, 3]), (8, [4, 4])])
def test_both_labels_are_drawn_alike(shots, of_label):
    rows = draw_rows(LABELS, shots, seed=3)
    assert np.bincount(LABELS[rows]).tolist() == of_label
    assert len(set(rows.tolist())) == shots


def test_fewer_rows_are_among_more_and_seeds_differ():
    draws = [set(draw_rows(LABELS, shots, seed=1).tolist()) for shots in (2, 4, 6, 8)]
    assert all(fewer < more for fewer, more in itertools.pairwise(draws))
    assert len({tuple(draw_rows(LABELS, 4, seed=seed)) for seed in range(5)}) > 1


def test_too_few_rows_of_a_label_are_refused():
    with pytest.raises(ValueError, match="5 rows with label 0 are wanted, there are 4"):
        draw_rows(LABELS, 10, seed=0)


@pytest.fixture(scope="module")
def few_shots(command, data, transferred, transfer_flags, tmp_path_factory):
    """The workdir of a finished transfer, to which few shots on a target with a training split are added."""
    workdir = shutil.copytree(transferred[0], tmp_path_factory.mktemp("few") / "run")
    flags = [
        *transfer_flags,
        f"--config.targets={data}/synthetic_dna_pairs,{data}/synthetic_dna_protein_pairs@train",
        "--config.shots=8,2,100000",
        "--config.shots_epochs=2",
    ]
    return workdir, flags, command("experiments.transfer", f"--workdir={workdir}", *flags)


def test_every_seed_and_start_has_a_point_for_every_size_with_enough_rows(few_shots):
    workdir, _, _ = few_shots
    measured = read_report(workdir / "reports" / "synthetic_dna_pairs.json").sample_efficiency
    assert measured["too_few_rows_for"] == [100000]
    points = {(point["shots"], point["start"], point["seed"]): point for point in measured["points"]}
    assert set(points) == {(k, start, seed) for k in (2, 8) for start in ("transferred", "direct") for seed in (0, 1)}
    assert len({point["log_loss"] for point in points.values()}) == 8  # start, size and seed each change the model
    assert all(0 <= point[name] <= 1 for point in points.values() for name in ("accuracy", "auroc"))


def test_a_target_without_training_pairs_says_so(few_shots):
    workdir, _, _ = few_shots
    measured = read_report(workdir / "reports" / "synthetic_dna_protein_pairs.json").sample_efficiency
    assert measured == {"skipped": "synthetic_dna_protein_pairs has no split 'train' beside the evaluated 'train'"}


def test_the_zero_shot_figures_are_those_without(few_shots, transferred):
    name = "reports/synthetic_dna_pairs.json"
    with_them, without = (json.loads((workdir / name).read_text()) for workdir in (few_shots[0], transferred[0]))
    assert with_them["seeds"] == without["seeds"]
    assert "sample_efficiency" not in without


def test_no_weights_are_kept_and_nothing_is_trained_again(few_shots, command):
    workdir, flags, _ = few_shots
    results = sorted((workdir / "few_shots").rglob("result.json"))
    assert len(results) == 8
    assert not list((workdir / "few_shots").rglob("checkpoints"))
    before = [path.stat().st_mtime_ns for path in results]
    report = workdir / "reports" / "synthetic_dna_pairs.json"
    points = read_report(report).sample_efficiency
    report.unlink()
    command("experiments.transfer", f"--workdir={workdir}", *flags)
    assert [path.stat().st_mtime_ns for path in results] == before
    assert read_report(report).sample_efficiency == points
