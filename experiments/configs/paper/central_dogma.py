r"""The follow-up (arXiv 2502.06253): pretrained on mixed texts, fine-tuned on English, judged on DNA-protein pairs.

Data: as in `experiments/configs/paper/__init__.py`; for `:own` also the pretraining of `gene_eng_gpt2.py`.
Command:

    python -m experiments.transfer --config=experiments/configs/paper/central_dogma.py:gene_eng_gpt2_v1 \
        --workdir=runs/paper/central_dogma

The argument names the hub's weights, `dnagpt/gene_eng_gpt2_v1`, `_v2` or `dnagpt/gpt2_gene_v1`, or `own`. A script of
the follow-up chooses its best epoch on the English test set; here the dev set chooses, as in every recipe.
Hardware and time: one GPU; not measured.
Published: 0.81 on DNA-protein pairs, where the models of the first study stay at 0.45 to 0.55.
"""

from ml_collections import ConfigDict

from experiments.configs import paper

ARGUMENTS = ("gene_eng_gpt2_v1", "gene_eng_gpt2_v2", "gpt2_gene_v1", "own")


def get_config(model: str = "gene_eng_gpt2_v1") -> ConfigDict:
    """Returns the recipe for weights on the hub, or for our own."""
    paper.check_argument("central_dogma.py", model, ARGUMENTS)
    init = "runs/paper/gene_eng_gpt2/pretrained" if model == "own" else f"dnagpt/{model}"
    config = paper.transfer(init, targets=("paws_en", "dna_protein_pair"))
    config.train.max_length = 256
    return config
