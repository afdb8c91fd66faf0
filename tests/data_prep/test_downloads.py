import gzip
import hashlib
import io
import json
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from data_prep.downloads import Addresses, Cache, Patience, ask_for, describe_file, entrez, is_name
from data_prep.sources import find_files
from lingjax.errors import InputError
from tests.data_prep.misbehaving_server import Answer, Clock, serving

ROOT = Path(__file__).parents[2]
RECORD = """\
LOCUS       NC_000001                 23 bp    DNA     linear   BCT 01-JAN-2020
DEFINITION  A small record.
ACCESSION   NC_000001
VERSION     NC_000001.2
SOURCE      Testus exemplaris
  ORGANISM  Testus exemplaris
            Bacteria.
FEATURES             Location/Qualifiers
     source          1..23
ORIGIN
        1 acgtacgtac gtacgtacgt acg
//

"""
PLAIN = {"Content-Type": "text/plain; charset=UTF-8"}
HTML = b"<!DOCTYPE html>\n<html><body>Service temporarily unavailable</body></html>"
EFETCH = "/eutils/efetch.fcgi"


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def open_cache(server, clock, tmp_path, monkeypatch):
    """Returns a function that opens the cache, online unless told otherwise."""
    monkeypatch.delenv("NCBI_EMAIL", raising=False)
    # The Entrez client really sleeps: a third of a second, a tenth with a key.
    monkeypatch.setenv("NCBI_API_KEY", "secret")

    def open_cache(**options):
        addresses = Addresses(
            f"{server.url}/eutils", f"{server.url}/genomes", f"{server.url}/uniprot", f"{server.url}/uniprotkb"
        )
        options = {"email": "me@example.org", "addresses": addresses, **options}
        patience = Patience(attempts=4, sleep=clock.sleep, clock=clock.read)
        return Cache(tmp_path / "downloads", patience=patience, **options)

    return open_cache


@pytest.fixture
def obtain(open_cache):
    def obtain(name, **options):
        cache = open_cache(**options)
        return cache.obtain(ask_for(name, cache))

    return obtain


def note(path):
    return json.loads(path.with_name(f"{path.name}.json").read_text())


def hidden(tmp_path):
    return [path.name for path in tmp_path.rglob(".*")]


def by_hand(tmp_path, accession):
    return (
        f"fetch https://www.ncbi.nlm.nih.gov/nuccore/{accession} (Send to, File, GenBank (full)) elsewhere "
        f"and put it by hand at {tmp_path}/downloads/nuccore/{accession}.gbk"
    )


def test_a_record_is_fetched_with_its_sequence_once(server, obtain, tmp_path):
    server.answer(EFETCH, Answer(RECORD.encode(), headers=PLAIN))
    path = obtain("nuccore:NC_000001.2")
    assert path == tmp_path / "downloads" / "nuccore" / "NC_000001.2.gbk"
    assert path.read_text() == RECORD
    (request,) = server.requests
    assert request.query == {
        "db": "nuccore", "id": "NC_000001.2", "rettype": "gbwithparts", "retmode": "text", "tool": "lingjax",
        "email": "me@example.org", "api_key": "secret",
    }  # fmt: skip
    assert obtain("nuccore:nc_000001.2") == path
    assert len(server.requests) == 1
    assert hidden(tmp_path) == []


def test_the_note_says_where_a_record_came_from(server, obtain):
    server.answer(EFETCH, Answer(RECORD.encode(), headers=PLAIN))
    path = obtain("nuccore:NC_000001")
    content = note(path)
    assert content.pop("fetched_utc").endswith("+00:00")
    assert len(content.pop("content_sha256")) == 64
    assert content == {
        "name": "nuccore:NC_000001", "accession": "NC_000001", "version": "NC_000001.2",
        "organism": "Testus exemplaris", "url": "https://www.ncbi.nlm.nih.gov/nuccore/NC_000001",
        "sha256": hashlib.sha256(RECORD.encode()).hexdigest(), "size": len(RECORD),
    }  # fmt: skip
    del content["name"], content["size"]
    assert describe_file(path) == {"path": "NC_000001.gbk", **content}


