"""GPT-2 and BERT in Flax NNX: configuration, backbones, heads, and their Hugging Face folders."""

from lingjax.models.bert import Bert, BertLanguageModel
from lingjax.models.build import abstract_model, build_model, flat_parameters, merge_model, parameters_of
from lingjax.models.config import FAMILIES, ModelConfig, preset
from lingjax.models.generate import Continuation, continue_texts
from lingjax.models.gpt2 import Gpt2, Gpt2LanguageModel
from lingjax.models.grow_vocabulary import NEW_ROWS, grow_vocabulary
from lingjax.models.hf import ImportReport, Pretrained, load_pretrained
from lingjax.models.hf_classifier import PAIR_LABELS, PAIRS_KEY, read_pair_settings, says_more
from lingjax.models.hf_config import read_config, read_json
from lingjax.models.hf_folder import resolve_folder
from lingjax.models.hf_save import save_pretrained
from lingjax.models.pair_classifier import PairClassifier, check_pair_format
from lingjax.models.sampling import Sampling
from lingjax.models.token_scores import TokenScores, surprisal
from lingjax.models.weight_names import HEADS, Head, axes_by_path, weight_names

__all__ = [
    "FAMILIES",
    "HEADS",
    "NEW_ROWS",
    "PAIRS_KEY",
    "PAIR_LABELS",
    "Bert",
    "BertLanguageModel",
    "Continuation",
    "Gpt2",
    "Gpt2LanguageModel",
    "Head",
    "ImportReport",
    "ModelConfig",
    "PairClassifier",
    "Pretrained",
    "Sampling",
    "TokenScores",
    "abstract_model",
    "axes_by_path",
    "build_model",
    "check_pair_format",
    "continue_texts",
    "flat_parameters",
    "grow_vocabulary",
    "load_pretrained",
    "merge_model",
    "parameters_of",
    "preset",
    "read_config",
    "read_json",
    "read_pair_settings",
    "resolve_folder",
    "save_pretrained",
    "says_more",
    "surprisal",
    "weight_names",
]
