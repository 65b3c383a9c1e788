import csv
import io
import json
from pathlib import Path

import pytest
from packed import PACKERS

from seq2seq.data.columns import ColumnsOf
from seq2seq.data.table import Table
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

# Texts that other loaders change: null words, numbers, dates, line breaks, quotes, separators, spaces.
TEXTS = [
    "NA",
    "None",
    "null",
    "nan",
    "",
    "1",
    "1.50",
    "true",
    "2021-01-01",
    "2021-01-01 00:00:00",
    " a ",
    "x\u2028y\x85z",
]
QUOTED = ['say "hi"', "a,b", "two\nlines"]


def table(root: Path, **given) -> Table:
    settings = {"format": "auto", "header": None, "source": "s", "target": "t", "references": [], "test": None}
    settings |= {"train": "f.csv", "valid": "f.csv", "extra": {}, "columns_of": {}}
    return Table(root=str(root), **settings | given)


def as_jsonl(texts: list[str]) -> bytes:
    return "".join(json.dumps({"s": text, "t": text, "n": 1}, ensure_ascii=False) + "\n" for text in texts).encode()


def as_csv(texts: list[str]) -> bytes:
    stream = io.StringIO()
    csv.writer(stream).writerows([["s", "t", "n"], *([text, text, 1] for text in texts)])
    return stream.getvalue().encode()


def as_tsv(texts: list[str]) -> bytes:
    return "".join(f"{row}\n" for row in ["s\tt\tn", *(f"{text}\t{text}\t1" for text in texts)]).encode()


def as_parquet(texts: list[str]) -> bytes:
    import pyarrow
    import pyarrow.parquet

    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table({"s": texts, "t": texts, "n": [1] * len(texts)}), stream)
    return stream.getvalue()


FORMATS = [
    ("f.jsonl", as_jsonl, TEXTS + QUOTED),
    ("f.json", as_jsonl, TEXTS[8:9]),
    ("f.csv", as_csv, TEXTS + QUOTED),
    ("f.tsv", as_tsv, [*TEXTS, *QUOTED[:2], '"']),
    ("f [1]=*#.parquet", as_parquet, TEXTS + QUOTED),
]


@pytest.mark.parametrize(("name", "write", "texts"), FORMATS)
def test_texts_are_read_unchanged(tmp_path: Path, name: str, write, texts: list[str]):
    (tmp_path / name).write_bytes(write(texts))
    assert list(table(tmp_path, train=name).read("train")) == [Pair(text, text) for text in texts]


@pytest.mark.parametrize(("name", "write", "texts"), FORMATS[:4])
@pytest.mark.parametrize("suffix", PACKERS)
def test_compressed_tables_are_read(tmp_path: Path, name: str, write, texts: list[str], suffix: str):
    (tmp_path / f"{name}{suffix}").write_bytes(PACKERS[suffix](write(texts)))
    assert list(table(tmp_path, train=f"{name}{suffix}").read("train")) == [Pair(text, text) for text in texts]


def test_a_file_changed_within_the_same_second_is_not_stale(tmp_path: Path):
    import os

    path = tmp_path / "f.parquet"
    seen = []
    for text in ("first", "other"):
        path.write_bytes(as_parquet([text]))
        os.utime(path, (1, 1))
        data = table(tmp_path, train="f.parquet")
        seen.append((next(data.read("train")).source, data.fingerprint("train")))
    assert [text for text, _ in seen] == ["first", "other"]
    assert seen[0][1] != seen[1][1]


def test_each_split_has_its_own_columns_and_references(tmp_path: Path):
    (tmp_path / "f.jsonl").write_text('{"s": "a", "t": "b"}\n')
    (tmp_path / "g.jsonl").write_text(
        '{"s": "a", "one": "b", "two": "c", "many": ["d", "e"], "x": {"y": "z"}, "no": null}\n'
    )
    own = ColumnsOf(source="x.y", target="one", references=["one", "two", "many", "no"])
    data = table(tmp_path, train="f.jsonl", valid="f.jsonl", test="g.jsonl", columns_of={"test": own})
    assert list(data.read("train")) == [Pair("a", "b")]
    assert list(data.read("test")) == [Pair("z", "b", ("b", "c", "d", "e"))]


