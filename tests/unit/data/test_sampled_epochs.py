"""Sampled segmentation: every epoch is encoded differently, and reproducibly."""

from pathlib import Path

import numpy as np
import pytest
from sample_text import settings
from unit.data.examples import SOURCES, TARGETS, TRAIN, VALID, Given, prepared, texts

from seq2seq.config.schema import LengthSettings
from seq2seq.types import Pair


def test_without_sampling_every_epoch_is_the_same(tmp_path: Path):
    made = prepared(tmp_path)
    assert made.train(0) is made.train(1) is made.corpora["train"]


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_sampled_epochs_differ_repeat_and_decode_to_the_same_text(tmp_path: Path, kind: str):
    made = prepared(tmp_path, tokenizer=settings(model_type=kind, sampling=0.3))
    epochs = [made.train(epoch) for epoch in (0, 1)]
    assert not np.array_equal(epochs[0].source_ids, epochs[1].source_ids)
    for corpus in epochs:
        assert texts(corpus, made.tokenizer) == [(pair.source, pair.target) for pair in TRAIN]
        assert corpus.source_ids.dtype == np.uint16 and corpus.source_lengths.sum() == len(corpus.source_ids)
    fresh = prepared(tmp_path, tokenizer=settings(model_type=kind, sampling=0.3))
    assert (fresh.train(1).target_ids == epochs[1].target_ids).all()
    other_seed = prepared(tmp_path, tokenizer=settings(model_type=kind, sampling=0.3), seed=2)
    assert not np.array_equal(other_seed.train(0).source_ids, epochs[0].source_ids)


def test_sample_over_the_limits_is_replaced_by_the_default_segmentation(tmp_path: Path):
    default = prepared(tmp_path).corpora["train"]
    longest = int(default.source_lengths.max())
    length = LengthSettings(longest, 64, "drop")
    made = prepared(tmp_path, tokenizer=settings(sampling=0.9), length=length)
    drawn, fixed = made.train(0), made.corpora["train"]
    assert drawn.source_lengths.max() <= longest < made.resampler.encode(0).target_lengths.max()
    kept = [i for i in range(len(drawn)) if drawn.source(i) == fixed.source(i)]
    assert kept and drawn.source_lengths.sum() > fixed.source_lengths.sum()
    assert texts(drawn, made.tokenizer) == [(pair.source, pair.target) for pair in TRAIN]


def test_sample_of_a_pair_does_not_depend_on_other_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seq2seq.data.segmenting.CHUNK", 70)
    sampled = settings(sampling=0.3)
    whole = prepared(tmp_path, tokenizer=sampled).train(0)
    part = prepared(
        tmp_path, Given(train=TRAIN[:200], valid=VALID), tokenizer=sampled, trained=settings().train(SOURCES, TARGETS)
    )
    monkeypatch.setattr("seq2seq.data.segmenting.CHUNK", 64)
    drawn = part.train(0)
    assert [drawn.source(i) for i in range(200)] == [whole.source(i) for i in range(200)]


def test_chunks_and_sides_have_different_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seq2seq.data.segmenting.CHUNK", 150)
    same = [Pair(text, text) for text in SOURCES[:150]] * 2
    drawn = prepared(tmp_path, Given(train=same, valid=VALID), tokenizer=settings(sampling=0.3)).train(0)
    sources, targets = ([side(i) for i in range(300)] for side in (drawn.source, drawn.target))
    assert sources[:150] != sources[150:] and sources != targets
