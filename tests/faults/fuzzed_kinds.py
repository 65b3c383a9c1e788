"""The kinds of files that are damaged at random: examples of each, and what reads them."""

import bz2
import gzip
import io
import json
import lzma
import random
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow
import pyarrow.parquet
import yaml
from faults.damage import damaged, damaged_json, sealed

from seq2seq.checkpoint.folder import MODEL, RunFolder
from seq2seq.checkpoint.read import load
from seq2seq.checkpoint.selection import best_validated
from seq2seq.config.loading import load_stored
from seq2seq.config.stored_run import effective_settings, read_config
from seq2seq.data.cache import cached
from seq2seq.data.columns import Columns
from seq2seq.data.lexicon import Lexicon
from seq2seq.data.links import read_links
from seq2seq.data.rows import read_rows
from seq2seq.data.text import read_lines
from seq2seq.format.folder import is_current
from seq2seq.huggingface.architecture import read_architecture
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.inference.activation_ranges import ranges_digest, read_ranges
from seq2seq.inference.shortlists import read_lexicon
from seq2seq.logger.jsonl import cut_metrics, read_metrics
from seq2seq.tokenizer import Tokenizer
from seq2seq.training.imported import read_tokenizer
from seq2seq.training.state import saved_state
from seq2seq.training.word_vectors import read_vectors

TEXT = "Ein Haus, ein Baum.\r\n\u202ertl\u2028x\n\n4,5;6\t7\n\U0001f468\u200d\U0001f469\u200d\U0001f467 e\u0301\n"
ROWS = [{"source": f'Ein "Haus" {number}', "target": "a house", "n": number, "x": {"y": None}} for number in range(5)]

STEP = "checkpoints/step-2"
EXPORT = {"format": "onnx", "arguments": {}, "weights": "x"}

Load = Callable[[Path], object]
Damage = Callable[[random.Random, bytes], bytes]


@dataclass(frozen=True)
class Kind:
    """Files of one kind: examples, how they are damaged, where they lie in the folder of a run, and what reads them;
    `share` of the inputs are of this kind."""

    examples: Callable[[Path], list[bytes]]
    load: Load
    name: str
    damage: Damage = damaged
    share: int = 1


def whole(path: Path) -> object:
    return list(read_lines(path, lambda count: None)), list(read_lines(path))


def rows_of(form: str, header: list[str] | None = None) -> Load:
    def load_rows(path: Path) -> object:
        return list(Columns("source", "target", ("x.y",)).pairs(read_rows(path, form, header)))

    return load_rows


def packed(path: Path) -> list[bytes]:
    raw = (TEXT * 3).encode()
    zstd = pyarrow.compress(raw, "zstd", asbytes=True)
    return [gzip.compress(raw), gzip.compress(raw) * 2, bz2.compress(raw), lzma.compress(raw), zstd]


def parquet(path: Path) -> list[bytes]:
    stream = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(ROWS), stream)
    return [stream.getvalue()]


def lexicon(path: Path) -> list[bytes]:
    Lexicon(np.zeros((275, 2), np.int32), np.arange(275, dtype=np.int32)).save(path / "example.npz")
    return [(path / "example.npz").read_bytes()]


def in_run(name: str) -> Callable[[Path], list[bytes]]:
    return lambda folder: [(folder / name).read_bytes()]


def checkpoint_of(path: Path) -> object:
    folder = RunFolder(path.parent.parent.parent)
    best_validated(folder, 3)
    return saved_state(load(folder, "best", [MODEL])), load(folder, "average")


def sealed_checkpoint(path: Path) -> object:
    sealed(path.parent, [path.name])
    return checkpoint_of(path)


def tokenizer_without_sums(path: Path) -> object:
    tokenizer = Tokenizer.load(path.parent)
    ids = tokenizer.source.encode(["eins zwei", TEXT, ""])
    return tokenizer.source.symbols, tokenizer.target.decode(ids), tokenizer.source.piece(5)


def stored_settings(path: Path) -> object:
    """What evaluate reads of them, and what train compares them with."""
    own = load_stored(str(path.parent / "other"))
    effective_settings(own, read_config(path))
    return load_stored(str(path.parent), data_root="elsewhere")


def metrics(path: Path) -> object:
    kept = read_metrics(path)
    cut_metrics(path, after=1)
    return kept


def entry(path: Path) -> object:
    return cached(path.parent.parent, path.parent.name, path.name, lambda fresh: None)


def listed(form: str) -> bytes:
    if form == "jsonl":
        return "".join(json.dumps(row) + "\n" for row in ROWS).encode()
    separator = "," if form == "csv" else "\t"
    lines = [separator.join(["source", "target", "x.y"]), *(separator.join(["ein Haus", "a, b", ""]) for _ in range(4))]
    return "\n".join(line if form == "tsv" else line.replace("a, b", '"a, b\nc"') for line in lines).encode()


