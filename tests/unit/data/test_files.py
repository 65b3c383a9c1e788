import gzip
from pathlib import Path

import pytest

from seq2seq.data.files import FilePair, OptionalFilePair, ParallelFiles
from seq2seq.errors import ConfigError, DataError
from seq2seq.types import Pair

NONE = OptionalFilePair(None, None)


def files(root: Path, **given: FilePair | OptionalFilePair | dict[str, FilePair]) -> ParallelFiles:
    pair = FilePair("a", "b")
    settings = {"train": pair, "valid": pair, "test": NONE, "extra": {}, **given}
    return ParallelFiles(root=str(root), source_language=None, target_language=None, **settings)


def write(root: Path, a: str, b: str) -> None:
    (root / "a").write_bytes(a.encode())
    (root / "b").write_bytes(b.encode())


def test_lines_are_paired_by_number(tmp_path: Path):
    write(tmp_path, "eins\nzwei\u2028drei\n\n", "one\ntwo\r\nx\n")
    data = files(tmp_path, extra={"more": FilePair("b", "a")})
    assert data.splits() == ("train", "valid", "more")
    assert list(data.read("train")) == [Pair("eins", "one"), Pair("zwei\u2028drei", "two"), Pair("", "x")]
    assert next(data.read("more")) == Pair("one", "eins")


@pytest.mark.parametrize(
    ("a", "b", "counts"), [("1\n2\n3\n", "1\n", (3, 1)), ("1\n", "1\n2\n3\n4", (1, 4)), ("", "1\n", (0, 1))]
)
def test_unequal_files_are_refused_with_both_counts(tmp_path: Path, a: str, b: str, counts: tuple[int, int]):
    write(tmp_path, a, b)
    with pytest.raises(DataError) as error:
        list(files(tmp_path).read("train"))
    expected = f"train: {tmp_path / 'a'} has {counts[0]} lines but {tmp_path / 'b'} has {counts[1]}"
    assert expected in str(error.value)


def test_several_references_are_read_line_by_line(tmp_path: Path):
    write(tmp_path, "1\n2\n", "one\ntwo\n")
    (tmp_path / "c").write_bytes(gzip.compress(b"a\nb\n"))
    (tmp_path / "short").write_text("a\n")
    both = OptionalFilePair("a", "b", ["c", "b"])
    data = files(
        tmp_path, valid=FilePair("a", "b", ["c"]), test=both, extra={"bad": FilePair("a", "b", ["c", "short"])}
    )
    assert list(data.read("valid")) == [Pair("1", "one", ("a",)), Pair("2", "two", ("b",))]
    assert list(data.read("test")) == [Pair("1", "one", ("a", "one")), Pair("2", "two", ("b", "two"))]
    with pytest.raises(DataError, match=r"bad: .*/a has 2 lines but .*/short has 1"):
        list(data.read("bad"))
    no_target = files(tmp_path, test=OptionalFilePair("a", None, ["c", "b"]))
    assert next(no_target.read("test")) == Pair("1", "a", ("a", "one"))
    assert len({each.fingerprint("test") for each in (data, no_target)} | {data.fingerprint("train")}) == 3


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz"])
def test_table_read_as_plain_text_is_reported(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture):
    (tmp_path / name).write_text("x\n")
    data = files(tmp_path, train=FilePair(name, name, [name]))
    assert list(data.read("train")) == [Pair("x", "x", ("x",))]
    assert caplog.messages[0] == (
        f"{tmp_path / name} is read as plain text, one text per line; data=table reads the columns of a table"
    )


def test_empty_files_are_refused(tmp_path: Path):
    write(tmp_path, "", "")
    with pytest.raises(DataError, match=r"valid: .*a and .*b are empty"):
        list(files(tmp_path).read("valid"))


def test_unknown_split_is_reported(tmp_path: Path):
    with pytest.raises(DataError, match="there is no split 'vaild': did you mean 'valid'"):
        list(files(tmp_path).read("vaild"))


def test_incomplete_split_is_a_mistake_in_the_settings(tmp_path: Path):
    with pytest.raises(ConfigError) as error:
        files(
            tmp_path, test=OptionalFilePair("a", None), extra={"train": FilePair("a", "b"), "more": FilePair("", "b")}
        )
    assert str(error.value).split("\n") == [
        "data.extra.train: data.train names that split; choose another",
        "data.test.target must be given: a file of text",
        "data.extra.more.source must be given: a file of text",
    ]


def test_fingerprint_depends_on_the_bytes_of_both_files(tmp_path: Path):
    seen = set()
    for a, b in (("x\n", "y\n"), ("x\n", "z\n"), ("y\n", "z\n"), ("x", "y\n")):
        write(tmp_path, a, b)
        seen.add(files(tmp_path).fingerprint("train"))
    assert len(seen) == 4
    write(tmp_path, "x\n", "y\n")
    assert files(tmp_path).fingerprint("train") in seen


@pytest.mark.corpus
@pytest.mark.parametrize(
    ("folder", "valid", "counts"), [("multi30k", "val", (29000, 1014)), ("tatoeba-de-en", "valid", (160147, 2500))]
)
def test_named_corpora_have_the_expected_pairs(data_root: Path, folder: str, valid: str, counts: tuple[int, int]):
    given = {"train": FilePair("train.de.gz", "train.en.gz"), "valid": FilePair(f"{valid}.de.gz", f"{valid}.en.gz")}
    data = files(data_root / folder, **given)
    assert tuple(sum(1 for _ in data.read(split)) for split in data.splits()) == counts


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ("dev", "there is no split 'dev': did you mean 'valid'? There are: train, valid"),
        ("Validation", "there is no split 'Validation': did you mean 'valid'? There are: train, valid"),
        (
            "test",
            "there is no split 'test'; there are: train, valid\nTo add it: data.test.source=FILE data.test.target=FILE",
        ),
    ],
)
def test_missing_split_is_reported_with_the_words_to_add_it(tmp_path: Path, split: str, message: str):
    with pytest.raises(DataError) as caught:
        files(tmp_path).check_split(split)
    assert str(caught.value) == message
