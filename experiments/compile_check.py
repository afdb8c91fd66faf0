"""Compiles a pretraining step for a TPU slice without one: python -m experiments.compile_check --topology=v5e:4x4 ...

Prints JSON: memory of a device and whether it fits, collectives by kind and size, and an estimate of the share of the
time that they take. Needs the compiler of TPUs (`pip install -e ".[tpu]"`), which runs on any x86 Linux machine.
`--topology=cpu:8` compiles for that many simulated CPU devices, as a rehearsal.
"""

import json
import sys

from absl import flags

from experiments import configuration

_CONFIG = configuration.define_config()
_TOPOLOGY = flags.DEFINE_string("topology", None, "TPU generation and shape: v5e:4x4, v4:2x2x4, ...", required=True)
_VOCAB_SIZE = flags.DEFINE_integer("vocab_size", None, "Entries of the tokenizer; the published ones by default.")
_LENGTH = flags.DEFINE_integer("length", None, "Tokens of a row; config.model.max_length by default.", lower_bound=2)
_OUT = flags.DEFINE_string("out", None, "File to write the JSON to as well.")


def main(_: list[str]) -> None:
    """Compiles and prints."""
    from experiments import topology

    devices = topology.open_topology(_TOPOLOGY.value)

    from lingjax.files import write_json
    from lingjax.study.pretraining import abstract_config
    from lingjax.training.compiled import StepShape, describe_step
    from lingjax.training.mesh import check_rows, make_mesh

    config = configuration.to_pretraining(_CONFIG.value)
    mesh = make_mesh(config.mesh, devices=devices)
    check_rows(config.train.batch_size, mesh, accumulation=config.train.accumulation)
    model = abstract_config(config, vocab_size=_VOCAB_SIZE.value)
    shape = StepShape(
        batch_size=config.train.batch_size,
        length=_LENGTH.value or config.model.max_length,
        accumulation=config.train.accumulation,
    )
    described = {"topology": _TOPOLOGY.value, "model": model.to_json(), **describe_step(model, shape, mesh)}
    if _OUT.value:
        write_json(_OUT.value, described)
    sys.stdout.write(json.dumps(described, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    configuration.run(main, default="pretrain_gpt2")
