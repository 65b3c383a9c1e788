"""Compression is detected by content; files that are not UTF-8 text are refused with the name of their format."""

import gzip
import io
import os
import random
import tarfile
import threading
import zipfile
from pathlib import Path

import pytest
from packed import PACKERS

from seq2seq.data.files import FilePair, OptionalFilePair, ParallelFiles
from seq2seq.data.opening import LAYERS, VARIABLE
from seq2seq.data.text import read_lines, stream_lines
from seq2seq.errors import DataError
from seq2seq.plain_types import Pair

LINES = [f"line {i * i}" for i in range(5000)]
TEXT = "".join(line + "\n" for line in LINES).encode()
NAMES = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("content", [TEXT, b"", b"\n", b"a"], ids=["long", "empty", "line", "letter"])
def test_compressed_text_is_read_under_any_file_name(tmp_path: Path, suffix: str, content: bytes):
    pack = PACKERS[suffix]
    path = tmp_path / "text"
    path.write_bytes(pack(content))
    expected = list(stream_lines(io.BytesIO(content), "stdin"))
    assert list(read_lines(path)) == expected
    path.write_bytes(pack(content) + pack(content))  # as written by cat or pigz
    assert list(read_lines(path)) == list(stream_lines(io.BytesIO(content * 2), "stdin"))
    path.write_bytes(gzip.compress(pack(content), mtime=0))
    assert list(read_lines(path)) == expected


@pytest.mark.parametrize("suffix", PACKERS)
@pytest.mark.parametrize("lenient", [False, True])
def test_damaged_file_is_reported_with_its_format(tmp_path: Path, suffix: str, lenient: bool):
    path = tmp_path / f"cut{suffix}"
    whole = PACKERS[suffix](TEXT)
    for damaged in (whole[: len(whole) // 2], whole[:20] + b"\xff\xff\xff\xff" + whole[24:]):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=rf"is a damaged {NAMES[suffix]} file \(after line \d+\): .*pack it again"):
            list(read_lines(path, (lambda count: None) if lenient else None))


def as_zip(name: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr(name, "text\n")
    return stream.getvalue()


def as_tar() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        entry = tarfile.TarInfo("text")
        entry.size = len(TEXT)
        archive.addfile(entry, io.BytesIO(TEXT))
    return stream.getvalue()


CHINESE = "一二三 四五\n六七，八\n" * 9
UNREADABLE = [
    (as_zip("text"), "a zip archive"),
    (as_tar(), "a tar archive"),
    (gzip.compress(as_tar(), mtime=0), "a tar archive"),
    (b"7z\xbc\xaf\x27\x1c\0\4", "a 7z archive"),
    (b"\x04\x22\x4d\x18\x64\x40\xa7", "packed with lz4"),
    (b"PAR1\x15\x04\x15", "a parquet table"),
    (b"%PDF-1.7\n", "a PDF document"),
    *((f"ä 1\nb\n{CHINESE}".encode(form), "UTF-16 text") for form in ("utf-16", "utf-16-le", "utf-16-be")),
    *((CHINESE.encode(form), "UTF-16 text") for form in ("utf-16", "utf-16-le", "utf-16-be")),
    ("a\nb\n".encode("utf-16-le"), "UTF-16 text"),
    ("a\n".encode("utf-32"), "UTF-32 text"),
    (gzip.compress("abc\n".encode("utf-16"), mtime=0), "UTF-16 text"),
]


@pytest.mark.parametrize(("content", "what"), UNREADABLE)
@pytest.mark.parametrize("lenient", [False, True])
def test_other_formats_are_refused_by_name(tmp_path: Path, content: bytes, what: str, lenient: bool):
    path = tmp_path / "odd.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"odd.txt is {what}, which cannot be read: "):
        list(read_lines(path, (lambda count: None) if lenient else None))


TEXTS = [
    "BZh is a format",
    "BZh9",
    "PK",
    "PAR1 binds thrombin",
    "%PDF",
    "a\0b",
    "\0",
    "]",
    "7z",
    "LZIPX",
    "(\xb5/",
]


@pytest.mark.parametrize("text", TEXTS)
def test_text_that_begins_like_another_format_is_text(tmp_path: Path, text: str):
    path = tmp_path / "text"
    path.write_bytes(f"{text}\nx\n".encode())
    assert list(read_lines(path)) == [text, "x"]


def piped(content: bytes) -> int:
    """The reading end of a pipe that a thread fills."""
    reading, writing = os.pipe()

    def fill() -> None:
        with os.fdopen(writing, "wb") as stream:
            stream.write(content)

    threading.Thread(target=fill).start()
    return reading


@pytest.mark.parametrize("pack", [bytes, *PACKERS.values()])
def test_pipe_can_be_training_data(pack):
    """It is hashed and read, but can be read only once."""
    ends = [piped(pack(TEXT)), piped(pack(TEXT.upper()))]
    try:
        pair = FilePair(*(f"/dev/fd/{end}" for end in ends))
        none = OptionalFilePair(None, None)
        names = {"source_language": None, "target_language": None}
        data = ParallelFiles(root=None, **names, train=pair, valid=pair, test=none, extra={})
        prints = {data.fingerprint(split) for split in ("train", "valid", "train")}
        assert len(prints) == 1
        for _ in range(2):
            assert list(data.read("train")) == [Pair(line, line.upper()) for line in LINES]
    finally:
        for end in ends:
            os.close(end)


def test_each_line_is_read_as_soon_as_it_is_written():
    """A line from a pipe or a terminal is returned before the next one is written."""
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb") as stream, os.fdopen(writing, "wb", buffering=0) as typed:
        typed.write(b"a\n")
        lines = stream_lines(stream, "stdin")
        assert next(lines) == "a"
        typed.write(b"bc\n")
        assert next(lines) == "bc"


def test_what_is_packed_into_itself_again_and_again_is_refused(tmp_path: Path) -> None:
    path, raw = tmp_path / "text.gz", b"a\nb\n"
    for _ in range(LAYERS):
        raw = gzip.compress(raw)
    path.write_bytes(raw)
    assert list(read_lines(path)) == ["a", "b"]
    path.write_bytes(gzip.compress(raw))
    with pytest.raises(DataError, match="is packed more than 3 times; unpack it"):
        list(read_lines(path))


def test_a_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "text.gz"
    path.write_bytes(gzip.compress(b"a\n" * 1_500_000))
    assert len(list(read_lines(path))) == 1_500_000
    monkeypatch.setenv(VARIABLE, "2_000_000")
    message = (
        r"unpacks to more than 2,000,000 bytes, 100 times what it has on disk \(after line [1-9]\d+\). If it is yours, "
        "type SEQ2SEQ_LARGEST_UNPACKED=BYTES before the command"
    )
    with pytest.raises(DataError, match=message):
        list(read_lines(path))
    path.write_bytes(gzip.compress(random.Random(1).randbytes(4_000_000).hex().encode()))  # no bomb
    assert [len(line) for line in read_lines(path)] == [8_000_000]
