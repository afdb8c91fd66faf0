import io
import json

import pytest
from huggingface_hub import constants

from data_prep.builders.hub_pairs import build
from data_prep.downloads.hub import choose_files, fetch_subset
from data_prep.downloads.patience import Patience
from lingjax.data import PairSource, open_split
from lingjax.errors import InputError
from tests.data_prep.misbehaving_server import Answer, Clock, serving

REPO = "owner/pairs"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {
    "small_50bp/data.jsonl": '{"sentence1": "ACGT", "sentence2": "ACGA", "label": 1}\n'
    '{"sentence1": "ACGT", "sentence2": "GGGG", "label": 0}\n',
    "small_150bp/data.jsonl": '{"sentence1": "A", "sentence2": "C", "label": 1}\n',
    "both.train.csv": "id,sentence1,sentence2,label,identity\n1,a,b,1,0.5\n2,c,d,0,0.25\n",
    "both.test.csv": "id,sentence1,sentence2,label\n1,e,f,0\n",
    "notes.txt": "nothing",
}


@pytest.fixture
def server(monkeypatch, tmp_path):
    with serving(monkeypatch) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        publish(server, FILES)
        yield server


def publish(server, files, commit=COMMIT):
    listing = {"id": REPO, "sha": commit, "siblings": [{"rfilename": name} for name in files]}
    server.answer(f"/api/datasets/{REPO}/revision/main", Answer(json.dumps(listing).encode(), headers=JSON))
    for name, content in files.items():
        content = content if isinstance(content, bytes) else content.encode()
        headers = {"ETag": f'"{hash_name(name, commit)}"', "X-Repo-Commit": commit, "Accept-Ranges": "bytes"}
        server.answer(f"/datasets/{REPO}/resolve/{commit}/{name}", Answer(content, headers=headers))


JSON = {"Content-Type": "application/json"}


def hash_name(name, commit):
    return f"{len(name):04d}{commit[:36]}"


def read_back(folder, split):
    pairs = PairSource(open_split(f"{folder}@{split}", default=[]))
    return [(pair.pair_id, pair.sentence1, pair.sentence2, pair.label) for pair in pairs]


def metadata(folder):
    return json.loads((folder / "lingjax.json").read_text())


def test_a_subset_is_read_as_pairs_are(server, tmp_path):
    (folder,) = build(tmp_path / "ds", repo=REPO, subset="small_50bp")
    assert folder == tmp_path / "ds" / "small_50bp" / "1.0.0"
    assert read_back(folder, "train") == [("data.jsonl:1", "ACGT", "ACGA", 1), ("data.jsonl:2", "ACGT", "GGGG", 0)]
    assert (folder / "README.md").is_file()


def test_the_commit_is_recorded_and_another_one_is_other_input(server, tmp_path, capsys):
    (folder,) = build(tmp_path / "ds", repo=REPO, subset="small_50bp")
    assert metadata(folder)["commit"] == COMMIT
    assert f"--revision={COMMIT}" in (folder / "README.md").read_text()
    assert build(tmp_path / "ds", repo=REPO, subset="small_50bp") == [folder]
    assert "nothing to do" in capsys.readouterr().out
    publish(server, FILES, commit="f" * 40)
    with pytest.raises(InputError, match="other commit"):
        build(tmp_path / "ds", repo=REPO, subset="small_50bp")


def test_another_revision_gives_its_files(server, tmp_path):
    main = server.answers[f"/api/datasets/{REPO}/revision/main"]
    publish(server, {"small_50bp/data.jsonl": FILES["small_150bp/data.jsonl"]}, commit="a" * 40)
    server.answer(f"/api/datasets/{REPO}/revision/v2", *server.answers[f"/api/datasets/{REPO}/revision/main"])
    server.answer(f"/api/datasets/{REPO}/revision/main", *main)
    (newer,) = build(tmp_path / "ds", repo=REPO, subset="small_50bp", name="newer", revision="v2")
    (older,) = build(tmp_path / "ds", repo=REPO, subset="small_50bp", name="older")
    assert len(read_back(newer, "train")) == 1
    assert len(read_back(older, "train")) == 2
    assert metadata(newer)["commit"] == "a" * 40


