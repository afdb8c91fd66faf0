"""Fine-tuning alone, without targets: the study's recipe.

Command: python -m experiments.finetune --config=experiments/configs/finetune_pairs.py --workdir=runs/finetune
    --config.model.init=HF_DIR --config.source=DIR/paws_en
"""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config() -> ConfigDict:
    """Returns the defaults without the keys that only a target has."""
    config = base.get_config()
    for key in (
        *("targets", "allow_unknown", "bootstrap_replicates", "curve_rows", "shots", "shots_epochs"),
        *("control_seeds", "trained_controls", "kmer_sizes", "alignment_rows", "correction"),
    ):
        del config[key]
    return config
