r"""Called for by the study, a task in between: do two genes belong to one family? As DNA and as protein.

Data: English pairs as in `experiments/configs/paper/__init__.py`, and with NCBI BLAST+ installed:

    python -m data_prep.build --dataset=gene_families --name=families_dna --source='genomes/*.gbk' --domain=dna \
        --length=50 --num_pairs=12000 --data_dir=data
    python -m data_prep.build --dataset=gene_families --name=families_protein --source='genomes/*.gbk' \
        --domain=protein --length=50 --num_pairs=12000 --data_dir=data

Command:

    python -m experiments.transfer --config=experiments/configs/paper/gene_families.py:gpt2_small \
        --workdir=runs/paper/gene_families

The argument is one of gpt2_small, gpt2_medium, gpt2_large, bert_base, bert_multilingual.
Hardware and time: one GPU; as the model's own recipe. Not measured.
Published: nothing.
"""

from ml_collections import ConfigDict

from experiments.configs import paper

ARGUMENTS = tuple(paper.MODELS)


def get_config(model: str = "gpt2_small") -> ConfigDict:
    """Returns the recipe for one of the study's models."""
    paper.check_argument("gene_families.py", model, ARGUMENTS)
    return paper.transfer_from(model, targets=("paws_en", "families_dna", "families_protein"))