def test_a_template_joins_columns(tmp_path: Path):
    (tmp_path / "f.jsonl").write_text('{"q": "Who?", "c": {"text": "{It} was\\nme."}, "t": "me", "n": 1}\n')
    data = table(tmp_path, train="f.jsonl", source="{{q}}: {q}\nin {c.text}", target="{t}!", references=["t"])
    assert list(data.read("train")) == [Pair("{q}: Who?\nin {It} was\nme.", "me!", ("me",))]


def test_split_may_have_its_own_template(tmp_path: Path):
    (tmp_path / "f.csv").write_text("s,t,u\na,b,c\n")
    data = table(tmp_path, test="f.csv", columns_of={"test": ColumnsOf(source="{u} {s}")})
    assert [next(data.read(split)).source for split in ("train", "test")] == ["a", "c a"]
    assert data.fingerprint("train") != data.fingerprint("test")


def test_missing_column_of_a_template_is_reported(tmp_path: Path):
    (tmp_path / "f.jsonl").write_text('{"question": "Who?", "t": "me"}\n')
    with pytest.raises(DataError) as error:
        list(table(tmp_path, train="f.jsonl", source="q: {questoin}").read("train"))
    assert str(error.value).removeprefix(f"{tmp_path}/").split("\n") == [
        "f.jsonl, line 1: there is no column 'questoin': did you mean 'question'? There are: question, t",
        "(it is used in the template 'q: {questoin}')",
    ]


TEMPLATES = [
    (
        "q: {question",
        "is not a valid template: expected '}' before end of string; double a brace that is meant literally",
    ),
    ("q: question}", "is not a valid template: Single '}' encountered in format string; double a brace"),
    ("q: {}", "must name a column in each pair of braces, like {question}"),
    ("q: {{question}}", "must name a column in each pair of braces, like {question}"),
    ("q: {a{b}}", "is not a valid template: unexpected '{' in field name"),
    ("q: {question!r}", "only column names may be in braces, nothing after ':' or '!'"),
    ("q: {question:10}", "only column names may be in braces, nothing after ':' or '!'"),
]


@pytest.mark.parametrize(("template", "message"), TEMPLATES)
def test_invalid_templates_are_refused(tmp_path: Path, template: str, message: str):
    with pytest.raises(ConfigError) as error:
        table(tmp_path, target=template, columns_of={"train": ColumnsOf(source=template)})
    lines = str(error.value).split("\n")
    assert lines[0].startswith(f"data.target: '{template}'") and message in lines[0]
    assert lines[1].startswith(f"data.columns_of.train.source: '{template}'") and message in lines[1]


def test_columns_without_a_header_can_be_named(tmp_path: Path):
    (tmp_path / "f.tsv").write_bytes(b"one\teins\t1\r\ntwo\tzwei\t2\r\n")
    data = table(tmp_path, train="f.tsv", header=["s", "t", "id"])
    assert list(data.read("train")) == [Pair("one", "eins"), Pair("two", "zwei")]


