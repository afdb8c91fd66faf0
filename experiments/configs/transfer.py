"""The study's experiment: fine-tune on English pairs, judge DNA and other languages zero-shot.

Command: python -m experiments.transfer --config=experiments/configs/transfer.py --workdir=runs/gpt2
    --config.model.init=gpt2 --config.source=DIR/paws_x_en --config.targets=DIR/paws_x_de@test,DIR/dna_pairs
    --config.seeds=3
Hardware and time: any; the study's full size (49,401 pairs, 4 epochs, GPT-2 small) wants a GPU or a TPU.
Published: arXiv 2412.07678, table of v1: en 0.92, fr 0.74, de 0.73, zh 0.61, DNA 0.78 for GPT-2 small, one seed.
"""

from ml_collections import ConfigDict

from experiments.configs import base


def get_config() -> ConfigDict:
    """Returns the study's recipe, which is the default."""
    return base.get_config()