def test_what_is_said_of_any_other_file_is_its_name_and_checksum(tmp_path):
    (tmp_path / "a.fa").write_text(">a\nACGT\n")
    assert describe_file(tmp_path / "a.fa") == {
        "path": "a.fa",
        "sha256": hashlib.sha256(b">a\nACGT\n").hexdigest(),
    }


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(b"", 429, {"Retry-After": "5"}),
        Answer(b"oops", 500),
        Answer(HTML, headers={"Content-Type": "text/html"}),
        Answer(b"Error: Resource temporarily unavailable\n", headers=PLAIN),
        Answer(RECORD.replace("//\n", "").encode(), headers=PLAIN),
        Answer(RECORD.encode()[:-40], headers=PLAIN, announces_length=False),
        Answer(RECORD.encode(), headers=PLAIN, cut_after=100),
        Answer(RECORD.replace("gtacgtacgt acg", "gtacgtacgt").encode(), headers=PLAIN),
        Answer(b"LOCUS \xff\xfe", headers=PLAIN),
        Answer(b"", headers=PLAIN),
    ],
)
def test_troubles_of_ncbi_are_outlasted(server, obtain, clock, trouble):
    server.answer(EFETCH, trouble, trouble, Answer(RECORD.encode(), headers=PLAIN))
    assert obtain("nuccore:NC_000001.2").read_text() == RECORD
    assert clock.sleeps == ([5.0, 5.0] if trouble.status == 429 else [1.0, 2.0])


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(HTML), "what came is a web page, not GenBank, 4 times in a row"),
        (Answer(b"ID   X56734;\n"), "what came begins with 'ID   X56734;', not with 'LOCUS' as GenBank does, 4 times"),
        (Answer(RECORD.replace("//\n", "").encode()), "its last record does not end with //; it was cut off, 4 times"),
        (Answer(RECORD.replace("NC_000001.2", "NC_000001.3").encode()), r"it is the record of NC_000001.3, 4 times"),
        (Answer(RECORD.strip().encode() * 2), r"record 1"),
        (Answer((RECORD.strip() + "\n").encode() * 2), r"it holds 2 records, not 1"),
        (Answer(b"bad id", 400), r"NCBI says 400 Bad Request; is NC_000001.2 the right accession\?; try again"),
        (Answer(b"", 503, {"Retry-After": "900"}), "NCBI says 503 .*, and the server asks to wait 900 seconds"),
    ],
)
def test_a_failure_is_one_line_that_says_where_to_put_the_file(server, obtain, tmp_path, answer, reason):
    server.answer(EFETCH, answer)
    with pytest.raises(InputError, match=reason) as caught:
        obtain("nuccore:NC_000001.2")
    assert str(caught.value).startswith("cannot download nuccore:NC_000001.2: ")
    assert str(caught.value).endswith(f"try again, or {by_hand(tmp_path, 'NC_000001.2')}")
    assert "\n" not in str(caught.value)
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_no_network_is_said_at_once(obtain, clock):
    with pytest.raises(InputError, match=r"NCBI cannot be reached \(Connection refused\); is there a network\?"):
        obtain("nuccore:NC_000001.2", addresses=Addresses(eutils="http://127.0.0.1:9"))
    assert clock.sleeps == []


def test_a_silent_ncbi_is_asked_again(server, obtain, monkeypatch):
    monkeypatch.setattr(entrez, "_TIMEOUT_SECONDS", 0.3)
    server.answer(EFETCH, Answer(RECORD.encode(), silent_seconds=0.6), Answer(RECORD.encode()))
    assert obtain("nuccore:NC_000001.2").read_text() == RECORD


