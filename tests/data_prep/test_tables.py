import csv
import gzip
import io
import json

import pytest

from data_prep.formats.tables import parse_table, read_table
from lingjax.errors import InputError

COLUMNS = ("id", "sentence1", "sentence2", "label")
ROWS = [
    {"id": "7", "sentence1": 'She said "no".', "sentence2": "Ünïcode, 中文 and 🧬", "label": "1"},
    {"id": "8", "sentence1": "line\u2028separator", "sentence2": "next\u0085line", "label": "0"},
    {"id": "9", "sentence1": ' "leading and trailing" ', "sentence2": "it's 5\" long", "label": "0"},
]
TRICKY_ROWS = [*ROWS, {"id": "10", "sentence1": "two\nlines", "sentence2": "a\ttab, a comma", "label": "1"}]


def quoted(rows, delimiter, *, quoting=csv.QUOTE_MINIMAL, line_end="\n"):
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, COLUMNS, delimiter=delimiter, quoting=quoting, lineterminator=line_end)
    writer.writeheader()
    writer.writerows(rows)
    return file.getvalue()


def plain(rows, line_end="\n"):
    return "".join("\t".join(fields) + line_end for fields in [COLUMNS, *(row.values() for row in rows)])


def json_lines(rows):
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


CONTENTS = {
    "plain.tsv": (plain(ROWS), ROWS),
    "crlf.tsv": (plain(ROWS, "\r\n"), ROWS),
    "no_last_line_end.tsv": (plain(ROWS).removesuffix("\n"), ROWS),
    "byte_order_mark.tsv": ("\ufeff" + plain(ROWS), ROWS),
    "blank_lines.tsv": (plain(ROWS).replace("\n", "\n\n"), ROWS),
    "quoted.tsv": (quoted(TRICKY_ROWS, "\t"), TRICKY_ROWS),
    "all_quoted.tab": (quoted(TRICKY_ROWS, "\t", quoting=csv.QUOTE_ALL), TRICKY_ROWS),
    "all_quoted_simple.tsv": (quoted(ROWS[:1], "\t", quoting=csv.QUOTE_ALL), ROWS[:1]),
    "plain.csv": (quoted(TRICKY_ROWS, ","), TRICKY_ROWS),
    "crlf.csv": (quoted(ROWS, ",", line_end="\r\n"), ROWS),
    "byte_order_mark.csv": ("\ufeff" + quoted(ROWS, ",", quoting=csv.QUOTE_ALL), ROWS),
    "UPPER.CSV": (quoted(ROWS, ","), ROWS),
    "lines.jsonl": (json_lines(TRICKY_ROWS), TRICKY_ROWS),
    "lines_crlf.ndjson": (json_lines(TRICKY_ROWS).replace("\n", "\r\n\r\n"), TRICKY_ROWS),
    "lines.json": (json_lines(TRICKY_ROWS), TRICKY_ROWS),
    "array.json": ("\ufeff\n" + json.dumps(TRICKY_ROWS), TRICKY_ROWS),
    "indented_array.json": (json.dumps(TRICKY_ROWS, indent=2), TRICKY_ROWS),
    "array_named_lines.jsonl": (json.dumps(TRICKY_ROWS), TRICKY_ROWS),
    "unnamed_tsv.txt": (plain(ROWS), ROWS),
    "unnamed_csv": (quoted(TRICKY_ROWS, ","), TRICKY_ROWS),
    "unnamed_lines": (json_lines(ROWS), ROWS),
    "unnamed_array": (json.dumps(ROWS), ROWS),
}


@pytest.mark.parametrize("compressed", [False, True], ids=["text", "gz"])
@pytest.mark.parametrize("name", CONTENTS)
def test_every_format_gives_the_rows_that_went_in(name, compressed):
    text, rows = CONTENTS[name]
    data = text.encode()
    table = parse_table(gzip.compress(data), f"{name}.gz") if compressed else parse_table(data, name)
    assert [row.values for row in table.rows] == rows
    assert table.columns == COLUMNS
    assert table.problems == []


