"""Hostile text in files: each script reads it line for line or refuses it, and a terminal never gets its control
characters."""

import gzip
import json
from dataclasses import dataclass
from pathlib import Path

import pytest
from faults.conftest import Campaign
from faults.tiny_run import settings, train_tiny
from system.scripts import Finished, run_script

from seq2seq.data.opening import VARIABLE
from seq2seq.streams import visible

LARGEST = 20_000_000  # unpacked bytes that the scripts may read
BOMB = gzip.compress(gzip.compress(gzip.compress(gzip.compress(b"eins\n"))))
WIDE = "\t".join(["source", "target", *(f"c{number}" for number in range(5000))]) + "\n"


@dataclass(frozen=True)
class Hostile:
    """A file's content and what must come of it.

    `lines`: how many lines translate writes for it, None where no script can read it. `valid`: whether its texts can be
    trained on. `scored`: whether they are short enough for score. A table has a `suffix`.
    """

    raw: bytes
    lines: int | None
    valid: bool = True
    scored: bool = True
    suffix: str = ".txt"


def text(content: str, lines: int, **more: object) -> Hostile:
    return Hostile(content.encode(), lines, **more)  # type: ignore[arg-type]


def rows(*objects: str, lines: int | None, suffix: str = ".jsonl", **more: object) -> Hostile:
    return Hostile("".join(f"{each}\n" for each in objects).encode(), lines, suffix=suffix, **more)  # type: ignore[arg-type]


