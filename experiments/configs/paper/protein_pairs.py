r"""Called for by the study, a task in between: similarity of two proteins, close and remote homologs.

Data: English pairs as in `experiments/configs/paper/__init__.py`, and with NCBI BLAST+ installed:

    python -m data_prep.build --dataset=protein_pairs --name=protein_close --source=uniprot:swissprot@current \
        --length=50 --identity=0.6,1 --num_pairs=12000 --data_dir=data
    python -m data_prep.build --dataset=protein_pairs --name=protein_remote --source=uniprot:swissprot@current \
        --length=50 --identity=0.3,0.6 --num_pairs=12000 --data_dir=data

Command:

    python -m experiments.transfer --config=experiments/configs/paper/protein_pairs.py:gpt2_small \
        --workdir=runs/paper/protein_pairs

The argument is one of gpt2_small, gpt2_medium, gpt2_large, bert_base, bert_multilingual.
Hardware and time: one GPU; as the model's own recipe. Not measured.
Published: nothing; the later data of the study hold such pairs (`protein_sim_pair_150bp`, `protein_sim_pair_450bp` on
the hub).
"""

from ml_collections import ConfigDict

from experiments.configs import paper

ARGUMENTS = tuple(paper.MODELS)


def get_config(model: str = "gpt2_small") -> ConfigDict:
    """Returns the recipe for one of the study's models."""
    paper.check_argument("protein_pairs.py", model, ARGUMENTS)
    return paper.transfer_from(model, targets=("paws_en", "protein_close", "protein_remote"))
