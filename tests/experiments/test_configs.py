"""Every shipped configuration: its commands can be typed, its model is built at full size, a tiny run finishes."""

import functools
import importlib
import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import pytest
from flax import nnx

from data_prep.builders import check_flags, load_builder
from experiments import configuration, grid
from lingjax.data import load_tokenizer
from lingjax.errors import InputError
from lingjax.models import abstract_model, build_model, parameters_of, preset, save_pretrained
from lingjax.training.mesh import make_mesh
from tests.experiments.conftest import ROOT
from tests.without_flags import import_without_flags

CONFIGS = ROOT / "experiments" / "configs"
# Entries of the published tokenizers; the hub is not asked.
VOCABULARIES = {"gpt2": 50_257, "bert-base-cased": 28_996, "google-bert/bert-base-multilingual-cased": 119_547}
PUBLISHED = {"gpt2": "gpt2", "bert": "bert-base-cased"}


def module_of(path):
    return importlib.import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


def all_configs():
    """Returns every configuration with each argument it takes."""
    cases = []
    for path in sorted(CONFIGS.rglob("*.py")):
        if path.name == "__init__.py":
            continue
        module, name = module_of(path), str(path.relative_to(CONFIGS))
        arguments = getattr(module, "ARGUMENTS", None)
        cases += [(name, module.get_config)] if arguments is None else []
        cases += [(f"{name}:{one}", functools.partial(module.get_config, one)) for one in arguments or ()]
    return cases


CASES = all_configs()
PAPER = sorted(path for path in (CONFIGS / "paper").glob("*.py"))
every_config = pytest.mark.parametrize("make", [make for _, make in CASES], ids=[name for name, _ in CASES])
# Evaluation takes the checkpoint's model.
BUILT = [(name, make) for name, make in CASES if name != "evaluate.py"]


def kind_of(config):
    """Returns the command that a configuration is for."""
    if "data" in config:
        return "pretrain"
    return "transfer" if "targets" in config else "finetune" if "source" in config else "evaluate"


@pytest.mark.parametrize(
    "path", [path for path in PAPER if hasattr(module_of(path), "ARGUMENTS")], ids=lambda p: p.stem
)
def test_an_argument_that_a_recipe_does_not_have_is_refused(path):
    with pytest.raises(InputError, match=f"{path.name} has no 'nonsense', choose one of: .* as in {path.name}:"):
        module_of(path).get_config("nonsense")


def commands_of(path):
    """Returns the commands in a recipe's docstring: loops at their first turn, variables replaced."""
    text = re.sub(r" *\\\n *", " ", module_of(path).__doc__ or "")
    for name, values in re.findall(r"for (\w+) in ([^;]+);", text):
        text = re.sub(rf"\$({name}\b|{{{name}}})", values.split()[0], text)
    for name, value in re.findall(r"^ *([A-Z])=(\S+)$", text, flags=re.MULTILINE):
        text = text.replace(f"${name}", value)
    return [shlex.split(command) for command in re.findall(r"python -m ([^;\n]+)", text)]


@pytest.mark.parametrize("path", PAPER, ids=lambda path: path.stem)
def test_the_commands_of_a_recipe_can_be_typed(path):
    commands = commands_of(path)
    assert commands
    for name, *arguments in commands:
        given = dict(argument.removeprefix("--").split("=", 1) for argument in arguments)
        if name == "data_prep.build":
            dataset = given.pop("dataset")
            check_flags(dataset, given, load_builder(dataset))
        elif name == "experiments.sweep":
            varied = grid.parse_varied([given["vary"]])
            assert grid.make_cells(given["experiment"], varied, flags=[], workdir=Path(given["workdir"]))
        elif name.startswith("experiments."):
            assert kind_of(configuration.resolve([f"--config={given['config']}"])) == name[12:]
        else:
            source = (ROOT / name.replace(".", "/")).with_suffix(".py").read_text()
            assert given.keys() <= set(re.findall(r'DEFINE_\w+\(\s*"(\w+)"', source)), name


@functools.cache
def output_shape(model, head, length):
    """Returns the shape of a model's output for two rows, without a number."""
    graph, parameters = nnx.split(abstract_model(model, head))[0], parameters_of(abstract_model(model, head))
    names = ("document_ids", "positions", *(["segment_ids"] if model.family == "bert" else []))
    rows = jax.ShapeDtypeStruct((2, length), jnp.int32)
    inputs = dict.fromkeys(names, rows)
    if head == "pairs":
        inputs["pool_positions"] = jax.ShapeDtypeStruct((2, 3), jnp.int32)
    forward = lambda parameters, rows, inputs: nnx.merge(graph, parameters)(rows, **inputs)  # noqa: E731
    return jax.eval_shape(forward, parameters, rows, inputs).shape


