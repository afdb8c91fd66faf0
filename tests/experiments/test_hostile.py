"""Files from elsewhere that want more than to be read."""

import csv
import json
import re
import shutil

import pytest

from lingjax.reporting import read_report, table_rows
from lingjax.reporting.formats import as_csv
from lingjax.sealed import read_sealed, write_sealed

MARK = "lingjax-secret-5f1d"


@pytest.fixture
def model(gpt2_folder, tmp_path):
    """A copy of a model folder, as one from elsewhere: without checksums."""
    folder = shutil.copytree(gpt2_folder, tmp_path / "model")
    (folder / "lingjax.sha256").unlink()
    return folder


def change(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_code_in_a_model_folder_does_not_run(prepared, model, tmp_path, transfer_flags):
    ran = tmp_path / "ran"
    for name in ("modeling_evil.py", "tokenization_evil.py", "evil.py", "conftest.py", "sitecustomize.py"):
        (model / name).write_text(f"import pathlib\npathlib.Path({str(ran)!r}).write_text('x')\nclass Evil: pass\n")
    auto_map = {"AutoModel": "modeling_evil.Evil", "AutoTokenizer": ["tokenization_evil.Evil", None]}
    change(model / "config.json", auto_map=auto_map)
    change(model / "tokenizer_config.json", auto_map=auto_map, tokenizer_class="EvilTokenizer")
    done = prepared.run(
        "experiments.transfer", f"--workdir={tmp_path}/run", *transfer_flags, f"--config.model.init={model}"
    )
    assert done.returncode == 2 and "never run" in done.stderr
    assert not ran.exists()


def test_a_dataset_writes_nothing_outside_the_workdir(refused, data, tmp_path, transfer_flags):
    target = shutil.copytree(data / "synthetic_dna_pairs", tmp_path / "target")
    info = next(target.rglob("dataset_info.json"))
    change(info, name="../../../../TRAVERSED")
    line = refused("experiments.transfer", f"--workdir={tmp_path}/run", *transfer_flags, f"--config.targets={target}")
    assert "a dataset cannot be called '../../../../TRAVERSED'" in line
    assert {path.name for path in tmp_path.iterdir()} == {"target"}


@pytest.mark.parametrize("key", ["tokenizer_file", "vocab_file", "added_tokens_file", "special_tokens_map_file"])
def test_a_tokenizer_reads_no_file_of_another_folder(model, tmp_path, key):
    from lingjax.data import load_tokenizer

    expected = load_tokenizer(str(model)).fingerprint
    (tmp_path / "elsewhere.json").write_text("{}")
    change(model / "tokenizer_config.json", **{key: str(tmp_path / "elsewhere.json")})
    assert load_tokenizer(str(model)).fingerprint == expected


@pytest.mark.parametrize("name", ["../model.safetensors", "/etc/passwd", "a/../../b", "..", ""])
def test_an_index_names_no_file_of_another_folder(refused, model, tmp_path, transfer_flags, name):
    shutil.move(model / "model.safetensors", tmp_path / "model.safetensors")
    (model / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"wte.weight": name}}))
    line = refused("experiments.transfer", f"--workdir={tmp_path}/run", *transfer_flags, f"--config.model.init={model}")
    assert "model.safetensors.index.json is damaged" in line


HOSTILE = '=HYPERLINK("http://x")\x1b[2J\u202e<script>alert(1)</script>|`x`[a](javascript:1)\\input{x}'


@pytest.fixture
def hostile_report(transferred, tmp_path):
    workdir, _ = transferred
    path = shutil.copytree(workdir / "reports", tmp_path / "reports") / "synthetic_dna_pairs.json"
    report = read_sealed(path)
    report["target"]["dataset"] = report["model"]["init"]["source"] = report["source"]["dataset"] = HOSTILE
    report["verdict"]["warnings"] = [HOSTILE]
    write_sealed(path, report)
    return path


def test_a_table_on_the_terminal_moves_no_cursor(command, hostile_report):
    printed = command("experiments.tabulate", hostile_report)
    assert "HYPERLINK" in printed
    assert "\x1b" not in printed and "\u202e" not in printed


def test_a_csv_table_has_no_formulas(hostile_report):
    row = vars(table_rows([read_report(hostile_report)])[0])
    for cell in next(csv.reader(as_csv([row]).splitlines()[1:])):
        assert not cell.startswith(("=", "+", "-", "@"))
    assert as_csv([{"a": -1, "b": "-1 pairs", "c": "@x", "d": "b"}]) == "a,b,c,d\n-1,'-1 pairs,'@x,b\n"


@pytest.mark.parametrize(
    ("ending", "unescaped"), [("md", r"(?<!\\)<script|(?<!\\)\|`"), ("html", "<script>alert"), ("tex", r"\\input")]
)
def test_other_tables_are_escaped(command, hostile_report, tmp_path, ending, unescaped):
    command("experiments.tabulate", hostile_report, f"--out={tmp_path}/table.{ending}")
    text = (tmp_path / f"table.{ending}").read_text()
    assert "HYPERLINK" in text
    assert not re.search(unescaped, text)


def test_an_error_moves_no_cursor(refused, tmp_path):
    assert "\x1b" not in refused("experiments.tabulate", f"{tmp_path}/\x1b[2J.json")


def test_secrets_of_the_environment_are_nowhere(prepared, transferred, data, tmp_path, monkeypatch):
    for name in (
        "HF_TOKEN",
        "HUGGING_FACE_HUB_TOKEN",
        "WANDB_API_KEY",
        "AWS_SECRET_ACCESS_KEY",
        "NCBI_API_KEY",
        "GH_TOKEN",
    ):
        monkeypatch.setenv(name, MARK)
    workdir, _ = transferred
    done = prepared.run(
        "experiments.evaluate",
        f"--checkpoint={workdir}/seed0",
        f"--targets={data}/synthetic_dna_pairs",
        f"--out={tmp_path}/out",
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert MARK not in done.stdout + done.stderr
    written = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(written) > 5
    assert not [path for path in written if MARK.encode() in path.read_bytes()]
