"""Pretrains BERT on masked tokens of mixed, packed corpora. There is no next-sentence task (Liu et al. 2019, RoBERTa).

Command: python -m experiments.pretrain --config=experiments/configs/pretrain_bert.py --workdir=runs/bert
    --config.model.tokenizer=WORDPIECE_DIR --config.data.mixture=DIR/english:1,DIR/dna:1,DIR/protein:1
Hardware and time: as `pretrain_gpt2.py`.
Adam's values are those of Devlin et al. 2019, appendix A.2.
"""

from ml_collections import ConfigDict

from experiments.configs import pretrain_gpt2


def get_config() -> ConfigDict:
    """Returns what differs from GPT-2."""
    config = pretrain_gpt2.get_config()
    config.model.family = "bert"
    config.model.size = "base"
    config.model.max_length = 512
    config.train.learning_rate = 1e-4
    config.train.schedule = "linear"
    config.train.warmup_fraction = 0.01
    config.train.weight_decay = 0.01
    config.train.beta2 = 0.999
    config.train.epsilon = 1e-6
    return config