def imported(path: Path) -> object:
    folder = ModelFolder(path, "hf:x")
    return read_architecture(folder), read_tokenizer(folder)


def manifest(path: Path) -> list[bytes]:
    files = {"config.yaml": {"sha256": "0" * 64, "bytes": 3}}
    return [json.dumps({"version": 1, **EXPORT, "packages": {}, "files": files}).encode()]


RANGES = {"a": (0.5, 1.0), "b": (-3.0, 2.0)}
KINDS = {
    "text": Kind(lambda folder: [TEXT.encode(), b"\xef\xbb\xbfa\r\nb", b"", b"a"], whole, "text.txt", share=10),
    "packed text": Kind(packed, whole, "text.gz", share=10),
    "csv": Kind(lambda folder: [listed("csv"), listed("csv").replace(b",", b";")], rows_of("csv"), "t.csv", share=8),
    "tsv": Kind(lambda folder: [listed("tsv")], rows_of("tsv"), "t.tsv", share=8),
    "tsv with names": Kind(lambda folder: [listed("tsv")], rows_of("tsv", ["source", "target", "x.y"]), "h.tsv"),
    "jsonl": Kind(lambda folder: [listed("jsonl")], rows_of("jsonl"), "t.jsonl", share=8),
    "json": Kind(lambda folder: [json.dumps(ROWS).encode()], rows_of("jsonl"), "t.json", damaged_json, share=8),
    "parquet": Kind(parquet, rows_of("parquet"), "t.parquet", share=6),
    "links": Kind(lambda folder: [b"0-0 1-2\n\n3-1\n"], lambda path: read_links(path, 3, key="links"), "links"),
    "vectors": Kind(
        lambda folder: [b"2 3\nHaus 1 2 3\nBaum .5 -1e3 0\n"],
        lambda path: read_vectors(path, {"Haus", "Baum"}, 3),
        "vectors.txt",
    ),
    "weights": Kind(in_run(f"{STEP}/model.safetensors"), sealed_checkpoint, f"{STEP}/model.safetensors", share=2),
    "manifest": Kind(in_run(f"{STEP}/manifest.json"), checkpoint_of, f"{STEP}/manifest.json", damaged_json, share=1),
    "state": Kind(in_run(f"{STEP}/validated.json"), sealed_checkpoint, f"{STEP}/validated.json", damaged_json, share=1),
    "best": Kind(lambda folder: [b"checkpoints/step-2"], lambda path: checkpoint_of(path.parent / STEP / "x"), "best"),
    "tokenizer": Kind(in_run("tokenizer/joint.model"), tokenizer_without_sums, "other/joint.model", share=6),
    "sums": Kind(
        in_run("tokenizer/sha256.json"),
        lambda path: Tokenizer.load(path.parent),
        "tokenizer/sha256.json",
        damaged_json,
    ),
    "metrics": Kind(in_run("metrics.jsonl"), metrics, "metrics.jsonl", share=5),
    "config": Kind(in_run("config.yaml"), read_config, "config.yaml", share=1),
    "settings": Kind(in_run("config.yaml"), lambda path: load_stored(str(path.parent)), "config.yaml", share=1),
    "settings, as a tree": Kind(
        lambda folder: [json.dumps(yaml.safe_load((folder / "config.yaml").read_bytes())).encode()],
        stored_settings,
        "config.yaml",
        damaged_json,
        share=2,
    ),
    "lexicon": Kind(lexicon, lambda path: read_lexicon(path, 275, 275), "lexicon.npz", share=6),
    "ranges": Kind(
        lambda folder: [json.dumps({"sha256": ranges_digest(RANGES), "ranges": RANGES}).encode()],
        lambda path: read_ranges(path, ["a", "b"]),
        "ranges.json",
        damaged_json,
        share=4,
    ),
    "export": Kind(
        manifest, lambda path: is_current(path.parent, {**EXPORT, "packages": {}}), "export.json", damaged_json
    ),
    "cache": Kind(lambda folder: [b'{"a": "x"}'], lambda path: entry(path.parent), "cache/text/k/manifest.json"),
    "model folder": Kind(
        lambda folder: [(folder / "marian/config.json").read_bytes()],
        lambda path: imported(path.parent),
        "marian/config.json",
        damaged_json,
    ),
    "its vocabulary": Kind(
        lambda folder: [(folder / "marian/vocab.json").read_bytes()],
        lambda path: imported(path.parent),
        "marian/vocab.json",
        damaged_json,
    ),
    "its pieces": Kind(
        lambda folder: [(folder / "marian/source.spm").read_bytes()],
        lambda path: imported(path.parent),
        "marian/source.spm",
    ),
    "its weights": Kind(
        lambda folder: [b'{"weight_map": {"a": "model.safetensors"}}'],
        lambda path: ModelFolder(path.parent, "hf:x").weights(),
        "marian/model.safetensors.index.json",
        damaged_json,
    ),
}