def test_published_splits_are_kept_and_their_ids_told_apart(server, tmp_path):
    (folder,) = build(tmp_path / "ds", repo=REPO, subset="both")
    assert read_back(folder, "train") == [("train:1", "a", "b", 1), ("train:2", "c", "d", 0)]
    assert read_back(folder, "test") == [("test:1", "e", "f", 0)]
    assert metadata(folder)["dropped"] == {"values of column 'identity', which not every split has": 2}


def test_other_splits_can_be_asked_for(server, tmp_path):
    (folder,) = build(tmp_path / "ds", repo=REPO, subset="both", split="test", name="all")
    assert folder.parent.name == "all"
    assert len(read_back(folder, "test")) == 3
    (folder,) = build(tmp_path / "ds", repo=REPO, subset="both", splits=["a:0.5", "b:0.5"])
    assert {split: counts["rows"] for split, counts in metadata(folder)["splits"].items()} == {"a": 2, "b": 1}
    with pytest.raises(InputError, match="--split puts every row"):
        build(tmp_path / "ds", repo=REPO, subset="both", split="x", splits=["a:1"])


def test_offline_the_cache_serves(server, tmp_path):
    with pytest.raises(
        InputError, match=r"owner/pairs at revision main is not in the hub's cache .* hf download owner"
    ):
        build(tmp_path / "ds", repo=REPO, subset="small_50bp", offline=True)
    (online,) = build(tmp_path / "ds", repo=REPO, subset="small_50bp")
    asked = len(server.requests)
    (offline,) = build(tmp_path / "ds", name="a", repo=REPO, subset="small_50bp", offline=True)
    (by_commit,) = build(tmp_path / "ds", name="b", repo=REPO, subset="small_50bp", offline=True, revision=COMMIT)
    assert len(server.requests) == asked
    assert read_back(offline, "train") == read_back(online, "train") == read_back(by_commit, "train")


def test_offline_a_subset_that_is_there_in_part_is_not_taken_for_the_whole(server, tmp_path):
    build(tmp_path / "ds", repo=REPO, subset="both")
    next((tmp_path / "hub").rglob("both.test.csv")).unlink()
    with pytest.raises(InputError, match=r"revision main: both.test.csv is not in the hub's cache"):
        build(tmp_path / "ds", repo=REPO, subset="both", offline=True)


def test_a_cache_that_was_filled_by_other_means_serves_too(server, tmp_path):
    snapshot = tmp_path / "hub" / "datasets--owner--pairs" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    (snapshot / "x.csv").write_text(FILES["both.test.csv"])
    (tmp_path / "hub" / "datasets--owner--pairs" / "refs").mkdir()
    (tmp_path / "hub" / "datasets--owner--pairs" / "refs" / "main").write_text(COMMIT)
    (folder,) = build(tmp_path / "ds", repo=REPO, offline=True)
    assert read_back(folder, "train") == [("1", "e", "f", 0)]


def test_parquet_is_read_where_it_is_published(server, tmp_path):
    import pyarrow
    from pyarrow import parquet

    buffer = io.BytesIO()
    table = pyarrow.table({"sentence1": ["a", "c"], "sentence2": ["b", "d"], "label": [1, 0]})
    parquet.write_table(table, buffer)
    publish(server, {"data/train-00000-of-00001.parquet": buffer.getvalue()})
    (folder,) = build(tmp_path / "ds", repo=REPO)
    assert folder.parent.name == "pairs"
    assert read_back(folder, "train") == [
        ("train-00000-of-00001.parquet:1", "a", "b", 1),
        ("train-00000-of-00001.parquet:2", "c", "d", 0),
    ]


