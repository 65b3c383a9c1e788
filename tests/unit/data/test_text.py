import gzip
import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq.data.text import TextData, read_lines, stream_lines, suggestion
from seq2seq.errors import DataError
from seq2seq.types import Pair

LINES = [
    (b"", []),
    (b"a\n", ["a"]),
    (b"a", ["a"]),
    (b"\n", [""]),
    (b"a\n\nb\n", ["a", "", "b"]),
    (b"a\r\nb\r\n", ["a", "b"]),
    (b"a\r", ["a"]),
    (b"a\rb\n", ["a\rb"]),
    (b"a\r\r\n", ["a\r"]),
    (b"\xef\xbb\xbfa\n\xef\xbb\xbfb\n", ["a", "\ufeffb"]),
    (b"  a\t \n", ["  a\t "]),
    *((f"a{mark}b\nc\n".encode(), [f"a{mark}b", "c"]) for mark in "\x0b\x0c\x1c\x1d\x1e\x1f\x85\u2028\u2029\0"),
]


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
@pytest.mark.parametrize(("content", "expected"), LINES)
def test_lines_end_at_lf_only(tmp_path: Path, content: bytes, expected: list[str], packed: bool):
    path = tmp_path / "text"  # no suffix: gzip is detected by its content
    path.write_bytes(gzip.compress(content) if packed else content)
    assert list(read_lines(path)) == expected
    assert list(stream_lines(io.BytesIO(content), "stdin")) == expected


def test_plain_text_named_gz_is_read(tmp_path: Path):
    path = tmp_path / "text.gz"
    path.write_bytes(b"a\nb\n")
    assert list(read_lines(path)) == ["a", "b"]


BAD_BYTES = [
    (b"a\nb\n\xc3\xa4 ab\xff\n", "line 3: byte 6 (0xff) is not UTF-8. Correct the line"),
    (b"\xc3\n", "line 1: byte 1 (0xc3) is not UTF-8"),
    (b"a\n\xed\xa0\x80\n", "line 2: byte 1 (0xed) is not UTF-8"),  # half a surrogate pair
]


@pytest.mark.parametrize(("content", "message"), BAD_BYTES)
def test_bytes_that_are_not_utf8_are_reported(tmp_path: Path, content: bytes, message: str):
    path = tmp_path / "bad.txt"
    path.write_bytes(content)
    with pytest.raises(DataError) as error:
        list(read_lines(path))
    assert f"{path}, {message}" in str(error.value)


def test_lenient_reading_replaces_and_counts():
    counted: list[int] = []
    stream = io.BytesIO(b"good\nb\xffa\xfed \xef\xbf\xbd\nfine \xef\xbf\xbd\n\xe2\x82\n")
    lines = list(stream_lines(stream, "stdin", counted.append))
    assert lines == ["good", "b\ufffda\ufffdd \ufffd", "fine \ufffd", "\ufffd"]
    assert counted == [2, 1]  # a U+FFFD in the input is text


def test_missing_file_is_reported_with_the_nearest_name(tmp_path: Path):
    (tmp_path / "train.de.gz").touch()
    with pytest.raises(DataError, match=r"train\.de does not exist: did you mean 'train\.de\.gz'"):
        list(read_lines(tmp_path / "train.de"))
    with pytest.raises(DataError, match=r"nor does its folder .*nowhere"):
        list(read_lines(tmp_path / "nowhere" / "train.de"))
    with pytest.raises(DataError, match="is a folder; name a file in it"):
        list(read_lines(tmp_path))


def test_suggestions_list_the_choices():
    assert suggestion("vaild", ["train", "valid"]) == ": did you mean 'valid'? There are: train, valid"
    assert suggestion("x", ["train"]) == "; there are: train"
    assert suggestion("x", []) == "; there are: none"


class Given(TextData):
    def __init__(self, *pairs: Pair) -> None:
        self.pairs = pairs

    def splits(self) -> tuple[str, ...]:
        return ("train",)

    def read(self, split: str) -> Iterator[Pair]:
        return iter(self.pairs)


def test_default_fingerprint_is_a_hash_of_the_text():
    different = [
        Given(),
        Given(Pair("a", "b")),
        Given(Pair("a", "b"), Pair("", "")),
        Given(Pair("ab", "")),
        Given(Pair("a", "b", ("c",))),
        Given(Pair("a\n", "b")),
        Given(Pair("b", "a")),
    ]
    assert len({data.fingerprint("train") for data in different}) == len(different)
    assert Given(Pair("a", "b")).fingerprint("train") == Given(Pair("a", "b")).fingerprint("train")


def test_example_of_the_documentation_works(tmp_path: Path, repository: Path):
    page = (repository / "docs" / "data.md").read_text(encoding="utf-8")
    names = {"TextData": TextData, "Path": Path, "Iterator": Iterator, "Pair": Pair, "read_lines": read_lines}
    exec(page.partition("```python\n")[2].partition("```")[0], names)
    (tmp_path / "words").write_text("ab\ncd\n")
    data = names["Backwards"](file=str(tmp_path / "words"))
    assert [list(data.read(split)) for split in data.splits()] == [[Pair("cd", "dc")], [Pair("ab", "ba")]]
