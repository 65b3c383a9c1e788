"""Preparing text as ids: which pairs are kept, their lengths, and what they decode to."""

from pathlib import Path

import numpy as np
import pytest
from sample_text import settings
from unit.data.examples import EMPTY, LENGTH, SOURCES, TARGETS, TRAIN, VALID, Given, prepared, texts

from seq2seq.config.schema import LengthSettings
from seq2seq.data.encoded import Truncated
from seq2seq.data.prepare import prepare_split
from seq2seq.errors import DataError
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import Pair


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])
def test_ids_decode_to_their_text(tmp_path: Path, kind: str, joint: bool):
    length = LengthSettings(max_source=256, max_target=256, overlong="drop")
    made = prepared(tmp_path, tokenizer=settings(model_type=kind, joint=joint), length=length)
    corpus = made.corpora["train"]
    assert list(corpus.pairs) == TRAIN
    assert texts(corpus, made.tokenizer) == [(pair.source, pair.target) for pair in TRAIN]
    assert corpus.source_lengths.tolist() == [len(corpus.source(i)) for i in range(len(corpus))]
    assert corpus.target_lengths.tolist() == [len(corpus.target(i)) for i in range(len(corpus))]
    assert corpus.source_ids.dtype == np.uint16 and corpus.source_offsets.dtype == np.int64
    assert isinstance(corpus.source_ids, np.memmap) and len(corpus) == 300


def test_scoring_keeps_every_line_and_its_references(tmp_path: Path):
    made = prepared(tmp_path)
    corpus = made.corpora["valid"]
    assert corpus.pairs[:] == VALID and corpus.pairs[-1] == VALID[-1]
    assert corpus.source(1) == [] and corpus.target(2) == []
    assert corpus.source_lengths[3] == 64 and corpus.target_lengths[3] == 64
    assert made.tokenizer.source.decode([corpus.source(2)]) == ["lo\nmi"]
    assert made.report == [
        "train: 300 pairs",
        "valid: 4 pairs, 25.0% of sources truncated to 64 tokens, 25.0% of targets truncated to 64 tokens",
    ]


LONG = [Pair("ka " * 90, "lo"), Pair("lo", "ka " * 90)]


@pytest.mark.parametrize(
    ("overlong", "kept", "line"),
    [
        ("drop", TRAIN, "train: 300 pairs, 4 empty and 2 over 64 source or 60 target tokens dropped"),
        (
            "truncate",
            TRAIN + LONG,
            "train: 302 pairs, 4 empty dropped, 0.3% of sources truncated to 64 tokens, "
            "0.3% of targets truncated to 60 tokens",
        ),
    ],
)
def test_training_drops_and_counts(tmp_path: Path, overlong: str, kept: list[Pair], line: str):
    mixed = [EMPTY[0], *TRAIN[:150], *EMPTY[1:3], *TRAIN[150:], LONG[0], EMPTY[3], LONG[1]]
    made = prepared(tmp_path, Given(train=mixed, valid=VALID), length=LengthSettings(64, 60, overlong))
    corpus = made.corpora["train"]
    assert list(corpus.pairs) == kept and made.report[0] == line
    assert corpus.pairs.sources(149, 152) == [pair.source for pair in kept[149:152]]
    assert corpus.pairs.targets(149, 152) == [pair.target for pair in kept[149:152]]
    assert corpus.source_lengths.max() <= 64 and corpus.target_lengths.max() <= 60


def test_truncated_shares_are_of_the_kept_pairs(tmp_path: Path):
    length = LengthSettings(64, 60, "truncate")
    long = [Pair("ka " * 90, "lo")] * 3 + [Pair("lo", "ka " * 62)] + [Pair("ka " * 30, "lo")] * 4 + EMPTY[:2]
    made = prepared(tmp_path, Given(train=TRAIN[:12] + long, valid=VALID[:1]), length=length)
    assert made.corpora["train"].truncated == Truncated(source=3 / 20, target=1 / 20)
    assert made.corpora["valid"].truncated == Truncated(source=0.0, target=0.0)
    again = prepared(tmp_path, Given(train=TRAIN[:12] + long, valid=VALID[:1]), length=length)
    assert again.corpora["train"].truncated == made.corpora["train"].truncated


def test_tiny_share_is_not_shown_as_zero(tmp_path: Path):
    given = Given(train=TRAIN[:1] * 2000 + LONG[:1], valid=VALID[:1])
    made = prepared(
        tmp_path, given, length=LengthSettings(64, 60, "truncate"), trained=settings().train(SOURCES, TARGETS)
    )
    assert made.report[0] == "train: 2,001 pairs, under 0.1% of sources truncated to 64 tokens"


DOCUMENTS = [f"#1#: {a}\n#2#: {b}\n\n  {c}\n" for a, b, c in zip(SOURCES, TARGETS, SOURCES[1:], strict=False)]


