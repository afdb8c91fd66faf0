import gzip
import io

import pytest
from Bio import bgzf

from data_prep.formats.streams import decode_lines, read_lines, without_end
from lingjax.errors import InputError


def test_lines_end_at_lf_alone_and_keep_their_ends(tmp_path):
    (tmp_path / "x.txt").write_bytes("\ufeffa\u2028b\u0085c\r\n\r\nd\x0ce\rf".encode())
    lines = list(read_lines(tmp_path / "x.txt"))
    assert lines == ["a\u2028b\u0085c\r\n", "\r\n", "d\x0ce\rf"]
    assert [without_end(line) for line in lines] == ["a\u2028b\u0085c", "", "d\x0ce\rf"]


@pytest.mark.parametrize("name", ["x.txt.gz", "x.txt"])
def test_gzip_is_undone_whatever_the_name(tmp_path, name):
    # Two members, as bgzip and `cat a.gz b.gz` make them.
    (tmp_path / name).write_bytes(gzip.compress(b"a\n") + gzip.compress("bé\n".encode()))
    assert list(read_lines(tmp_path / name)) == ["a\n", "bé\n"]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"good\nca\xe9\n", "x.txt:2: byte 0xe9 at offset 7 is not UTF-8 text"),
        (b"\xef\xbb\xbfca\xe9\n", "x.txt:1: byte 0xe9 at offset 5 is not UTF-8 text"),
        (b"good\n\nb\0d\n", "x.txt:3: a zero byte at offset 7, so this is not text"),
        ("a\n".encode("utf-16"), "x.txt is UTF-16 text; convert it to UTF-8"),
        (gzip.compress(b"a\n" * 999, mtime=0)[:-9], "x.txt ends in the middle of its gzip data"),
        (gzip.compress(b"a\n" * 999, mtime=0)[:-8] + bytes(8), "x.txt is damaged gzip data"),
    ],
)
def test_what_is_no_text_is_named_with_file_and_line(data, message):
    with pytest.raises(InputError) as caught:
        list(decode_lines(io.BytesIO(data), "x.txt"))
    assert message in str(caught.value)


def test_lines_are_read_as_they_are_asked_for():
    lines = decode_lines(io.BytesIO(b"good\nbad \xff\n"), "x.txt")
    assert next(lines) == "good\n"


def test_a_file_that_cannot_be_opened_is_named(tmp_path):
    with pytest.raises(InputError, match=r"gone.txt cannot be read: No such file"):
        list(read_lines(tmp_path / "gone.txt"))


@pytest.fixture
def bgzip_file(tmp_path):
    """Returns the bytes of a file of several blocks, as Biopython writes it, and where each block begins."""
    with bgzf.BgzfWriter(str(tmp_path / "x.gz")) as file:
        file.write(b">a\n" + b"ACGT\n" * 30_000)
    data = (tmp_path / "x.gz").read_bytes()
    return data, [start for start, *_ in bgzf.BgzfBlocks(io.BytesIO(data))]


@pytest.mark.parametrize("padding", [0, 512])
def test_a_whole_bgzip_file_is_read(bgzip_file, padding):
    data, _ = bgzip_file
    assert len(list(decode_lines(io.BytesIO(data + bytes(padding)), "x.gz"))) == 30_001


def test_a_bgzip_file_cut_between_two_blocks_is_refused(bgzip_file):
    data, starts = bgzip_file
    assert len(starts) > 3
    for start in starts[1:]:
        with pytest.raises(InputError, match=r"x.gz is a bgzip file without the empty block at its end; it was cut"):
            list(decode_lines(io.BytesIO(data[:start]), "x.gz"))
