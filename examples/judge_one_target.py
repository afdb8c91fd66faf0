"""Fine-tunes a model on one task and judges it on another: python examples/judge_one_target.py MODEL SOURCE TARGET.

MODEL is a Hugging Face folder or hub name, SOURCE and TARGET are datasets of `python -m data_prep.build`.
"""

import sys

import lingjax


def judge(model: str, source: str, target: str, workdir: str = "runs/judge_one_target", **train: object) -> None:
    """Prints whether the model carries over; `train` are fields of `TrainSettings`."""
    study = lingjax.StudyConfig(
        model=lingjax.ModelSettings(init=model),
        train=lingjax.TrainSettings(**train),
        source=source,
        targets=[target],
    )
    for name, report in lingjax.transfer(study, workdir=workdir).items():
        print(f"{name}: AUROC {report.summary['auroc']['mean']:.3f}, {report.verdict['orientation']} orientation")
        print(f"above chance: {report.verdict['above_chance']}")
        print(f"above the best control: {report.verdict['above_best_control']}")
        print(*report.verdict["warnings"], sep="\n")


if __name__ == "__main__":
    judge(*sys.argv[1:])