def test_the_card_of_the_repository_names_subsets_and_licence(server, tmp_path):
    configs = "configs:\n- config_name: odd\n  data_files:\n  - split: dev\n    path: small_*/*.jsonl\n"
    card = f"---\nlicense: mit\n{configs}---\n"
    publish(server, {**FILES, "README.md": card})
    (folder,) = build(tmp_path / "ds", repo=REPO, subset="odd")
    assert [pair[1] for pair in read_back(folder, "dev")] == ["A", "ACGT", "ACGT"]
    assert "owner/pairs states: mit." in (folder / "README.md").read_text()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def fetch(clock, tmp_path):
    def fetch():
        patience = Patience(attempts=3, sleep=clock.sleep, clock=clock.read)
        notes = tmp_path / "notes"
        return fetch_subset(REPO, "small_50bp", revision="main", notes=notes, offline=False, patience=patience)

    return fetch


@pytest.mark.parametrize(
    ("trouble", "pauses"), [(Answer(status=429, headers={"Retry-After": "4"}), [4.0]), (Answer(status=503), [1.0])]
)
def test_a_busy_hub_is_asked_again(server, fetch, clock, trouble, pauses):
    path = f"/api/datasets/{REPO}/revision/main"
    server.answer(path, trouble, *server.answers[path])
    assert fetch().commit == COMMIT
    assert clock.sleeps == pauses


def test_a_download_that_breaks_off_is_completed(server, fetch):
    path = f"/datasets/{REPO}/resolve/{COMMIT}/small_50bp/data.jsonl"
    (whole,) = server.answers[path]
    headers = dict(whole.headers)
    server.answer(path, whole, Answer(whole.body, headers=headers, cut_after=20), whole)
    (file,) = fetch().paths["train"]
    assert file.read_bytes() == whole.body


def test_a_hub_that_goes_on_failing_is_one_line(server, fetch, clock):
    server.answer(f"/api/datasets/{REPO}/revision/main", Answer(status=500))
    with pytest.raises(InputError, match=r"cannot get revision main of owner/pairs .* 500, 3 times .*--source=FILES$"):
        fetch()
    assert clock.sleeps == [1.0, 2.0]


def test_a_repository_that_is_not_there_is_asked_for_once(server, fetch, clock):
    server.answer(f"/api/datasets/{REPO}/revision/main", Answer(b"", 404, {"X-Error-Code": "RepoNotFound"}))
    with pytest.raises(InputError, match="there is no such dataset or revision main, or it needs a token"):
        fetch()
    assert clock.sleeps == []


def test_no_network_is_said_at_once(server, fetch, clock, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"it cannot be reached \(ConnectError\); is there a network\?"):
        fetch()
    assert clock.sleeps == []


@pytest.mark.parametrize("repo", ["", "name", "a/b/c", "a b/c"])
def test_a_repository_has_an_owner_and_a_name(repo, tmp_path):
    with pytest.raises(InputError, match="is not OWNER/NAME, as in dnagpt/gene_lan_transfer"):
        fetch_subset(repo, None, revision="main", notes=tmp_path, offline=True)


def choose(files, subset, configs=()):
    return choose_files(files, list(configs), subset, repo=REPO)