def test_gzip_data_is_recognised_without_its_extension():
    assert len(parse_table(gzip.compress(plain(ROWS).encode()), "pairs.tsv").rows) == 3


# PAWS sentences begin or end with lone marks, or stand in marks whole.
@pytest.mark.parametrize(
    "sentence",
    ['"Lone mark at the start', 'at the end"', '"Whole sentence"', '"Two" and "three"', '"', '""', '"a" ""b"" "c"'],
)
def test_quote_marks_of_a_plain_tsv_are_data(sentence):
    table = parse_table(plain([{**ROWS[0], "sentence1": sentence}]).encode(), "paws.tsv")
    assert [row.values["sentence1"] for row in table.rows] == [sentence]


def test_one_lone_quote_mark_makes_every_mark_of_a_tsv_data():
    rows = [{**ROWS[0], "sentence1": '"a ""doubled"" mark"'}, {**ROWS[1], "sentence1": '"A lone mark'}]
    assert [row.values for row in parse_table(plain(rows).encode(), "x.tsv").rows] == rows


def test_a_field_may_be_longer_than_the_csv_module_allows_by_default():
    rows = [{**ROWS[0], "sentence1": "ACGT" * 50_000}]
    assert parse_table(quoted(rows, ",").encode(), "x.csv").rows[0].values == rows[0]


@pytest.mark.parametrize(
    ("name", "text", "places"),
    [
        ("x.tsv", plain(ROWS), ["x.tsv:2", "x.tsv:3", "x.tsv:4"]),
        ("x.csv", quoted([TRICKY_ROWS[3], *ROWS[:1]], ","), ["x.csv:2", "x.csv:4"]),
        ("x.jsonl", "\n" + json_lines(ROWS[:2]), ["x.jsonl:2", "x.jsonl:3"]),
        (
            "x.json",
            '[{"a": 1},\n\n{"a": 2}, {"a": 3}]',
            ["x.json:1 (element 1)", "x.json:3 (element 2)", "x.json:3 (element 3)"],
        ),
    ],
)
def test_places_are_the_lines_where_rows_start(name, text, places):
    assert [row.place for row in parse_table(text.encode(), name).rows] == places


@pytest.mark.parametrize(
    ("name", "text", "problems"),
    [
        ("x.tsv", "a\tb\n1\t2\n3\n4\t5\t6\n", ["x.tsv:3: 1 fields where the header has 2", "x.tsv:4: 3 fields where the header has 2"]),  # noqa: E501
        ("x.csv", "a,b\n1\n3,4\n", ["x.csv:2: 1 fields where the header has 2"]),
        ("x.csv", 'a,b\n1,2\n3,"4\n5,6\n', ["x.csv:3: broken quoting (unexpected end of data); the rest of the file was not read"]),  # noqa: E501
        ("x.csv", 'a,b\n"1"x,2\n3,4\n', ["x.csv:2: broken quoting (',' expected after '\"'); the rest of the file was not read"]),  # noqa: E501
        ("x.jsonl", '{"a": 1}\n{"a": \n[1]\n', ["x.jsonl:2: not JSON: Expecting value", "x.jsonl:3: [1] is not an object with a key for each column"]),  # noqa: E501
        ("x.json", '[{"a": 1},\n "b",\n {"a" 2}]', ['x.json:2 (element 2): "b" is not an object with a key for each column', "x.json:3 (element 3): not JSON: Expecting ':' delimiter; the rest of the file was not read"]),  # noqa: E501
        ("x.json", '[{"a": 1} {"a": 2}]', ["x.json:1 (element 2): not JSON: expected ',' or ']', found '{\"a\": 2}]'"]),
        ("x.json", '[{"a": 1}', ["x.json:1 (element 2): not JSON: expected ',' or ']', found the end of the file"]),
        ("x.json", '[{"a": 1}]\n[]', ["x.json:1 (element 2): not JSON: '[]' follows the end of the array"]),
    ],
)  # fmt: skip
def test_records_that_are_no_rows_are_named_with_their_line(name, text, problems):
    assert parse_table(text.encode(), name).problems == problems


