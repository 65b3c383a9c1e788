"""The .wandb files of Weights & Biases: a log in LevelDB's format of protocol buffers, of which we read the history.

Format: https://github.com/google/leveldb/blob/main/doc/log_format.md, after a header of 7 bytes.
"""

import os
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

HEADER, BLOCK = 7, 32768
PIECE_HEADER = 7  # bytes: a checksum (4), the length (2, little-endian) and the type (1)
WHOLE, FIRST, LAST = 1, 2, 4  # types of pieces; 3 is one in the middle of a record


def last_updates(files: Iterable[Path], column: str) -> dict[str, int]:
    """Of each key of the rows in all files, the highest value that `column` has in a row with it."""
    last: dict[str, int] = defaultdict(int)
    for file in files:
        for row in history(file):
            update = int(row.get(column, "0"))
            for key in row:
                last[key] = max(last[key], update)
    return last


def history(file: Path) -> Iterator[dict[str, str]]:
    """The rows of one session, in the order written: each key with its value as JSON (of an image, one of its fields).

    A file whose writer was killed ends where its last whole record does.
    """
    for record in _parsed(records(file.read_bytes())):
        if record.WhichOneof("record_type") == "history":
            yield {item.nested_key[0] if item.nested_key else item.key: item.value_json for item in record.history.item}


def has_ended(file: Path) -> bool:
    """Whether a file is complete: the record of the session's end is in its last two blocks."""
    with file.open("rb") as log:
        start = max(log.seek(0, os.SEEK_END) // BLOCK - 1, 0) * BLOCK
        log.seek(start)
        tail = log.read()
    return any(record.WhichOneof("record_type") == "exit" for record in _parsed(records(tail, first=start == 0)))


def records(content: bytes, *, first: bool = True) -> Iterator[bytes]:
    """The records of a log that are whole, each joined from its pieces; `content` begins with the `first` or another
    block."""
    record, position = None, HEADER if first else 0
    while position + PIECE_HEADER <= len(content):
        left = BLOCK - position % BLOCK
        if left < PIECE_HEADER:
            position += left  # the end of a block is filled up with zeros
            continue
        length = int.from_bytes(content[position + 4 : position + 6], "little")
        kind, start = content[position + 6], position + PIECE_HEADER
        position = start + length
        if not WHOLE <= kind <= LAST or position > len(content):
            return
        piece = content[start:position]
        if kind in (WHOLE, FIRST):
            record = piece
        elif record is not None:
            record += piece
        if kind in (WHOLE, LAST) and record is not None:
            yield record


def _parsed(raw_records: Iterable[bytes]) -> Iterator[Any]:
    from google.protobuf.message import DecodeError
    from wandb.proto import wandb_internal_pb2

    messages: Any = wandb_internal_pb2

    for raw in raw_records:
        record: Any = messages.Record()
        try:
            record.ParseFromString(raw)
        except DecodeError:
            return
        yield record
