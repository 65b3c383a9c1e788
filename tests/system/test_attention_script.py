"""scripts/attention.py writes the maps, page, alignments, entropies and error rates of a trained run."""

import json
import math
from pathlib import Path

import pytest
from system.scripts import Finished, run_script

WORDS = {"eins": "one", "zwei": "two", "drei": "three", "vier": "four", "fünf": "five", "sechs": "six"}
SETTINGS = [
    "data=files",
    "tokenizer=unigram",
    "tokenizer.vocab_size=285",
    "embedding.size=16",
    "encoder.hidden_size=16",
    "decoder.hidden_size=32",
    "schedule=constant",
    "optimizer.lr=0.01",
    "trainer.tokens_per_update=400",
    "trainer.count=target",
    "trainer.validate_every=1000",
    "device=cpu",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Number words to translate, a run with one map (`single`) and one with two layers of two heads (`several`)."""
    folder = tmp_path_factory.mktemp("attention")
    words = list(WORDS)
    for split, count in (("train", 300), ("valid", 4), ("test", 4)):
        rows = [[words[(i * 7 + j * (i + 3)) % 6] for j in range(1 + i % 4)] for i in range(count)]
        for side, of in (("de", str), ("en", WORDS.get)):
            (folder / f"{split}.{side}").write_text("".join(" ".join(map(of, row)) + "\n" for row in rows))
    gold = [" ".join(f"{i}-{i}" for i in range(1 + row % 4)) for row in range(4)]
    (folder / "gold.wa").write_text("".join(line + "\n" for line in gold))
    files = [
        f"data.{split}.{key}={split}.{side}"
        for split in ("train", "valid", "test")
        for key, side in (("source", "de"), ("target", "en"))
    ]
    several = ["encoder=transformer", "decoder=transformer", "attention=multihead", "attention.heads=2"]
    several += [f"{part}.{key}" for part in ("encoder", "decoder") for key in ("layers=2", "heads=2", "inner_size=32")]
    several += ["embedding.size=32", "encoder.hidden_size=32", "trainer.ema=0.9"]
    for run, updates, more in (
        ("single", 60, ["attention=bahdanau", "attention.attn_dim=16", "decoder.attend=before"]),
        ("several", 2, several),
    ):
        given = {word.split("=")[0] for word in more}
        kept = [word for word in SETTINGS if word.split("=")[0] not in given]
        done = run_script("train", f"run={run}", *kept, *files, *more, f"trainer.max_updates={updates}", cwd=folder)
        assert done.rc == 0, done.stderr
    return folder


def attention(folder: Path, *words: str) -> Finished:
    return run_script("attention", *words, cwd=folder)


def lines(path: Path) -> list[str]:
    return path.read_text().split("\n")[:-1]


def test_split_is_translated_and_shown(folder: Path) -> None:
    done = attention(folder, "run=single", "pictures=2")
    assert done.rc == 0, done.stderr
    assert done.stdout.startswith("runs/single, step-60; 4 sentences of test\n")
    found = folder / "runs/single/attention/test"
    names = {"alignments.txt", "attention.html", "entropy.json", "s0.png", "s1.png", "source.txt", "target.txt"}
    assert {path.name for path in found.iterdir()} == names
    assert lines(found / "source.txt") == lines(folder / "test.de")
    translated = run_script("translate", "run=single", "input=test.de", cwd=folder)
    assert (found / "target.txt").read_text() == translated.stdout
    for links, source, target in zip(
        *(lines(found / name) for name in ("alignments.txt", "source.txt", "target.txt")), strict=True
    ):
        for link in links.split():
            i, j = map(int, link.split("-"))
            assert i < len(source.split())
            assert j < len(target.split())
    entropy = json.loads((found / "entropy.json").read_text())
    [[value]] = entropy["entropy"]
    assert 0 < value < 1
    assert f"{value:.3f}" in done.stdout
    assert "argmax over words, from the weights of the last layer" in entropy["alignment"]


def test_a_moving_average_is_named(folder: Path) -> None:
    done = attention(folder, "run=several", "checkpoint=ema", "trainer.average=2", "pictures=0")
    assert done.rc == 0, done.stderr
    assert done.stdout.startswith("runs/several, ema; 4 sentences of test\n")
    found = json.loads((folder / "runs/several/attention/test-ema/entropy.json").read_text())
    assert found["checkpoint"] == "ema"


def test_given_targets_are_compared_with_gold_links(folder: Path) -> None:
    words = ("run=several", "input=test.de", "target=test.en", "output=seen", "alignment.shift=true")
    done = attention(folder, *words, "gold=gold.wa", "alignment.layer=1", "alignment.head=2", "pictures=1")
    assert done.rc == 0, done.stderr
    assert lines(folder / "seen/target.txt") == lines(folder / "test.en")
    found = json.loads((folder / "seen/aer.json").read_text())
    assert found["sure"] == found["possible"] == 1 + 2 + 3 + 4
    f1 = 2 * found["precision"] * found["recall"] / (found["precision"] + found["recall"])
    assert math.isclose(found["aer"], 1 - f1)
    assert "layer 1, head 2, when each target piece is read (shift)" in found["alignment"]
    for name in ("precision", "recall", "aer"):
        assert f"{name}  {found[name]:.3f}" in done.stdout
    assert {path.name for path in (folder / "seen").glob("*.png")} == {"s0.png", "s0-heads.png"}
    entropy = json.loads((folder / "seen/entropy.json").read_text())["entropy"]
    assert [len(heads) for heads in entropy] == [2, 2]
    # A call removes the files of an earlier call that it does not write itself.
    assert attention(folder, *words, "pictures=0").rc == 0
    assert not (folder / "seen/aer.json").exists()
    assert not list((folder / "seen").glob("*.png"))


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["run=single", "alignment.method=best"], 2, "alignment.method=best: expected one of argmax, intersect"),
        (["run=single", "alignment.layer=2"], 2, "alignment.layer=2: layers with attention are numbered 1 to 1"),
        (["run=single", "input=tset.de"], 3, "tset.de does not exist: did you mean 'test.de'?"),
        (["run=singel"], 4, "did you mean single?"),
    ],
)
def test_mistakes_have_their_exit_code(folder: Path, words: list[str], code: int, message: str) -> None:
    done = attention(folder, *words)
    assert done.rc == code, done.stderr
    assert message in done.stderr
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
