"""A text before every source."""

from pathlib import Path

import pytest
from sample_text import settings
from unit.data.examples import EMPTY, TRAIN, VALID, Given, prepared, texts

from seq2seq.types import Pair

PREFIX = "kalo:\n "


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_source_prefix_is_only_in_the_ids(tmp_path: Path, sampling: float):
    data = Given(train=TRAIN, valid=VALID)
    data.source_prefix = PREFIX
    made = prepared(tmp_path, data, tokenizer=settings(sampling=sampling))
    assert list(made.corpora["train"].pairs) == TRAIN and made.corpora["valid"].pairs[:] == VALID
    assert texts(made.train(0), made.tokenizer) == [(PREFIX + pair.source, pair.target) for pair in TRAIN]
    # The second one is empty and stays empty.
    assert made.tokenizer.source.decode([made.corpora["valid"].source(i) for i in (0, 1)]) == [PREFIX + "kalo", ""]


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_blank_sources_have_no_ids_and_keep_their_text(tmp_path: Path, prefix: str):
    blank = [Pair(text, "kalo") for text in ("", "  ", "\t", "\u00a0\u3000")]
    data = Given(train=TRAIN, valid=[*blank, *VALID])
    data.source_prefix = prefix
    corpus = prepared(tmp_path, data).corpora["valid"]
    assert [corpus.source(i) for i in range(len(blank))] == [[]] * len(blank)
    assert corpus.pairs[: len(blank)] == blank and corpus.pairs[1].source == "  "


def test_another_source_prefix_is_another_entry_of_the_same_text(tmp_path: Path):
    found = []
    for prefix in ("", "kalo: ", "milo: ", "kalo: "):
        data = Given(train=TRAIN, valid=VALID)
        data.source_prefix = prefix
        found.append((prepared(tmp_path, data).corpora["train"].fingerprint, data.read_splits))
    assert found[1][0] == found[3][0] and len({fingerprint for fingerprint, _ in found}) == 3
    assert [read for _, read in found] == [["train", "valid"], [], [], []]


def test_sources_with_only_the_prefix_are_dropped(tmp_path: Path):
    data = Given(train=TRAIN + EMPTY, valid=VALID)
    data.source_prefix = PREFIX
    assert prepared(tmp_path, data).report[0] == "train: 300 pairs, 4 empty dropped"
