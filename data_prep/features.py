"""The features of each kind of record, as TFDS describes and encodes them."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tensorflow_datasets as tfds
    from tensorflow_datasets.proto import tf_example_pb2

# Of pairs that come from sequence databases: how the pair came about ("homolog", "random", "shuffled" ...); where each
# text lies, as "NC_004829.1:101-150(+)"; how they align, as a CIGAR text with = and X, empty where they do not; the
# organism of each text; the cluster of homologs.
BIOLOGY_FEATURES = ("kind", "location1", "location2", "cigar", "organism1", "organism2", "cluster")


def describe_features(kind: str, optional: Sequence[str] = ()) -> "tfds.features.FeaturesDict":
    """Returns the features of records.

    Args:
      kind: "pairs", "corpus" or "packed".
      optional: which of the optional features of pairs every record has: "identity", "source", "group" and those of
        `BIOLOGY_FEATURES`.
    """
    import numpy as np
    import tensorflow_datasets as tfds

    text = tfds.features.Text()
    raw_bytes = tfds.features.Scalar(np.object_)
    by_kind = {
        "pairs": {
            "pair_id": text,
            "sentence1": text,
            "sentence2": text,
            "label": tfds.features.ClassLabel(num_classes=2),
        },
        "corpus": {"document_id": text, "text": text},
        "packed": {"token_ids": raw_bytes, "document_ids": raw_bytes},
    }
    optional_features = {
        "identity": tfds.features.Scalar(np.float32),
        **dict.fromkeys(("source", "group", *BIOLOGY_FEATURES), text),
    }
    return tfds.features.FeaturesDict({**by_kind[kind], **{name: optional_features[name] for name in optional}})


def make_serializer(features: "tfds.features.FeaturesDict") -> Callable[[Mapping[str, object]], bytes]:
    """Returns a function that turns a record into the bytes of a `tf.train.Example`, the same for equal records."""
    import numpy as np
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import example_serializer

    if all(type(feature) is tfds.features.Scalar and feature.np_dtype == np.object_ for feature in features.values()):
        return _serialize_bytes
    serializer = example_serializer.ExampleSerializer(features.get_serialized_info())

    def serialize(record: Mapping[str, object]) -> bytes:
        return _example_bytes(serializer.get_tf_example(features.encode_example(record)))

    return serialize


def _serialize_bytes(record: Mapping[str, bytes]) -> bytes:
    """Serializes features that are bytes as they are: what TFDS would write, without the checks that it makes of each.

    Those take longer than packing the tokens of a row does.
    """
    from tensorflow_datasets.proto import tf_example_pb2

    example = tf_example_pb2.Example()
    for name, value in record.items():
        example.features.feature[name].bytes_list.value.append(value)
    return _example_bytes(example)


def _example_bytes(example: "tf_example_pb2.Example") -> bytes:
    # Without `deterministic`, protobuf writes the features in an order that changes from run to run.
    return example.SerializeToString(deterministic=True)
