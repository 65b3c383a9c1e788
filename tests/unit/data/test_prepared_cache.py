"""Prepared data is reused until its text or its settings change."""

from pathlib import Path

import numpy as np
import pytest
from sample_text import settings
from unit.data.examples import TRAIN, VALID, Given, prepared

from seq2seq.config.schema import LengthSettings
from seq2seq.tokenizer import SentencePiece
from seq2seq.types import Pair


def test_prepared_data_is_reused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    first = prepared(tmp_path)
    data = Given(train=TRAIN, valid=VALID)
    monkeypatch.setattr(SentencePiece, "train", lambda *_: pytest.fail("trained again"))
    second = prepared(tmp_path, data)
    assert data.read_splits == []
    assert second.tokenizer.fingerprint == first.tokenizer.fingerprint and second.report == first.report
    assert (second.corpora["train"].source_ids == first.corpora["train"].source_ids).all()


CHANGES = [
    {"data": Given(train=[*TRAIN[:-1], Pair("ka", "ka")], valid=VALID)},
    {"length": LengthSettings(60, 64, "drop")},
    {"length": LengthSettings(64, 64, "truncate")},
    {"tokenizer": settings(vocab_size=321)},
    {"tokenizer": settings(model_type="unigram")},
    {"tokenizer": settings(joint=False)},
]


@pytest.mark.parametrize("change", CHANGES)
def test_each_change_of_the_ids_is_another_entry(tmp_path: Path, change: dict):
    before = prepared(tmp_path).corpora["train"].fingerprint
    assert prepared(tmp_path, **change).corpora["train"].fingerprint != before
    assert prepared(tmp_path).corpora["train"].fingerprint == before


def test_damaged_cache_is_built_again(tmp_path: Path):
    before = np.array(prepared(tmp_path).corpora["train"].target_ids)
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "manifest.json"]:
        content = bytearray(path.read_bytes())
        if content:
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
    after = prepared(tmp_path)
    assert (after.corpora["train"].target_ids == before).all() and list(after.corpora["train"].pairs) == TRAIN
