"""Writes the cleaned copy: a new folder with train, valid and test, and the command that trains on it."""

import json
import os
import secrets
import shutil
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.analysis.doctor.cleaning import clean
from seq2seq.analysis.doctor.look import Looked
from seq2seq.checkpoint.storage import storage_errors
from seq2seq.config.command_line.overrides import take_apart
from seq2seq.config.command_line.program import command_line
from seq2seq.config.schema import DoctorSettings, TrainSettings, plain_keys
from seq2seq.config.stored_run import run_path, stored_config
from seq2seq.data.stored import CHUNK, SIDES, StoredTexts
from seq2seq.data.text import BYTE_ORDER_MARK
from seq2seq.errors import ConfigError, DataError
from seq2seq.files import flush_folder
from seq2seq.heartbeat import heartbeat
from seq2seq.types import Pair

SPLITS = ("train", "valid", "test")
WITH_PRESET = ("files", "table", "hub")  # choices of data that bring preset=auto
MARK = BYTE_ORDER_MARK.decode()


def check_folder(folder: Path) -> None:
    """Raise ConfigError unless the folder is new or empty."""
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        what = "has files already" if folder.is_dir() else "is a file"
        raise ConfigError(f"fix={folder} {what}, and nothing is written over: name a new folder")


def write_cleaned(script: DoctorSettings, settings: TrainSettings, looked: Looked) -> Iterator[str]:
    """Write the folder `fix`, which appears when it is complete; yields lines on what was left out, and the command.

    Raises DataError if train cannot be read or no pair is left, StorageError.
    """
    if "train" not in looked.texts:
        raise DataError(f"fix={script.fix}: the training text cannot be read; correct its files first (see above)")
    with heartbeat("applying the rules"):
        cleaned = clean(script, looked)
    if not len(cleaned.rows):
        raise DataError(f"fix={script.fix}: no pair is left; switch some rules off, such as drop_copies=false")
    folder = Path(str(script.fix))
    texts = {split: looked.texts[split] for split in SPLITS if split in looked.texts}
    rows = {split: np.arange(len(each)) for split, each in texts.items()} | {"train": cleaned.rows}
    with storage_errors(f"write {folder}"), heartbeat(f"writing {folder}"):
        words = _write(folder, texts, rows, looked)
    total = len(looked.texts["train"])
    yield ""
    yield f"Wrote {folder}: {len(cleaned.rows):,} of {total:,} training pairs. Left out:"
    counts = [(rule, count) for rule, count in cleaned.left_out.items() if count]
    yield from (f"  {count:>9,}  {rule}" for rule, count in counts)
    if not counts:
        yield "  nothing"
    yield "To train on it:"
    yield f"  {command_line('train', [*_other_words(settings), *words])}"


def _write(folder: Path, texts: dict[str, StoredTexts], rows: dict[str, np.ndarray], looked: Looked) -> list[str]:
    """Write all files into a folder beside it, which gets its name at the end; the words that choose them."""
    check_folder(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".tmp-{secrets.token_hex(6)}")
    temporary.mkdir()
    try:
        if all(_fit_lines(each) for each in texts.values()):
            words = _write_lines(temporary, folder, texts, rows, looked)
        else:
            words = _write_tables(temporary, folder, texts, rows)
        for path in temporary.iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
        flush_folder(temporary)
        temporary.rename(folder)
        flush_folder(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return words


def _pairs(texts: StoredTexts, rows: np.ndarray) -> Iterator[Pair]:
    for place in range(0, len(rows), CHUNK):
        chosen = rows[place : place + CHUNK]
        first = int(chosen[0])
        read = texts.pairs(first, int(chosen[-1]) + 1)
        yield from (read[row] for row in (chosen - first).tolist())


def _fit_lines(texts: StoredTexts) -> bool:
    """Whether all texts, read as lines of files again, are what they were; and every pair has as many references."""
    counts = set()
    for number, pair in enumerate(_pairs(texts, np.arange(len(texts)))):
        counts.add(len(pair.references))
        for text in (pair.source, pair.target, *pair.references):
            if "\n" in text or text.endswith("\r") or (number == 0 and text.startswith(MARK)):
                return False
    return len(counts) <= 1


def _write_lines(
    temporary: Path, folder: Path, texts: dict[str, StoredTexts], rows: dict[str, np.ndarray], looked: Looked
) -> list[str]:
    languages = [str(getattr(looked.data, f"{side}_language", None) or "") for side in SIDES]
    suffixes = languages if all(languages) and languages[0] != languages[1] else SIDES
    words = ["data=files"]
    for split, each in texts.items():
        several = len(each.pair(0).references)
        names = [f"{split}.{suffix}" for suffix in (*suffixes, *(f"reference{n + 1}" for n in range(several)))]
        files = [(temporary / name).open("wb") for name in names]
        for pair in _pairs(each, rows[split]):
            for file, text in zip(files, (pair.source, pair.target, *pair.references), strict=True):
                file.write(text.encode() + b"\n")
        for file in files:
            file.close()
        words += [f"data.{split}.{side}={folder / name}" for side, name in zip(SIDES, names, strict=False)]
        if several:
            words.append(f"data.{split}.references=[{','.join(str(folder / name) for name in names[2:])}]")
    return words


def _write_tables(
    temporary: Path, folder: Path, texts: dict[str, StoredTexts], rows: dict[str, np.ndarray]
) -> list[str]:
    words = ["data=table", "data.source=source", "data.target=target"]
    with_references = []
    for split, each in texts.items():
        name = f"{split}.jsonl"
        with (temporary / name).open("wb") as file:
            for pair in _pairs(each, rows[split]):
                content: dict[str, Any] = {"source": pair.source, "target": pair.target}
                if pair.references:
                    content["references"] = list(pair.references)
                    with_references += [split] * (split not in with_references)
                file.write(json.dumps(content, ensure_ascii=False).encode() + b"\n")
        words.append(f"data.{split}={folder / name}")
    if with_references:
        inner = ",".join(f"{split}:{{references:[references]}}" for split in with_references)
        words.append(f"data.columns_of={{{inner}}}")
    return words


def _other_words(settings: TrainSettings) -> list[str]:
    """What was typed for the training, or what its run began with, without the data; a new run where one was named."""
    typed, own = list(settings.command), plain_keys(DoctorSettings)
    keys = [take_apart(word).key for word in typed]
    of_run = "run" in keys and not {"data", "experiment"} & set(keys)
    words = [*(_began_with(settings) if of_run else []), *typed]
    kept = [word for word in words if not _is_of_data(word) and take_apart(word).key not in (*own, "run")]
    kept += [f"run={settings.run}-clean"] if "run" in keys else []
    for key in ("source_prefix", "target_prefix", "both_directions"):
        if value := settings.data.arguments.get(key):
            kept.append(f"data.{key}={_quoted(value)}")
    chosen = {take_apart(word).key for word in kept}
    brings = settings.choices.get("data") in WITH_PRESET
    return kept if brings or {"experiment", "preset"} & chosen else [*kept, "preset=none"]


def _began_with(settings: TrainSettings) -> Sequence[str]:
    """The words of the training of an existing run."""
    command: list[str] = stored_config(settings.run)["command"] if run_path(settings.run).exists() else []
    return list(islice(command, len(command)))


def _is_of_data(word: str) -> bool:
    key = take_apart(word).key
    return key == "data" or key.startswith("data.")


def _quoted(value: str | list[str]) -> str:
    if isinstance(value, list):
        return "[" + ",".join(_quoted(each) for each in value) + "]"
    return '"' + value.replace('"', '\\"') + '"'
