import dataclasses
import functools
import hashlib
import http.server
import io
import json
import tarfile
import threading

import pytest

from data_prep.builders import paws_x
from data_prep.builders.paws_x import LANGUAGES, OFFICIAL_ARCHIVE, Archive, build
from data_prep.downloads import Cache, Patience
from lingjax.data import PairSource, open_split
from lingjax.errors import InputError

HEADER = "id\tsentence1\tsentence2\tlabel\n"
FILES = {
    "de/translated_train.tsv": HEADER + '1\t"Ein Satz\tSatz ein"\t1\n2\tNS\tZwei\t0\n3\tDrei\tdrei\tkaputt\n4\tvier\n',
    "de/dev_2k.tsv": HEADER + "1\tEins\tZwei\t0\n2\t\tDrei\t1\n",
    "de/test_2k.tsv": HEADER + "1\tVier\tFünf\t1\n2\tSechs\tSieben\t0\n",
    "en/train.tsv": HEADER + "1\tOne\tTwo\t0\n",
    "en/dev_2k.tsv": HEADER + "1\tThree\tFour\t1\n",
    "en/test_2k.tsv": HEADER + "1\tFive\tSix\t1\n",
}


def pack(files):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, text in files.items():
            member = tarfile.TarInfo(f"x-final/{name}")
            member.size = len(text.encode())
            archive.addfile(member, io.BytesIO(text.encode()))
    return buffer.getvalue()


CONTENT = pack(FILES)


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests += 1
        if self.path != "/x-final.tar.gz":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.content)))
        self.end_headers()
        self.wfile.write(self.server.content[: self.server.cut_after])

    def log_message(self, *_):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        server.content, server.cut_after, server.requests = CONTENT, None, 0
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def archive(server):
    url = f"http://127.0.0.1:{server.server_port}/x-final.tar.gz"
    return Archive(url=url, size=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest())


def read_back(folder, split):
    pairs = PairSource(open_split(f"{folder}@{split}", default=[]))
    return [(pair.pair_id, pair.sentence1, pair.sentence2, pair.label) for pair in pairs]


def test_a_language_is_downloaded_and_split_as_published(tmp_path, archive):
    (folder,) = build(tmp_path, language="de", archive=archive)
    assert folder == tmp_path / "paws_de" / "1.0.0"
    assert read_back(folder, "train") == [("train:1", '"Ein Satz', 'Satz ein"', 1)]
    assert read_back(folder, "validation") == [("validation:1", "Eins", "Zwei", 0)]
    assert read_back(folder, "test") == [("test:1", "Vier", "Fünf", 1), ("test:2", "Sechs", "Sieben", 0)]


def test_rows_that_are_left_out_are_counted(tmp_path, archive):
    (folder,) = build(tmp_path, language="de", archive=archive)
    assert json.loads((folder / "lingjax.json").read_text())["dropped"] == {
        "untranslated rows of train": 1,
        "malformed rows of train": 2,
        "untranslated rows of validation": 1,
    }


def test_the_archive_is_downloaded_once_for_all_languages(tmp_path, archive, server):
    build(tmp_path, language="de", archive=archive)
    requests = server.requests
    (folder,) = build(tmp_path, language="en", name="english", archive=archive)
    assert server.requests == requests
    assert folder.parent.name == "english"
    assert read_back(folder, "train") == [("train:1", "One", "Two", 0)]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["downloads", "english", "paws_de"]
    assert sorted(path.name for path in (tmp_path / "downloads").iterdir()) == ["x-final.tar.gz", "x-final.tar.gz.json"]


def test_building_again_needs_no_archive(tmp_path, archive):
    folders = build(tmp_path, language="en", archive=archive)
    (tmp_path / "downloads" / "x-final.tar.gz").unlink()
    unreachable = dataclasses.replace(archive, url="http://127.0.0.1:9/x-final.tar.gz")
    assert build(tmp_path, language="en", archive=unreachable) == folders


def assert_nothing_is_left(tmp_path):
    assert [path for path in tmp_path.rglob("*") if path.name != "downloads"] == []


def test_a_wrong_checksum_is_refused(tmp_path, archive, server):
    server.content = pack({**FILES, "de/test_2k.tsv": "changed"})
    with pytest.raises(InputError, match=r"cannot download PAWS-X: it has .* bytes where .* are published; try again"):
        build(tmp_path, language="de", archive=archive)
    assert_nothing_is_left(tmp_path)


def test_a_cut_connection_is_one_line(tmp_path, archive, server, monkeypatch):
    monkeypatch.setattr(paws_x, "Cache", functools.partial(Cache, patience=Patience(sleep=lambda _: None)))
    server.cut_after = 100
    with pytest.raises(InputError, match=r"PAWS-X: the connection broke off.*by hand at .*downloads/x-final.tar.gz"):
        build(tmp_path, language="de", archive=archive)
    assert not (tmp_path / "paws_de").exists()
    assert not (tmp_path / "downloads" / "x-final.tar.gz").exists()


@pytest.mark.parametrize(("path", "reason"), [("/gone.tar.gz", "Not Found"), (":9", "no connection")])
def test_an_unreachable_archive_is_named_at_once(tmp_path, archive, path, reason):
    url = archive.url.replace("/x-final.tar.gz", path) if path.startswith("/") else "http://127.0.0.1:9/x-final.tar.gz"
    with pytest.raises(InputError, match=f"cannot download PAWS-X: .*{reason}.*fetch {url} .*by hand at"):
        build(tmp_path, language="de", archive=dataclasses.replace(archive, url=url))
    assert_nothing_is_left(tmp_path)


def test_offline_the_archive_must_be_there(tmp_path, archive, server):
    with pytest.raises(InputError, match=r"PAWS-X is not in the cache; run once without --offline, or fetch http"):
        build(tmp_path, language="de", archive=archive, offline=True)
    assert server.requests == 0
    build(tmp_path, language="de", archive=archive)
    (folder,) = build(tmp_path, language="en", archive=archive, offline=True)
    assert len(read_back(folder, "train")) == 1


def test_an_archive_put_there_by_hand_is_used_if_it_is_the_right_one(tmp_path, archive, server):
    (tmp_path / "downloads").mkdir()
    path = tmp_path / "downloads" / "x-final.tar.gz"
    path.write_bytes(CONTENT[:-1])
    with pytest.raises(InputError, match=r"x-final.tar.gz is not PAWS-X: .*; remove it and try again"):
        build(tmp_path, language="de", archive=archive)
    path.write_bytes(CONTENT)
    assert len(read_back(build(tmp_path, language="de", archive=archive)[0], "test")) == 2
    assert server.requests == 0


def test_a_file_in_the_way_of_the_downloads_is_named(tmp_path, archive):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"cannot write .*file/downloads/.*: Not a directory"):
        build(tmp_path / "file", language="de", archive=archive)


def test_an_unknown_language_is_named():
    with pytest.raises(InputError, match="--language=it is not a language of PAWS-X"):
        build("/nowhere", language="it")


def test_the_official_archive_is_the_one_that_tfds_knows():
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core.download import checksums

    known = checksums.load_url_infos(tfds.core.tfds_path("datasets/paws_x_wiki/checksums.tsv"))[OFFICIAL_ARCHIVE.url]
    assert (int(known.size), known.checksum) == (OFFICIAL_ARCHIVE.size, OFFICIAL_ARCHIVE.sha256)
    assert len(LANGUAGES) == 7