@pytest.mark.parametrize("normalization", ["identity", "nmt_nfkc"])
@pytest.mark.parametrize(
    ("kind", "sampling"), [("unigram", 0.0), ("unigram", 0.2), ("bpe", 0.0), ("bpe", 0.2), ("char", 0.0)]
)
def test_line_breaks_of_a_document_are_kept(tmp_path: Path, kind: str, sampling: float, normalization: str):
    pairs = [Pair(document, target) for document, target in zip(DOCUMENTS, TARGETS, strict=False)]
    tokenizer = settings(model_type=kind, sampling=sampling, normalization=normalization)
    length = LengthSettings(512, 512, "drop")
    made = prepared(tmp_path, Given(train=pairs, valid=pairs[:9]), tokenizer=tokenizer, length=length)
    for corpus in (made.train(0), made.train(1), made.corpora["valid"]):
        read = made.tokenizer.source.decode([corpus.source(i) for i in range(len(corpus))])
        assert [text.count("\n") for text in read] == [4] * len(corpus)
        if normalization == "identity":
            assert read == DOCUMENTS[: len(corpus)]


def test_train_without_a_usable_pair_is_refused(tmp_path: Path):
    with pytest.raises(DataError, match=r"^train: no pair is left: 0 have an empty side and 300 are over 1 tokens"):
        prepared(tmp_path, length=LengthSettings(1, 1, "drop"))


def test_more_than_one_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    whole = prepared(tmp_path / "whole").corpora["train"]
    for module in ("stored", "encoded"):
        monkeypatch.setattr(f"seq2seq.data.{module}.CHUNK", 7)
    chunked = prepared(tmp_path / "chunked").corpora["train"]
    for name in ("source_ids", "source_offsets", "target_ids", "target_offsets"):
        assert (getattr(whole, name) == getattr(chunked, name)).all()
    assert list(whole.pairs) == list(chunked.pairs)


def test_large_vocabulary_has_wider_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small = prepared(tmp_path / "small").corpora["train"]
    monkeypatch.setattr("seq2seq.data.encoded.NARROW", 300)
    large = prepared(tmp_path / "large").corpora["train"]
    assert large.source_ids.dtype == np.int32 and (large.source_ids == small.source_ids).all()


def test_resumed_run_keeps_its_tokenizer(tmp_path: Path):
    own = settings(vocab_size=330).train(SOURCES, TARGETS)
    made = prepared(tmp_path, trained=own)
    assert made.tokenizer is own and not (tmp_path / "tokenizer").exists()


def test_evaluation_prepares_one_split_with_the_runs_tokenizer(tmp_path: Path):
    made = prepared(tmp_path / "cache")
    made.tokenizer.save(tmp_path / "run")
    data = Given(train=TRAIN, valid=VALID, other=VALID[:2])
    loaded = Tokenizer.load(tmp_path / "run")
    corpus = prepare_split(data=data, split="other", tokenizer=loaded, length=LENGTH, cache=tmp_path / "new")
    assert data.read_splits == ["other"] and corpus.report == "other: 2 pairs"
    assert corpus.source(0) == made.corpora["valid"].source(0)


def test_missing_split_is_refused_before_any_is_read(tmp_path: Path):
    data = Given(train=TRAIN, vaild=VALID)
    with pytest.raises(DataError, match="there is no split 'valid': did you mean 'vaild'"):
        prepared(tmp_path, data)
    assert data.read_splits == []


@pytest.mark.corpus
def test_multi30k_is_prepared_whole(tmp_path: Path, data_root: Path):
    from seq2seq.data.files import FilePair, OptionalFilePair, ParallelFiles

    folder = data_root / "multi30k"
    pairs = {
        split: FilePair(f"{name}.de.gz", f"{name}.en.gz") for split, name in (("train", "train"), ("valid", "val"))
    }
    data = ParallelFiles(
        root=str(folder),
        source_language="de",
        target_language="en",
        test=OptionalFilePair(None, None),
        extra={},
        **pairs,
    )
    made = prepared(tmp_path, data, tokenizer=settings(vocab_size=4000), length=LengthSettings(256, 256, "drop"))
    assert made.report == ["train: 29,000 pairs", "valid: 1,014 pairs"]
    corpus = made.corpora["train"]
    read = data.read("train")
    decoded = made.tokenizer.target.decode([corpus.target(i) for i in range(1000)])
    assert decoded == [next(read).target for _ in range(1000)]


def test_a_sample_of_a_corpus_is_evenly_spaced_and_whole(tmp_path: Path) -> None:
    corpus = prepared(tmp_path).corpora["train"]
    few = corpus.sample(5)
    assert len(few) == 5
    rows = np.linspace(0, len(corpus) - 1, 5).astype(int).tolist()
    assert [few.source(i) for i in range(5)] == [corpus.source(row) for row in rows]
    assert [few.target(i) for i in range(5)] == [corpus.target(row) for row in rows]
    assert few.pairs[:] == [corpus.pairs[row] for row in rows]
    assert few.fingerprint != corpus.fingerprint
    assert corpus.sample(len(corpus)) is corpus
