"""Data: from dataset folders to batches; imports no tensorflow, and the heavy libraries only when they are used."""

from lingjax.data.batch import PairBatch, TokenBatch
from lingjax.data.dataset import (
    DatasetSplit,
    PairRecord,
    PairSource,
    SubsetSource,
    fingerprint_records,
    hash_fraction,
    open_split,
    split_by_hash,
)
from lingjax.data.packing import evaluation_batches, pack_pairs, steps_per_epoch, training_batches
from lingjax.data.pairs import PAIR_FORMATS, EncodedPair, PairEncoder, TokenStatistics, measure_tokens
from lingjax.data.tfrecord import TFRecordSource, parse_example, write_index
from lingjax.data.tokenizer import Tokenizer, load_tokenizer

__all__ = [
    "PAIR_FORMATS",
    "DatasetSplit",
    "EncodedPair",
    "PairBatch",
    "PairEncoder",
    "PairRecord",
    "PairSource",
    "SubsetSource",
    "TFRecordSource",
    "TokenBatch",
    "TokenStatistics",
    "Tokenizer",
    "evaluation_batches",
    "fingerprint_records",
    "hash_fraction",
    "load_tokenizer",
    "measure_tokens",
    "open_split",
    "pack_pairs",
    "parse_example",
    "split_by_hash",
    "steps_per_epoch",
    "training_batches",
    "write_index",
]