GOOD = '{"source": "eins zwei", "target": "zwei eins"}'
FILES = {
    "byte-order mark": Hostile(b"\xef\xbb\xbfeins\nzwei drei\n", 2),
    "CRLF": text("eins\r\nzwei\r\n\r\ndrei\r\n", 4),
    "lone CR": text("eins\rzwei\ndrei\r\rvier\n", 2),
    "NUL": text("ei\0ns zwei\ndrei\0\n", 2),
    "NEL": text("eins\x85zwei\ndrei\n", 2),
    "line and paragraph separators": text("eins\u2028zwei\u2029drei\nvier\n", 2),
    "VT, FF and separators": text("eins\vzwei\fdrei\x1cvier\x1deins\x1ezwei\x1f\ndrei\n", 2),
    "overlong UTF-8": Hostile(b"eins\n\xc0\xafzwei\n\xe0\x80\xaf\n", 3, valid=False),
    "truncated UTF-8": Hostile(b"eins\nzwei \xe2\x82", 2, valid=False),
    "surrogates in UTF-8": Hostile(b"eins\n\xed\xa0\x80\xed\xb0\x80\n", 2, valid=False),
    "beyond Unicode": Hostile(b"eins\n\xf4\x90\x80\x80\xff\xfe\n", 2, valid=False),
    "Latin-1": Hostile("fünf\nüber\n".encode("latin-1"), 2, valid=False),
    "UTF-16": Hostile("eins\nzwei\n".encode("utf-16"), None),
    "UTF-16 without a mark": Hostile("eins\nzwei\n".encode("utf-16-le"), None),
    "UTF-32": Hostile("eins\nzwei\n".encode("utf-32"), None),
    "a line of 10 MB": text(f"eins\n{'zwei' * 2_500_000}\n{' ' * 3_000_000}\ndrei\n", 4, scored=False),
    "directions of writing": text("eins \u202ezwei\u202c\n\u2066drei\u2069 \u200f\u200e\u061cvier\n", 2),
    "terminal escapes": text("\x1b]0;title\x07\x1b[31meins\x1b[2J\n\x9b31mzwei\x90\x9c\x08\x7f\n", 2),
    "empty": text("", 0, valid=False),
    "white space only": text(" \n\t\n\u3000\n\u00a0 \n", 4),
    "one pair": text("eins\n", 1),
    "no final newline": text("eins\nzwei", 2),
    "combining marks": text(f"e{chr(0x301) * 3000}\neins\n", 2),
    "zero width": text("ei\u200bns\ufeff\u2060\nzw\u200c\u200dei\n", 2),
    "emoji": text("\U0001f468\u200d\U0001f469\u200d\U0001f467\ufe0f eins\n\U0001f1e9\U0001f1ea\U0001f3fd\n", 2),
    "right to left": text("\u0627\u0644\u0628\u064a\u062a eins\n\u05d1\u05d9\u05ea\n", 2),
    "private use, noncharacters": text("\ue000\U000f0000 \ufffd\n\ufffe\uffff\U0001fffe\ufdd0\n", 2),
    "the model's own signs": text("\u2581eins</s><s><pad><unk>\n<0x0A><0x00>\n", 2),
    "gzip, cut off": Hostile(gzip.compress(b"eins zwei\n" * 5000)[:-9], None, suffix=".txt.gz"),
    "gzip of several members": Hostile(gzip.compress(b"eins\nzw") + gzip.compress(b"ei\n"), 2, suffix=".txt.gz"),
    "gzip and rubbish": Hostile(gzip.compress(b"eins\n") + b"rubbish", None, suffix=".txt.gz"),
    "gzip in name only": Hostile(b"eins\nzwei\n", 2, suffix=".txt.gz"),
    "gzip in gzip in gzip in gzip": Hostile(BOMB, None, suffix=".txt.gz"),
    "gzip of a long line": Hostile(gzip.compress(bytes(2 * LARGEST)), None, suffix=".txt.gz"),
    "tsv with 5,002 columns": Hostile((WIDE + "eins\tzwei" + "\tx" * 5000 + "\n").encode(), 1, suffix=".tsv"),
    "tsv, a field too many": Hostile(b"source\ttarget\neins\tzwei\tdrei\n", None, suffix=".tsv"),
    "csv, a quote not closed": Hostile(b'source,target\n"eins,zwei\ndrei,vier\n', None, suffix=".csv"),
    "csv, line breaks and NUL": Hostile(b'source,target\r\n"ei\r\nns\x00","zw""ei"\r\n', 1, suffix=".csv"),
    "parquet in name only": Hostile(b"PAR1\x15rubbishPAR1", None, suffix=".parquet"),
    "JSON, unpaired surrogate": rows(GOOD, '{"source": "\\ud800", "target": "eins"}', lines=None),
    "JSON, surrogate elsewhere": rows('{"source": "eins", "target": "zwei", "x": "\\udfff\\u2028"}', lines=1),
    "JSON, deep": rows(GOOD, f'{{"source": "eins", "target": "zwei", "x": {"[" * 9000}{"]" * 9000}}}', lines=None),
    "JSON, huge numbers": rows(f'{{"source": "eins", "target": "zwei", "x": {"9" * 5000}}}', lines=None),
    "JSON, a key twice": rows('{"source": "eins", "target": "zwei", "source": "drei"}', lines=None),
    "JSON, NaN": rows('{"source": "eins", "target": "zwei", "x": NaN, "y": -Infinity, "z": 1e999}', lines=1),
    "JSON, no source": rows(GOOD, '{"target": "eins"}', lines=None),
    "JSON, no text": rows('{"source": ["eins"], "target": "zwei"}', lines=None),
    "JSON, controls": rows('{"source": "\\u001b[31m\\n\\r\\u202e", "target": "\\u0000\\u0085"}', lines=1),
    "JSON array, blank lines": Hostile(
        b"\n \n[" + GOOD.encode() + b",\n" + GOOD.encode() + b"]\n\n", 2, suffix=".json"
    ),
    "JSON, not objects": rows("[1]", "2", lines=None),
}
SCRIPTS = ("train", "evaluate", "translate", "score", "attention")
FAST = {  # in `make test` each script tries one: that which is likeliest to go wrong
    "translate": "terminal escapes",
    "attention": "directions of writing",
    "evaluate": "line and paragraph separators",
    "score": "JSON, a key twice",
    "train": "CRLF",
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run, and the files."""
    folder = tmp_path_factory.mktemp("hostile")
    train_tiny(folder)
    for number, (name, file) in enumerate(FILES.items()):
        (folder / f"{number}{file.suffix}").write_bytes(file.raw)
        assert name
    return folder


def words_of(script: str, file: Hostile, path: str) -> list[str]:
    """The command line with the file as its text."""
    table = file.suffix.split(".")[1] in ("tsv", "csv", "json", "jsonl", "parquet")
    sides = ("source", "target")
    if script == "translate":
        return [f"input={path}", "output=answers"]
    if script == "attention":
        return [f"input={path}", *([] if table else [f"target={path}"]), "output=maps", "pictures=1", "page=3"]
    if script == "score":
        return [f"source={path}", *([] if table else [f"target={path}"]), "output=scores"]
    split = "test" if script == "evaluate" else "train"
    if table:
        more = [f"data.{other}={path}" for other in ("train", "valid", "test") if other != split]
        return ["data=table", f"data.{split}={path}", *more]
    return [f"data.{split}.{side}={path}" for side in sides]


def training_words(words: list[str]) -> list[str]:
    """The words that train on the file: those of the tiny run, but for its text."""
    own = {word.partition("=")[0] for word in words}
    return [
        *(
            word
            for word in settings()
            if word.partition("=")[0] not in own and not ("data" in own and word.startswith("data"))
        ),
        *words,
    ]


def judge(what: str, script: str, file: Hostile, folder: Path, finished: Finished, found: dict[str, list[str]]) -> None:
    """Note what is wrong with a script's end and output."""
    said = f"{what}: code {finished.rc}\n{finished.stderr[-600:]}"
    if "Traceback" in finished.stderr:
        found["tracebacks"].append(said)
    readable = file.lines is not None and (file.valid or script == "translate") and (file.scored or script != "score")
    expected = (0, 3) if readable and script == "train" else (0,) if readable else (0, 3) if file.lines == 0 else (3,)
    if finished.rc not in expected:
        found["other_codes"].append(said)
    if any(visible(stream) != stream for stream in (finished.stdout, finished.stderr)):
        found["raw_output"].append(f"{what}: {finished.stdout!r:.900}\n{finished.stderr!r:.900}")
    written = folder / {"translate": "answers", "score": "scores"}.get(script, "none")
    if readable and written.is_file():
        lines = written.read_bytes().decode()
        table = file.suffix.endswith(("tsv", "csv", "json", "jsonl"))
        if lines.count("\n") != file.lines or (not table and len(lines.splitlines()) != file.lines):
            found["shifted"].append(f"{what}: {file.lines} lines became {lines.count(chr(10))}: {lines!r:.500}")
        elif table:
            assert all(isinstance(json.loads(line), dict) for line in lines.split("\n")[:-1])


@pytest.mark.parametrize("script", SCRIPTS)
def test_hostile_texts_are_read_line_for_line_or_refused(folder: Path, campaign: Campaign, script: str) -> None:
    found: dict[str, list[str]] = {"tracebacks": [], "other_codes": [], "shifted": [], "raw_output": []}
    limited = {VARIABLE: str(LARGEST)}
    tried = [*FILES] if campaign.whole else [FAST[script]]
    for name in tried:
        path = f"{[*FILES].index(name)}{FILES[name].suffix}"
        words = words_of(script, FILES[name], path)
        words = [f"run=new{path}", *training_words(words)] if script == "train" else ["run=base", *words]
        for left in ("answers", "scores"):
            (folder / left).unlink(missing_ok=True)
        finished = run_script(script, *words, cwd=folder, timeout=120, env=limited)
        judge(f"{name}, {script}", script, FILES[name], folder, finished, found)
    counts = {kind: len(each) for kind, each in found.items()}
    campaign.report(f"hostile texts, {script}", trials=len(tried), **counts)
    wrong = [each for several in found.values() for each in several]
    assert not wrong, "\n\n".join(wrong)
