"""The size of a training text: pairs and words, read once."""

import gzip
from pathlib import Path

import pytest

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.config.presets import TextSize
from seq2seq.data import text_size
from seq2seq.data.text_size import training_text
from seq2seq.errors import DataError


def size(tmp_path: Path, source: list[str], target: list[str]) -> TextSize:
    for side, lines in (("source", source), ("target", target)):
        with gzip.open(tmp_path / f"{side}.gz", "wt") as file:
            file.writelines(f"{line}\n" for line in lines)
    words = [
        f"data.{split}.{side}={tmp_path / side}.gz" for split in ("train", "valid") for side in ("source", "target")
    ]
    return training_text(load_train(compose(CONFIGS, "train", ["data=files", f"cache_dir={tmp_path}/cache", *words])))


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        (["a b  c", "d"] * 2, ["e", "f g"] * 2, TextSize(4, 2 * (4 + 3))),
        (["a b", "c d"], ["我们回家", "我们"], TextSize(2, 4 + 3)),
        (["", "a b"], ["a b", "a b"], TextSize(2, 6)),
    ],
)
def test_pairs_and_words(tmp_path: Path, source: list[str], target: list[str], expected: TextSize) -> None:
    assert size(tmp_path, source, target) == expected


def test_words_of_much_text_are_estimated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [" ".join(["word"] * (1 + i % 7)) for i in range(1000)]
    exact = size(tmp_path, lines, lines)
    monkeypatch.setattr(text_size, "SAMPLE", 50)
    assert size(tmp_path, lines, lines).pairs == exact.pairs == 1000
    assert size(tmp_path, lines, lines).words == pytest.approx(exact.words, rel=0.02)


def test_unreadable_text_is_reported_as_in_training(tmp_path: Path) -> None:
    words = [f"data.{split}.{side}={tmp_path}/none" for split in ("train", "valid") for side in ("source", "target")]
    with pytest.raises(DataError, match="none does not exist"):
        training_text(load_train(compose(CONFIGS, "train", ["data=files", *words])))
