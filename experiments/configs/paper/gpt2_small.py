"""GPT-2 small (English) fine-tuned on English pairs, judged on other languages and DNA.

Data: as in `experiments/configs/paper/__init__.py`.
Command:

    python -m experiments.transfer --config=experiments/configs/paper/gpt2_small.py --workdir=runs/paper/gpt2_small

Hardware and time: one GPU. At the 210.7 pairs/s that the study's notebook prints for an RTX 4090, 4 epochs of 49,401
pairs take 16 minutes a seed; there are three, and one more for the untrained control. Not measured with lingjax.
Published: table of v1 en 0.92, fr 0.74, de 0.73, zh 0.61, DNA 0.78; the notebooks print 0.9185, 0.7360, 0.7260,
0.6090, 0.7836.
"""

from ml_collections import ConfigDict

from experiments.configs import paper


def get_config() -> ConfigDict:
    """Returns the study's recipe for `gpt2`."""
    return paper.transfer_from("gpt2_small")