@pytest.mark.parametrize("make", [make for _, make in BUILT], ids=[name for name, _ in BUILT])
def test_the_model_is_built_at_full_size(make):
    config = make()
    model, is_pretraining = config.model, kind_of(config) == "pretrain"
    vocab_size = VOCABULARIES.get(model.init) or VOCABULARIES[PUBLISHED[model.family]]
    changes = {"max_length": model.max_length, "vocab_multiple": model.vocab_multiple} if is_pretraining else {}
    built = preset(model.family, model.size, vocab_size=vocab_size, scan_layers=True, **changes)
    length = built.max_length if is_pretraining else config.train.max_length
    assert length <= built.max_length
    expected = (2, length, built.padded_vocab_size) if is_pretraining else (2, 3, 2)
    assert output_shape(built, "language_model" if is_pretraining else "pairs", length) == expected


@pytest.fixture(scope="module")
def tiny(data, tokenizer, gpt2_folder, packed, tmp_path_factory):
    """By family: a tokenizer of English and DNA, a tiny model with it, and packed corpora."""
    from data_prep.packing import pack
    from data_prep.tokenizer_training import train_tokenizer

    folder = tmp_path_factory.mktemp("tiny")
    corpora = [(str(data / f"synthetic_{domain}"), 1.0) for domain in ("english", "dna")]
    wordpiece = train_tokenizer(
        folder / "wordpiece", kind="wordpiece", corpora=corpora, vocab_size=300, max_word_characters=4096
    )
    loaded = load_tokenizer(str(wordpiece))
    config = preset("bert", "tiny", vocab_size=loaded.vocab_size, max_length=64, pad_id=loaded.pad_id)
    parameters = parameters_of(build_model(config, "backbone", rngs=nnx.Rngs(0)))
    bert = save_pretrained(
        folder / "bert", config, parameters, head="backbone", tokenizer_folder=wordpiece, end_id=loaded.end_id
    )
    pack(data, name="packed_for_bert", corpus=corpora[0][0], tokenizer=loaded, length=32)
    return {
        "gpt2": {"tokenizer": str(tokenizer), "model": str(gpt2_folder), "packed": packed},
        "bert": {"tokenizer": str(wordpiece), "model": str(bert), "packed": f"{data}/packed_for_bert:1"},
    }


@pytest.fixture(scope="module")
def run(data, tiny, tmp_path_factory):
    """Runs a configuration made tiny in this process; those that are then alike run once."""
    commands = {
        name: import_without_flags(f"experiments.{name}") for name in ("transfer", "pretrain", "finetune", "evaluate")
    }
    finished = {}

    def shrink(config):
        with config.unlocked():
            config.offline = True
            if "bootstrap_replicates" in config:
                config.update(bootstrap_replicates=5, evaluation_batch_size=8)
            if kind_of(config) == "evaluate":
                return
            of_family = tiny[config.model.family]
            config.model.size = "tiny"
            config.train.update(steps=2, batch_size=4)
            if kind_of(config) == "pretrain":
                config.model.max_length = 32
                config.data.mixture = of_family["packed"]
            else:
                config.source = f"{data}/synthetic_english_pairs"
                config.seeds = 1
                config.train.max_length = 64
            if "targets" in config:
                config.targets = f"{data}/synthetic_dna_pairs@test"
                config.trained_controls = ""
            if config.model.init or "source" in config:
                config.model.init = of_family["model"]
            if config.model.tokenizer or not config.model.init:
                config.model.tokenizer = of_family["tokenizer"]

    def run(config):
        shrink(config)
        kind = kind_of(config)
        key = (kind, json.dumps(configuration.to_json(config), sort_keys=True))
        if key not in finished:
            folder = tmp_path_factory.mktemp(kind)
            given = {"_CONFIG": config, "_OUT": folder}
            if kind == "evaluate":
                given |= {"_CHECKPOINT": tiny["gpt2"]["run"], "_TARGETS": f"{data}/synthetic_dna_pairs@test"}
            flags_of = {name: SimpleNamespace(value=value) for name, value in given.items()}
            flags_of["_RUN"] = SimpleNamespace(
                config=flags_of["_CONFIG"], workdir=SimpleNamespace(value=folder), hosts={}
            )
            with pytest.MonkeyPatch.context() as patch:
                for name, holder in flags_of.items():
                    patch.setattr(commands[kind], name, holder, raising=False)
                patch.setattr("experiments.runtime.start_jax", lambda *_: None)
                patch.setattr(
                    "lingjax.training.mesh.make_mesh", lambda text: make_mesh(text, devices=jax.devices()[:1])
                )
                commands[kind].main([])
            finished[key] = folder
            if kind == "finetune":
                tiny["gpt2"]["run"] = folder
        return kind, finished[key]

    return run


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(
            make, id=name, marks=[pytest.mark.exhaustive] * (name.startswith("paper/") and name != "paper/bert_base.py")
        )
        for name, make in CASES
    ],
)
def test_a_tiny_run_finishes(run, make):
    from experiments.configs import finetune_pairs

    config = make()
    if kind_of(config) == "evaluate":
        run(finetune_pairs.get_config())
    kind, folder = run(config)
    results = {"transfer": "report.html", "evaluate": "report.html"}
    assert (folder / results.get(kind, "result.json")).exists()