def test_a_json_array_nested_without_end_is_a_problem_and_no_crash():
    assert "not JSON" in parse_table(b"[" * 100_000, "x.json").problems[0]


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("x.tsv", b"", "x.tsv is empty"),
        ("x.tsv", b"\xef\xbb\xbf\n\n", "x.tsv is empty"),
        ("x.tsv.gz", b"", "x.tsv.gz is empty"),
        ("x.tsv", b"a\tb\n", "x.tsv has a header but no rows"),
        ("x.csv", b"a,b\r\n", "x.csv has a header but no rows"),
        ("x.json", b"[ ]", "x.json holds an empty array"),
        ("x.tsv", b"a\tb\ta\n1\t2\t3\n", "x.tsv:1: the header names column 'a' more than once"),
        ("x.csv", b'"a,b\n', "x.csv:1: broken quoting"),
        ("x.tsv", b"a\tb\n1\tcaf\xe9\n", "x.tsv:2: byte 0xe9 at offset 9 is not UTF-8 text"),
        ("x.tsv", b"\xef\xbb\xbfa\tb\n1\tcaf\xe9\n", "x.tsv:2: byte 0xe9 at offset 12 is not UTF-8 text"),
        ("x.csv", b"a,b\n1,\x00\n", "x.csv:2: a zero byte at offset 6, so this is not text"),
        ("x.tsv", "a\tb\n".encode("utf-16"), "x.tsv is UTF-16 text; convert it to UTF-8"),
        ("x.bin", bytes(range(256)), "x.bin:1: a zero byte at offset 0, so this is not text"),
        ("x.txt", b"no table\nat all\n", "x.txt is no table: its first line 'no table'"),
        ("x.tsv.gz", b"a\tb\n1\t2\n", "x.tsv.gz is named .gz but is not gzip-compressed"),
        ("x.tsv.gz", gzip.compress(plain(ROWS).encode(), mtime=0)[:-9], "x.tsv.gz ends in the middle of its gzip data"),
        ("x.tsv.gz", gzip.compress(plain(ROWS).encode(), mtime=0)[:-8] + bytes(8), "x.tsv.gz is damaged gzip data"),
        ("x.tsv.gz", gzip.compress(b"a\tb", mtime=0)[:10] + b"\xff" * 20, "x.tsv.gz is damaged gzip data"),
    ],
)
def test_an_unreadable_file_is_named_with_the_reason(name, data, message):
    with pytest.raises(InputError) as caught:
        parse_table(data, name)
    assert message in str(caught.value)


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(InputError, match=r"nothing.tsv does not exist"):
        read_table(tmp_path / "nothing.tsv")
    with pytest.raises(InputError, match="is a folder; name the files in it"):
        read_table(tmp_path)


PLAIN_WITH_MARKS = [
    ("1", '"So he said .', "He said so .", "1"),
    ("2", "Rain fell .", "It rained .", "1"),
    ("3", "Snow fell .", "It rained .", "0"),
    ("4", 'Then he left ."', "He left then .", "1"),
    ("5", '"The ""old"" man sat ."', "The old man sat .", "1"),
]


@pytest.mark.parametrize("torn", [False, True], ids=["rows", "one torn row"])
def test_lines_that_are_rows_are_not_swallowed_by_the_marks_around_them(torn):
    lines = ["\t".join(fields) for fields in [("id", "sentence1", "sentence2", "label"), *PLAIN_WITH_MARKS]]
    if torn:
        lines.insert(3, "torn\trow")
    table = parse_table("\n".join([*lines, ""]).encode(), "x.tsv")
    assert [tuple(row.values.values()) for row in table.rows] == PLAIN_WITH_MARKS
    assert table.problems == (["x.tsv:4: 2 fields where the header has 4"] if torn else [])


def test_row_names_as_r_writes_them_are_told():
    text = '"sentence1"\t"label"\n"1"\t"a b"\t1\n"2"\t"c d"\t0\n'
    with pytest.raises(InputError, match=r"every row has 3 fields and the header 2, as R's write.table .* row.names"):
        parse_table(text.encode(), "x.tsv")