BAD = [
    ("f.jsonl", b'{"s": "a", "t": "b"}\n{"s": oops}\n', "f.jsonl, line 2 is not JSON"),
    ("f.jsonl", b'{"s": "a", "t": "b", "s": "c"}\n', 'line 1 is not JSON: the key "s" occurs twice in an object;'),
    ("f.json", b'[{"s": "a", "t": "b", "x": {"y": 1, "y": 1}}]', 'the key "y" occurs twice in an object; give one'),
    ("f.jsonl", b'{"s": "a", "t": "b", "x": ' + b"9" * 5000 + b"}\n", "line 1 is not JSON: it has a whole number of "),
    ("f.jsonl", b'{"s": "a", "t": "b", "x": ' + b"[" * 9000 + b"\n", "line 1 is not JSON: it is nested too deep;"),
    ("f.jsonl", b'{"' + b"s" * 9000 + b'": "a", "t": "b"}\n', f"there are: {'s' * 60}..., t"),
    ("f.jsonl", b'["a", "b"]\n', 'f.jsonl, item 1 is not a JSON object but "a"'),
    ("f.jsonl", b'{"s": "a", "t": "b"}\n["a", "b"]\n', "f.jsonl, line 2 is not a JSON object"),
    ("f.json", b'\n[{"s": "a",\n"t": oops}]\n', "f.json, line 3 is not JSON: Expecting value"),
    ("f.json", b'[{"s": "a"}, 7]', "f.json, item 1: there is no column 't'"),
    ("f.json", b'{\n"s": "a", "t": "b"\n}', "f.json, line 1 is not JSON"),
    ("f.jsonl", b'{"s": "a", "target": "b"}\n', "line 1: there is no column 't'; there are: s, target"),
    ("f.jsonl", b'{"s": "a", "t": null}\n', "line 1: column 't' has no value"),
    ("f.jsonl", b'{"s": "a", "t": 5}\n', "line 1: column 't' holds 5, which is not text"),
    ("f.jsonl", b'\n{"s": "\\ud800", "t": "a"}\n', "line 2: column 's' contains an unpaired surrogate"),
    ("f.jsonl", b'{"s": "\xff", "t": "a"}\n', "line 1: byte 8 (0xff) is not UTF-8"),
    ("f.jsonl", b"", "train: "),
    ("f.csv", b"s,t\na,b\nc\n", "f.csv, line 3 has 1 fields, but there are 2 columns"),
    ("f.csv", b's,t\n"a"b,c\n', "f.csv, line 2 is not csv: a quote is opened there"),
    ("f.csv", b's,t\n"a\nb",c\n"open,d\ne,f\ng,h\n', "f.csv, line 4 is not csv: a quote is opened there"),
    ("f.csv", b's,t\n"a ""x""\nb","open\ne,f\n', "f.csv, line 3 is not csv: a quote is opened there"),
    ("f.csv", b's,t\n"open,c\ne,"f"\n', "f.csv, line 2 is not csv: a quote is opened there"),
    ("f.csv", b's,t\n"a\nb",c\nd\n', "f.csv, line 4 has 1 fields"),
    (
        "f.csv",
        b"s,u\na,b\n",
        "f.csv, line 2: there is no column 't'; there are: s, u\nIf its first line is a row and not a header",
    ),
    ("f.tsv", b"one\teins\ntwo\tzwei\n", "is a row and not a header, name the columns: data.header=[NAME,NAME]"),
    ("f.csv", b"s,t\n", "has no rows"),
    ("f.tsv", b"s\tt\na\tb\tc\n", "f.tsv, line 2 has 3 fields, but there are 2 columns. Separators inside a text"),
    ("f.parquet", as_parquet([]), "f.parquet has no rows; give a file with one pair per row"),
    ("f.parquet", as_parquet(["a"])[:-20], "f.parquet cannot be read as parquet"),
    ("f.parquet", b"s,t\na,b\n", "f.parquet cannot be read as parquet"),
]


@pytest.mark.parametrize(("name", "content", "message"), BAD)
def test_invalid_tables_are_refused(tmp_path: Path, name: str, content: bytes, message: str):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError) as error:
        list(table(tmp_path, train=name).read("train"))
    assert message in str(error.value)


def test_missing_column_of_parquet_is_reported(tmp_path: Path):
    (tmp_path / "f.parquet").write_bytes(as_parquet(["a"]))
    with pytest.raises(DataError, match=r"f\.parquet, row 1: there is no column 'text'; there are: s, t, n"):
        list(table(tmp_path, train="f.parquet", source="text").read("train"))


def test_mistakes_in_the_settings_are_reported_at_once(tmp_path: Path):
    with pytest.raises(ConfigError) as error:
        table(tmp_path, train="f.txt", valid="f.csv", test="f", columns_of={"tset": ColumnsOf(target="x")})
    assert [line.removeprefix(f"{tmp_path}/") for line in str(error.value).split("\n")] == [
        "f.txt: its suffix is not one of .jsonl, .ndjson, .json, .csv, .tsv, .parquet; give data.format",
        "f: its suffix is not one of .jsonl, .ndjson, .json, .csv, .tsv, .parquet; give data.format",
        "data.columns_of.tset is not a split: did you mean 'test'? There are: train, valid, test",
    ]


def test_header_with_too_few_columns_is_reported(tmp_path: Path):
    (tmp_path / "f.tsv").write_text("one\teins\t1\n")
    with pytest.raises(DataError, match=r"line 1 has 3 fields, but data\.header names 2 columns; name each"):
        list(table(tmp_path, train="f.tsv", header=["s", "t"]).read("train"))