def test_processes_that_want_the_same_file_share_one_download(server, tmp_path):
    server.answer("/uniprotkb/P04637.fasta", Answer(PROTEINS, silent_seconds=0.5))
    code = (
        "import sys; from data_prep.sources import find_files; print(*find_files(sys.argv[2:], cache_dir=sys.argv[1]))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "downloads"), "uniprot:P04637"]
    environment = {**os.environ, "UNIPROT_ENTRIES_URL": f"{server.url}/uniprotkb"}
    processes = [
        subprocess.Popen(command, env=environment, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    outputs = [process.communicate() for process in processes]
    path = tmp_path / "downloads" / "uniprot" / "P04637.fasta"
    assert [process.returncode for process in processes] == [0, 0, 0], outputs
    assert {out for out, _ in outputs} == {f"{path}\n"}
    assert path.read_bytes() == PROTEINS
    assert len(server.requests) == 1
    assert sorted(file.name for file in path.parent.iterdir()) == ["P04637.fasta", "P04637.fasta.json"]


def test_ncbi_wants_an_address_to_write_to(server, obtain, monkeypatch):
    with pytest.raises(InputError, match=r"nuccore:NC_000001.2: NCBI asks .* --email=.* or set NCBI_EMAIL"):
        obtain("nuccore:NC_000001.2", email=None)
    monkeypatch.setenv("NCBI_EMAIL", "you@example.org")
    server.answer(EFETCH, Answer(RECORD.encode(), headers=PLAIN))
    obtain("nuccore:NC_000001.2", email=None)
    assert server.requests[-1].query["email"] == "you@example.org"


def test_the_client_of_ncbi_is_left_as_it_was(server, obtain):
    from Bio import Entrez

    before = {name: value for name, value in vars(Entrez).items() if not name.startswith("__")}
    server.answer(EFETCH, Answer(RECORD.encode(), headers=PLAIN))
    obtain("nuccore:NC_000001.2")
    assert {name: vars(Entrez)[name] for name in before} == before


def test_offline_takes_the_cache_and_names_what_is_not_in_it(server, obtain, open_cache, tmp_path):
    server.answer(EFETCH, Answer(RECORD.encode(), headers=PLAIN))
    path = obtain("nuccore:NC_000001.2")
    assert obtain("nuccore:NC_000001.2", offline=True, email=None) == path
    with pytest.raises(InputError) as caught:
        find_files(["nuccore:NC_000001.2", "nuccore:AB12345.1", "uniprot:P04637"], cache=open_cache(offline=True))
    for missing in (
        "--source: nuccore:AB12345.1 is not in the cache; run once without --offline, "
        f"or {by_hand(tmp_path, 'AB12345.1')}; ",
        "uniprot:P04637 is not in the cache",
    ):
        assert missing in str(caught.value)
    assert len(server.requests) == 1


def test_a_file_put_there_by_hand_is_checked_and_noted(obtain, tmp_path):
    path = tmp_path / "downloads" / "nuccore" / "NC_000001.2.gbk"
    path.parent.mkdir(parents=True)
    path.write_text(RECORD[:-60])
    with pytest.raises(InputError, match=r"NC_000001.2.gbk is not nuccore:NC_000001.2: .*; remove it and try again"):
        obtain("nuccore:NC_000001.2", offline=True)
    path.write_text(RECORD)
    assert obtain("nuccore:NC_000001.2", offline=True) == path
    assert note(path)["version"] == "NC_000001.2"
    assert "fetched_utc" not in note(path)


def test_a_download_that_was_changed_is_noticed(server, obtain):
    server.answer(EFETCH, Answer(RECORD.encode(), headers=PLAIN))
    path = obtain("nuccore:NC_000001.2")
    path.write_text(RECORD.replace("acgt", "ACGT"))
    with pytest.raises(InputError, match=r"NC_000001.2.gbk is not what was downloaded .*; remove it and try again"):
        obtain("nuccore:NC_000001.2")


GENOMES = "/genomes/GCF/000/286/675"
ASSEMBLY = "GCF_000286675.1_ASM28667v1"
GBFF = gzip.compress(RECORD.encode() * 3, mtime=0)
LISTING = f'<pre><a href="../">..</a>\n<a href="{ASSEMBLY}/">{ASSEMBLY}/</a> <a href="GCF_000286675.12_X/">x</a></pre>'


def serve_assembly(server, *answers, checksum=None):
    server.answer(f"{GENOMES}/", Answer(LISTING.encode(), headers={"Content-Type": "text/html"}))
    checksum = checksum or hashlib.md5(GBFF).hexdigest()
    lines = f"{'0' * 32}  ./{ASSEMBLY}_genomic.fna.gz\n{checksum}  ./{ASSEMBLY}_genomic.gbff.gz\n"
    server.answer(f"{GENOMES}/{ASSEMBLY}/md5checksums.txt", Answer(lines.encode()))
    server.answer(f"{GENOMES}/{ASSEMBLY}/{ASSEMBLY}_genomic.gbff.gz", *answers)


def test_an_assembly_is_compared_with_the_list_of_checksums(server, obtain):
    serve_assembly(server, Answer(GBFF))
    path = obtain("assembly:GCF_000286675.1")
    assert path.name == "GCF_000286675.1.gbff.gz"
    assert path.read_bytes() == GBFF
    assert note(path)["organism"] == "Testus exemplaris"


def test_an_assembly_with_a_wrong_checksum_is_refused(server, obtain, tmp_path):
    serve_assembly(server, Answer(GBFF), checksum="1" * 32)
    with pytest.raises(InputError, match=r"assembly:GCF_000286675.1: its MD5 is .* where 1111.*by hand"):
        obtain("assembly:GCF_000286675.1")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_assembly_survives_a_cut_and_a_busy_server(server, obtain):
    headers = {"Accept-Ranges": "bytes", "ETag": '"x"'}
    serve_assembly(
        server, Answer(status=503), Answer(GBFF, headers=headers, cut_after=70), Answer(GBFF, headers=headers)
    )
    assert obtain("assembly:GCF_000286675.1").read_bytes() == GBFF


@pytest.mark.parametrize(
    ("accession", "reason"),
    [
        (
            "GCF_000286675.2",
            r"NCBI lists no assembly GCF_000286675.2 at .*; there are GCF_000286675.1, GCF_000286675.12",
        ),
        ("GCA_000286675.1", "the server says 404 Not Found"),
    ],
)
def test_an_assembly_that_is_not_there_is_named_with_those_that_are(server, obtain, accession, reason):
    serve_assembly(server, Answer(GBFF))
    with pytest.raises(InputError, match=reason):
        obtain(f"assembly:{accession}")


def test_an_assembly_without_annotation_is_said_so(server, obtain):
    serve_assembly(server, Answer(GBFF))
    server.answer(f"{GENOMES}/{ASSEMBLY}/md5checksums.txt", Answer(b"0  ./x\n"))
    with pytest.raises(
        InputError, match=r"lists no GCF_000286675.1_ASM28667v1_genomic.gbff.gz, so there is no GenBank"
    ):
        obtain("assembly:GCF_000286675.1")


PROTEINS = b">sp|P04637|P53_HUMAN Cellular tumor antigen p53 OS=Homo sapiens OX=9606 GN=TP53 PE=1 SV=4\nMEEPQSDPSV\n"
SPROT = gzip.compress(PROTEINS, mtime=0)
COMPLETE = "/uniprot/current_release/knowledgebase/complete"
FORMER = "/uniprot/previous_releases/release-2024_05/knowledgebase"


def metalink(release, name, content):
    return Answer(
        f"""<?xml version="1.0" encoding="UTF-8"?>
<metalink version="3.0" xmlns="http://www.metalinker.org/">
 <publisher><name>UniProt</name></publisher><version>{release}</version>
 <files>
  <file name="other.gz"><size>3</size><verification><hash type="md5">{"0" * 32}</hash></verification></file>
  <file name="{name}"><size>{len(content)}</size>
   <verification><hash type="md5">{hashlib.md5(content).hexdigest()}</hash></verification></file>
 </files>
</metalink>""".encode()
    )


def serve_swissprot(server):
    server.answer(f"{COMPLETE}/RELEASE.metalink", metalink("2025_03", "uniprot_sprot.fasta.gz", SPROT))
    server.answer(f"{COMPLETE}/uniprot_sprot.fasta.gz", Answer(SPROT))


@pytest.mark.parametrize("release", ["2025_03", "current"])
def test_the_current_release_of_swissprot_is_kept_by_its_number(server, obtain, release):
    serve_swissprot(server)
    path = obtain(f"uniprot:swissprot@{release}")
    assert path.name == "swissprot_2025_03.fasta.gz"
    assert path.read_bytes() == SPROT
    assert note(path)["version"] == "2025_03"
    assert note(path)["url"].endswith(f"{COMPLETE}/uniprot_sprot.fasta.gz")


def test_a_former_release_is_taken_out_of_its_archive(server, obtain):
    serve_swissprot(server)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in (("uniprot_sprot.dat.gz", b"x"), ("uniprot_sprot.fasta.gz", SPROT)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    name = "uniprot_sprot-only2024_05.tar.gz"
    server.answer(f"{FORMER}/RELEASE.metalink", metalink("2024_05", name, buffer.getvalue()))
    server.answer(f"{FORMER}/{name}", Answer(buffer.getvalue()))
    path = obtain("uniprot:swissprot@2024_05")
    assert path.read_bytes() == SPROT
    assert sorted(file.name for file in path.parent.iterdir()) == [path.name, f"{path.name}.json"]


def test_which_release_is_current_is_unknown_offline(server, obtain):
    with pytest.raises(
        InputError, match=r"uniprot:swissprot@current: .* known online only; name one, the cache has none"
    ):
        obtain("uniprot:swissprot@current", offline=True)
    serve_swissprot(server)
    obtain("uniprot:swissprot@2025_03")
    with pytest.raises(InputError, match="name one, the cache has 2025_03"):
        obtain("uniprot:swissprot@current", offline=True)


@pytest.mark.parametrize("answer", [Answer(HTML), Answer(b"", 404)])
def test_a_release_that_cannot_be_looked_up_is_an_error(server, obtain, answer):
    server.answer(f"{COMPLETE}/RELEASE.metalink", answer)
    with pytest.raises(InputError, match="cannot look up the current release"):
        obtain("uniprot:swissprot@current")


def test_one_entry_of_uniprot_comes_as_fasta(server, obtain):
    server.answer("/uniprotkb/P04637.fasta", Answer(status=500), Answer(PROTEINS))
    path = obtain("uniprot:P04637")
    assert path.read_bytes() == PROTEINS
    assert (note(path)["organism"], note(path)["version"]) == ("Homo sapiens", "P04637, sequence 4")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "what came is empty"),
        (HTML, "what came is a web page, not FASTA"),
        (
            PROTEINS.replace(b"P04637", b"Q00001"),
            r"it begins with '>sp\|Q00001\|.*; look the entry up, it may have been",
        ),
    ],
)
def test_an_answer_that_is_not_the_entry_is_refused(server, obtain, tmp_path, content, reason):
    server.answer("/uniprotkb/P04637.fasta", Answer(content))
    with pytest.raises(InputError, match=reason):
        obtain("uniprot:P04637")
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize(
    "name",
    [
        *("nuccore:", "nuccore:hello world", "nuccore:1234567"),
        *("assembly:GCF_1.1", "assembly:GCF_000286675", "uniprot:swissprot", "uniprot:X"),
    ],
)
def test_names_that_a_database_cannot_have_are_refused_without_asking_it(server, open_cache, name):
    with pytest.raises(InputError, match=f"--source: {name} is no name of this database; expected something like "):
        find_files([name], cache=open_cache())
    assert server.requests == []


@pytest.mark.parametrize("accession", ["M12345", "NC_004829.1", "NZ_CP012345.1", "NZ_JAAABC010000001.1", "af123456.2"])
def test_every_form_of_accession_is_a_name(open_cache, accession):
    assert ask_for(f"nuccore:{accession}", open_cache()).file == f"nuccore/{accession.upper()}.gbk"


def test_names_and_paths_can_stand_side_by_side(server, open_cache, tmp_path):
    server.answer(EFETCH, Answer(RECORD.encode(), headers=PLAIN))
    (tmp_path / "a.gbk").write_text(RECORD)
    (tmp_path / "b.gbk").write_text(RECORD)
    paths = find_files([f"{tmp_path}/b.gbk", "nuccore:NC_000001.2", f"{tmp_path}/a*"], cache=open_cache())
    assert [path.name for path in paths] == ["b.gbk", "NC_000001.2.gbk", "a.gbk"]


def test_a_file_with_the_look_of_a_name_is_a_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nuccore:NC_000001.2").write_text(RECORD)
    assert [path.name for path in find_files(["nuccore:NC_000001.2"])] == ["nuccore:NC_000001.2"]
    assert is_name("uniprot:P04637")


def test_datasets_without_downloads_say_that_they_take_files():
    with pytest.raises(InputError, match=r"--query: uniprot:P04637 is the name of a download, and .* takes files"):
        find_files(["uniprot:P04637"], flag="--query")


def test_mirrors_come_from_the_environment():
    addresses = Addresses.from_environment({"NCBI_EUTILS_URL": "http://mirror/eutils/", "UNIPROT_FILES_URL": ""})
    assert addresses == Addresses(eutils="http://mirror/eutils")
