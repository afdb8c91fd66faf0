def test_checkpoints_are_kept_and_steps_profiled_as_asked(command, data, gpt2_folder, tmp_path):
    command(
        "experiments.finetune",
        f"--workdir={tmp_path}",
        f"--config.model.init={gpt2_folder}",
        f"--config.source={data}/synthetic_english_pairs",
        "--config.train.max_length=64",
        "--config.train.batch_size=7",
        "--config.train.steps=5",
        "--config.train.best_by=last",
        "--config.save_every=1",
        "--config.keep_checkpoints=3",
        "--config.profile_at=2",
    )
    kept = sorted(int(path.name) for path in (tmp_path / "checkpoints").iterdir() if path.name.isdecimal())
    assert kept == [3, 4, 5]
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
