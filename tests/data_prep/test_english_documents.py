import json

import pytest

from data_prep.documents.english import EnglishReader
from data_prep.tally import Tally
from lingjax.errors import InputError

POEM = "\n\nTwo lines,\r\n  one paragraph \r\n\t\r\nAnother\u2028line.\n\n\n"


def read(tmp_path, name, text, **settings):
    (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    tally = Tally()
    documents = list(EnglishReader(**settings).read(tmp_path / name, name, tally))
    assert all(document.split_key == document.document_id for document in documents)
    return [(document.document_id, document.text) for document in documents], tally


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ("paragraph", [("x.txt:3", "Two lines,\n  one paragraph "), ("x.txt:6", "Another\u2028line.")]),
        ("line", [("x.txt:3", "Two lines,"), ("x.txt:4", "  one paragraph "), ("x.txt:6", "Another\u2028line.")]),
        ("file", [("x.txt", "\n\nTwo lines,\n  one paragraph \n\t\nAnother\u2028line.")]),
    ],
)
def test_a_document_is_what_was_asked_for_and_named_by_its_first_line(tmp_path, document, expected):
    documents, tally = read(tmp_path, "x.txt", POEM, document=document)
    assert documents == expected
    assert tally.group("read") == {"texts": len(expected)}
    assert not tally.group("dropped")


@pytest.mark.parametrize("name", ["x.jsonl", "x.json"])
def test_texts_of_json_are_kept_whole_and_other_fields_counted(tmp_path, name):
    values = [{"body": "a\n\nb\u0085", "id": 1}, {"body": " \n", "id": 2}, {"id": 3, "body": "🧬", "url": ""}]
    lines = "\n".join(json.dumps(value) for value in values)
    documents, tally = read(tmp_path, name, lines if name == "x.jsonl" else json.dumps(values), field="body")
    assert documents == [(f"{name}:1", "a\n\nb\u0085"), (f"{name}:3", "🧬")]
    assert tally.group("dropped") == {
        "texts of nothing but space": 1,
        "values of field 'id'": 3,
        "values of field 'url'": 1,
    }


def test_all_faults_of_json_are_found_with_their_places(tmp_path):
    lines = ['{"text": "good"}', "", '{"txet": "a"}', "[1]", '{"text": null}', "{", '{"text": "\\ud800"}', "{}"]
    documents, tally = read(tmp_path, "x.jsonl", "\n".join(lines))
    assert [text for _, text in documents] == ["good"]
    path = tmp_path / "x.jsonl"
    assert tally.problems == [
        f"{path}:3: no field 'text'; did you mean 'txet'? (choose it with --field)",
        f"{path}:4: '[1]' is not an object with a key 'text'",
        f"{path}:5: field 'text' is 'None', not text",
        f"{path}:6: not JSON: Expecting property name enclosed in double quotes",
        f"{path}:7: field 'text' holds half of a surrogate pair, which is no character",
        f"{path}:8: no field 'text' (choose it with --field)",
    ]


def test_an_element_of_an_array_is_named_with_its_number(tmp_path):
    _, tally = read(tmp_path, "x.json", '[{"text": "a"}, {"text": 2}]')
    assert tally.problems == [f"{tmp_path}/x.json:1 (element 2): field 'text' is '2', not text"]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("x.txt", "\n \n", "x.txt is empty"),
        ("x.jsonl", "", "x.jsonl is empty"),
        ("x.json", "[]", "x.json holds an empty array"),
    ],
)
def test_an_empty_file_is_named(tmp_path, name, text, message):
    for document in ("paragraph", "line", "file"):
        with pytest.raises(InputError, match=message):
            read(tmp_path, name, text, document=document)


def test_files_that_are_no_text_and_flags_without_use_are_named_together(tmp_path):
    paths = [tmp_path / name for name in ("a.fa.gz", "b.gbk", "c.tsv", "d.txt")]
    with pytest.raises(InputError) as caught:
        EnglishReader(field="body").check_sources(paths, {"field": "body"})
    for problem in (
        "a.fa.gz holds sequences; read it with --domain=dna",
        "b.gbk holds sequences",
        "c.tsv is a table; convert it to JSON lines",
        "--field=body is for JSON files (.json, .jsonl, .ndjson) and none is given",
    ):
        assert problem in str(caught.value)


def test_the_kind_of_document_is_for_plain_text(tmp_path):
    reader = EnglishReader(document="line")
    reader.check_sources([tmp_path / "a.jsonl", tmp_path / "b.txt"], {"document": "line"})
    with pytest.raises(InputError, match="--document=line is for plain text and all files are JSON"):
        reader.check_sources([tmp_path / "a.jsonl.gz"], {"document": "line"})


def test_an_unknown_kind_of_document_is_named():
    with pytest.raises(InputError, match=r"--document=lines is unknown; did you mean 'line'\?"):
        EnglishReader(document="lines")
