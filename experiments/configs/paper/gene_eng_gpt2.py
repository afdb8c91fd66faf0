r"""GPT-2 small from scratch on 10 GB each of English, DNA and protein, then transfer, also to DNA-protein pairs.

Data: as in `experiments/configs/paper/__init__.py`, and texts of your choice (the study names no files):

    python -m data_prep.build --dataset=corpus --domain=english --name=english --source='english/*.txt' \
        --data_dir=data
    python -m data_prep.build --dataset=corpus --domain=dna --name=dna --source='genomes/*.fna.gz' --data_dir=data
    python -m data_prep.build --dataset=corpus --domain=protein --name=protein --source='proteins/*.fasta.gz' \
        --data_dir=data
    python -m data_prep.train_tokenizer --kind=bpe --corpora=data/english:1,data/dna:1,data/protein:1 \
        --vocab_size=50000 --out=runs/paper/gene_eng_gpt2/tokenizer
    for domain in english dna protein; do python -m data_prep.pack --corpus=data/$domain --length=1024 \
        --data_dir=data --tokenizer=runs/paper/gene_eng_gpt2/tokenizer --name=gene_eng_gpt2_$domain; done

Commands (`:hub` fine-tunes the published weights, `dnagpt/gene_eng_gpt2_v1`, and needs no pretraining):

    python -m experiments.pretrain --config=experiments/configs/paper/gene_eng_gpt2.py:pretrain \
        --workdir=runs/paper/gene_eng_gpt2/pretrained
    python -m experiments.transfer --config=experiments/configs/paper/gene_eng_gpt2.py:transfer \
        --workdir=runs/paper/gene_eng_gpt2
    python -m experiments.transfer --config=experiments/configs/paper/gene_eng_gpt2.py:hub \
        --workdir=runs/paper/gene_eng_gpt2_hub

The size of the vocabulary and all settings of pretraining are ours. Nine billion tokens are about one pass, at 4.5
characters a token of English, four letters of DNA and two to three of protein; `data_prep.pack` prints how many there
are.
Hardware and time: several GPUs or a TPU slice; not measured.
Published: no accuracy for this model in the table of v1; the follow-up (arXiv 2502.06253) reports 0.81 on DNA-protein
pairs for models pretrained from scratch on mixed texts (`central_dogma.py`).
"""

from ml_collections import ConfigDict

from experiments.configs import paper

ARGUMENTS = ("transfer", "pretrain", "hub")

_TARGETS = (*paper.STUDY_TARGETS, "dna_protein_pair")


def get_config(stage: str = "transfer") -> ConfigDict:
    """Returns the configuration of one stage, `pretrain` or `transfer`, or of the published weights, `hub`."""
    paper.check_argument("gene_eng_gpt2.py", stage, ARGUMENTS)
    if stage == "pretrain":
        mixture = ",".join(f"data/gene_eng_gpt2_{domain}:1" for domain in ("english", "dna", "protein"))
        return paper.pretrain("runs/paper/gene_eng_gpt2", mixture, tokens=9e9, batch_size=512)
    init = "dnagpt/gene_eng_gpt2_v1" if stage == "hub" else "runs/paper/gene_eng_gpt2/pretrained"
    config = paper.transfer(init, targets=_TARGETS)
    config.train.max_length = 256  # 150 nucleotides and 50 residues
    return config