@pytest.mark.parametrize(
    ("files", "subset", "expected"),
    [
        (["a.json", "a_b.json"], "a", {"train": ["a.json"]}),
        (["a_test.csv", "a_train.csv", "ab_train.csv"], "a", {"test": ["a_test.csv"], "train": ["a_train.csv"]}),
        (["a/test-00000-of-00002.parquet", "a/test-00001-of-00002.parquet"], "a",
         {"test": ["a/test-00000-of-00002.parquet", "a/test-00001-of-00002.parquet"]}),
        (["a/dev/x.jsonl.gz", "a/train/x.jsonl.gz"], "a",
         {"validation": ["a/dev/x.jsonl.gz"], "train": ["a/train/x.jsonl.gz"]}),
        (["only.csv", "README.md", ".gitattributes"], None, {"train": ["only.csv"]}),
    ],
)  # fmt: skip
def test_folders_and_names_make_subsets(files, subset, expected):
    assert choose(files, subset) == expected


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"data_files": "x/*.csv"}, {"train": ["x/1.csv"], "test": ["x/test.csv"]}),
        ({"data_files": ["x/1.csv"]}, {"train": ["x/1.csv"]}),
        ({"data_files": [{"split": "s", "path": ["x/1.csv", "y.csv"]}]}, {"s": ["x/1.csv", "y.csv"]}),
        ({"data_dir": "x"}, {"train": ["x/1.csv"], "test": ["x/test.csv"]}),
        ({"data_dir": "x", "data_files": "1.*"}, {"train": ["x/1.csv"]}),
    ],
)
def test_configurations_of_the_card_make_subsets(config, expected):
    assert choose(["x/1.csv", "x/test.csv", "y.csv"], "c", [{"config_name": "c", **config}]) == expected


@pytest.mark.parametrize(
    ("files", "subset", "reason"),
    [
        (["a.csv", "b.csv"], None, "has several subsets; choose one with --subset: a, b"),
        (["a.csv", "b.csv"], "aa", "--subset=aa is not in owner/pairs; did you mean 'a'?"),
        (["a.txt"], None, "holds no data files; known are .jsonl"),
    ],
)
def test_a_subset_that_is_not_there_is_named_with_those_that_are(files, subset, reason):
    with pytest.raises(InputError) as caught:
        choose(files, subset)
    assert reason in str(caught.value)


def test_rows_without_label_or_text_are_left_out_and_counted(server, tmp_path):
    header = "sentence1,sentence2,label\n"
    files = {"g.train.csv": f"{header}a,b,1\n,d,0\ne,f,-1\ng,h,0\n", "g.test.csv": f"{header}i,j,-1\nk,l,-1\n"}
    publish(server, files)
    (folder,) = build(tmp_path / "ds", repo=REPO, subset="g")
    assert [row[1:] for row in read_back(folder, "train")] == [("a", "b", 1), ("g", "h", 0)]
    assert list(metadata(folder)["splits"]) == ["train"]
    assert metadata(folder)["dropped"] == {
        "rows without a label": 1,
        "rows without a label, all of split 'test'": 2,
        "rows without sentence1": 1,
    }
    publish(server, {"g.test.csv": files["g.test.csv"]}, commit="e" * 40)
    with pytest.raises(InputError, match=r"no split of .* has a labelled pair \(2 rows without a label"):
        build(tmp_path / "ds", name="none", repo=REPO, subset="g")


def test_published_splits_can_be_chosen_and_others_are_neither_downloaded_nor_read(server, tmp_path):
    header = "sentence1,sentence2,label\n"
    publish(server, {"g.train.csv": f"{header}a,b,1\nc,d,0\n", "g.test.csv": f"{header}e,f,2\ng,h,3\n"})
    with pytest.raises(InputError) as caught:
        build(tmp_path / "ds", repo=REPO, subset="g")
    assert str(caught.value).count(str(tmp_path)) == 1
    assert "g.test.csv:2: label is '2', not 0 or 1; g.test.csv:3: label is '3', not 0 or 1" in str(caught.value)
    asked = len(server.requests)
    (folder,) = build(tmp_path / "ds", repo=REPO, subset="g", published_splits=["train"])
    assert not any("g.test.csv" in str(request) for request in server.requests[asked:])
    assert read_back(folder, "train") == [("g.train.csv:1", "a", "b", 1), ("g.train.csv:2", "c", "d", 0)]
    assert "--published_splits=train" in (folder / "README.md").read_text()
    with pytest.raises(InputError, match=r"--published_splits of owner/pairs: no split 'tran'; did you mean 'train'\?"):
        build(tmp_path / "ds", name="x", repo=REPO, subset="g", published_splits=["tran"])