BLANK = [
    ("f.jsonl", b'\n{"s": "a", "t": "b"}\n \n\t\n{"s": "", "t": ""}\n\n'),
    ("f.csv", b"\ns,t\n\na,b\n  \n,\n\n"),
    ("f.tsv", b"\ns\tt\n\na\tb\n  \n\t\n\n"),
]


@pytest.mark.parametrize(("name", "content"), BLANK)
@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_blank_line_is_not_a_row_but_an_empty_text_is(tmp_path: Path, name: str, content: bytes, ends: bytes):
    (tmp_path / name).write_bytes(content.replace(b"\n", ends))
    assert list(table(tmp_path, train=name).read("train")) == [Pair("a", "b"), Pair("", "")]


@pytest.mark.parametrize("delimiter", [";", "\t", "|", ","])
@pytest.mark.parametrize("given", [True, False])
def test_a_csv_file_may_have_another_delimiter(
    tmp_path: Path, delimiter: str, given: bool, caplog: pytest.LogCaptureFixture
):
    (tmp_path / "f.csv").write_text(f's{delimiter}t\n"a{delimiter}""b"""{delimiter}c\n')
    data = table(tmp_path, train="f.csv", delimiter=delimiter if given else None)
    with caplog.at_level("INFO", "seq2seq.data.rows"):
        assert list(data.read("train")) == [Pair(f'a{delimiter}"b"', "c")]
    found = [f"{tmp_path / 'f.csv'}: its columns are separated by {delimiter!r} (data.delimiter)"]
    assert caplog.messages == ([] if given or delimiter == "," else found)


def test_a_csv_file_of_one_column_is_not_split(tmp_path: Path):
    """Without a header line, `header` gives the number of columns."""
    (tmp_path / "f.csv").write_text("a;b|c\n")
    assert list(table(tmp_path, train="f.csv", header=["s"], target="s").read("train")) == [Pair("a;b|c", "a;b|c")]


def test_a_delimiter_is_one_character(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"data\.delimiter must be one character, no quote and no line break"):
        table(tmp_path, delimiter=";;")
    assert len({table(tmp_path, delimiter=each).delimiter for each in (None, ";")}) == 2


def test_a_file_may_be_one_array(tmp_path: Path):
    rows = [{"s": text, "t": text, "n": 1} for text in TEXTS + QUOTED]
    for indent in (None, 1):
        (tmp_path / "f.json").write_text(json.dumps(rows, indent=indent))
        assert [pair.source for pair in table(tmp_path, train="f.json").read("train")] == TEXTS + QUOTED


def test_the_format_may_be_given(tmp_path: Path):
    (tmp_path / "f").write_bytes(as_tsv(["a"]))
    assert list(table(tmp_path, format="tsv", train="f").read("train")) == [Pair("a", "a")]


@pytest.mark.corpus
def test_dialogsum_has_three_references_and_keeps_line_breaks(data_root: Path):
    own = ColumnsOf(target="summary1", references=["summary1", "summary2", "summary3"])
    names = {"train": "train.jsonl.gz", "valid": "dev.jsonl.gz", "test": "test.jsonl.gz"}
    data = table(data_root / "dialogsum", source="dialogue", target="summary", columns_of={"test": own}, **names)
    assert [sum(1 for _ in data.read(split)) for split in data.splits()] == [12460, 500, 500]
    first = next(data.read("test"))
    assert len(first.references) == 3 and "\n#Person2#" in first.source


def test_all_missing_columns_are_reported_at_once(tmp_path: Path):
    (tmp_path / "f.jsonl").write_text('{"question": "a", "t": "b", "c": {"d": "e"}}\n')
    data = table(tmp_path, train="f.jsonl", source="{questoin} {t}", target="answer", references=["c.f"])
    with pytest.raises(DataError) as caught:
        next(data.read("train"))
    assert [line.split("; there")[0].split("? There")[0] for line in str(caught.value).split("\n")] == [
        f"{tmp_path / 'f.jsonl'}, line 1: there is no column 'questoin': did you mean 'question'",
        f"{tmp_path / 'f.jsonl'}, line 1: there is no column 'answer'",
        f"{tmp_path / 'f.jsonl'}, line 1: there is no column 'c.f': did you mean 'c.d'",
    ]
