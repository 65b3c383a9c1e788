from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from sample_text import sentences, settings

from seq2seq.config.schema import LengthSettings
from seq2seq.data.encoded import EncodedCorpus, Truncated
from seq2seq.data.prepare import Prepared, prepare, prepare_split
from seq2seq.data.text import TextData
from seq2seq.errors import DataError
from seq2seq.tokenizer import SentencePiece, Tokenizer
from seq2seq.types import Pair

SOURCES, TARGETS = sentences(300), sentences(300, seed=1)
TRAIN = [Pair(source, target) for source, target in zip(SOURCES, TARGETS, strict=True)]
VALID = [Pair("kalo", "mi ter"), Pair("", "be"), Pair("lo\nmi", "", ("r1", "r2")), Pair("ka " * 90, "lo " * 95)]
LENGTH = LengthSettings(max_source=64, max_target=64, overlong="drop")


class Given(TextData):
    """Pairs in memory; counts how often they are read."""

    def __init__(self, **splits: list[Pair]) -> None:
        self.given = splits
        self.read_splits: list[str] = []

    def splits(self) -> tuple[str, ...]:
        return tuple(self.given)

    def read(self, split: str) -> Iterator[Pair]:
        self.read_splits.append(split)
        return iter(self.given[split])

    def fingerprint(self, split: str) -> str:
        return str(self.given[split])


def prepared(cache: Path, data: Given | None = None, **given) -> Prepared:
    options = {"tokenizer": settings(), "length": LENGTH, "seed": 1} | given
    return prepare(data=data or Given(train=TRAIN, valid=VALID), cache=cache, **options)


def texts(corpus: EncodedCorpus, tokenizer: Tokenizer) -> list[tuple[str, str]]:
    numbers = range(len(corpus))
    sources = tokenizer.source.decode([corpus.source(i) for i in numbers])
    return list(zip(sources, tokenizer.target.decode([corpus.target(i) for i in numbers]), strict=True))


@pytest.mark.parametrize("joint", [True, False])
@pytest.mark.parametrize("kind", ["unigram", "bpe", "char"])
def test_ids_decode_to_the_text_beside_them(tmp_path: Path, kind: str, joint: bool):
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


EMPTY = [Pair("", "a"), Pair("a", ""), Pair(" \t", "a"), Pair("a", "\u2028")]
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


def test_the_shares_truncated_are_of_the_pairs_that_stay(tmp_path: Path):
    length = LengthSettings(64, 60, "truncate")
    long = [Pair("ka " * 90, "lo")] * 3 + [Pair("lo", "ka " * 62)] + [Pair("ka " * 30, "lo")] * 4 + EMPTY[:2]
    made = prepared(tmp_path, Given(train=TRAIN[:12] + long, valid=VALID[:1]), length=length)
    assert made.corpora["train"].truncated == Truncated(source=3 / 20, target=1 / 20)
    assert made.corpora["valid"].truncated == Truncated(source=0.0, target=0.0)
    again = prepared(tmp_path, Given(train=TRAIN[:12] + long, valid=VALID[:1]), length=length)
    assert again.corpora["train"].truncated == made.corpora["train"].truncated


def test_a_share_that_would_read_as_none_is_said_otherwise(tmp_path: Path):
    given = Given(train=TRAIN[:1] * 2000 + LONG[:1], valid=VALID[:1])
    made = prepared(
        tmp_path, given, length=LengthSettings(64, 60, "truncate"), trained=settings().train(SOURCES, TARGETS)
    )
    assert made.report[0] == "train: 2,001 pairs, under 0.1% of sources truncated to 64 tokens"


PREFIX = "kalo:\n "


@pytest.mark.parametrize("sampling", [0.0, 0.3])
def test_a_source_prefix_is_read_by_the_model_and_by_nobody_else(tmp_path: Path, sampling: float):
    data = Given(train=TRAIN, valid=VALID)
    data.source_prefix = PREFIX
    made = prepared(tmp_path, data, tokenizer=settings(sampling=sampling))
    assert list(made.corpora["train"].pairs) == TRAIN and made.corpora["valid"].pairs[:] == VALID
    assert texts(made.train(0), made.tokenizer) == [(PREFIX + pair.source, pair.target) for pair in TRAIN]
    # The second one says nothing, and stays so.
    assert made.tokenizer.source.decode([made.corpora["valid"].source(i) for i in (0, 1)]) == [PREFIX + "kalo", ""]


def test_another_source_prefix_is_another_entry_of_the_same_text(tmp_path: Path):
    found = []
    for prefix in ("", "kalo: ", "milo: ", "kalo: "):
        data = Given(train=TRAIN, valid=VALID)
        data.source_prefix = prefix
        found.append((prepared(tmp_path, data).corpora["train"].fingerprint, data.read_splits))
    assert found[1][0] == found[3][0] and len({fingerprint for fingerprint, _ in found}) == 3
    assert [read for _, read in found] == [["train", "valid"], [], [], []]


def test_sources_that_are_empty_but_for_the_prefix_are_dropped(tmp_path: Path):
    data = Given(train=TRAIN + EMPTY, valid=VALID)
    data.source_prefix = PREFIX
    assert prepared(tmp_path, data).report[0] == "train: 300 pairs, 4 empty dropped"


DOCUMENTS = [f"#1#: {a}\n#2#: {b}\n\n  {c}\n" for a, b, c in zip(SOURCES, TARGETS, SOURCES[1:], strict=False)]


@pytest.mark.parametrize("normalization", ["identity", "nmt_nfkc"])
@pytest.mark.parametrize(
    ("kind", "sampling"), [("unigram", 0.0), ("unigram", 0.2), ("bpe", 0.0), ("bpe", 0.2), ("char", 0.0)]
)
def test_the_line_breaks_of_a_document_come_back(tmp_path: Path, kind: str, sampling: float, normalization: str):
    pairs = [Pair(document, target) for document, target in zip(DOCUMENTS, TARGETS, strict=False)]
    tokenizer = settings(model_type=kind, sampling=sampling, normalization=normalization)
    length = LengthSettings(512, 512, "drop")
    made = prepared(tmp_path, Given(train=pairs, valid=pairs[:9]), tokenizer=tokenizer, length=length)
    for corpus in (made.train(0), made.train(1), made.corpora["valid"]):
        read = made.tokenizer.source.decode([corpus.source(i) for i in range(len(corpus))])
        assert [text.count("\n") for text in read] == [4] * len(corpus)
        if normalization == "identity":
            assert read == DOCUMENTS[: len(corpus)]


def test_a_train_without_a_usable_pair_stops(tmp_path: Path):
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


def test_a_large_vocabulary_takes_wider_ids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    small = prepared(tmp_path / "small").corpora["train"]
    monkeypatch.setattr("seq2seq.data.encoded.NARROW", 300)
    large = prepared(tmp_path / "large").corpora["train"]
    assert large.source_ids.dtype == np.int32 and (large.source_ids == small.source_ids).all()


def test_what_was_prepared_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
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
def test_whatever_changes_the_ids_is_another_entry(tmp_path: Path, change: dict):
    before = prepared(tmp_path).corpora["train"].fingerprint
    assert prepared(tmp_path, **change).corpora["train"].fingerprint != before
    assert prepared(tmp_path).corpora["train"].fingerprint == before


def test_a_damaged_cache_is_made_again(tmp_path: Path):
    before = np.array(prepared(tmp_path).corpora["train"].target_ids)
    for path in [path for path in tmp_path.rglob("*") if path.is_file() and path.name != "manifest.json"]:
        content = bytearray(path.read_bytes())
        if content:
            content[len(content) // 2] ^= 1
            path.write_bytes(content)
    after = prepared(tmp_path)
    assert (after.corpora["train"].target_ids == before).all() and list(after.corpora["train"].pairs) == TRAIN


def test_evaluation_prepares_one_split_with_the_runs_tokenizer(tmp_path: Path):
    made = prepared(tmp_path / "cache")
    made.tokenizer.save(tmp_path / "run")
    data = Given(train=TRAIN, valid=VALID, other=VALID[:2])
    loaded = Tokenizer.load(tmp_path / "run")
    corpus = prepare_split(data=data, split="other", tokenizer=loaded, length=LENGTH, cache=tmp_path / "new")
    assert data.read_splits == ["other"] and corpus.report == "other: 2 pairs"
    assert corpus.source(0) == made.corpora["valid"].source(0)


def test_a_continued_run_keeps_its_tokenizer(tmp_path: Path):
    own = settings(vocab_size=330).train(SOURCES, TARGETS)
    made = prepared(tmp_path, trained=own)
    assert made.tokenizer is own and not (tmp_path / "tokenizer").exists()


def test_a_missing_split_stops_before_any_is_read(tmp_path: Path):
    data = Given(train=TRAIN, vaild=VALID)
    with pytest.raises(DataError, match="there is no split 'valid': did you mean 'vaild'"):
        prepared(tmp_path, data)
    assert data.read_splits == []


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


def test_a_draw_over_the_bounds_gives_way_to_the_usual_segmentation(tmp_path: Path):
    usual = prepared(tmp_path).corpora["train"]
    longest = int(usual.source_lengths.max())
    length = LengthSettings(longest, 64, "drop")
    made = prepared(tmp_path, tokenizer=settings(sampling=0.9), length=length)
    drawn, fixed = made.train(0), made.corpora["train"]
    assert drawn.source_lengths.max() <= longest < made.resampler.encode(0).target_lengths.max()
    kept = [i for i in range(len(drawn)) if drawn.source(i) == fixed.source(i)]
    assert kept and drawn.source_lengths.sum() > fixed.source_lengths.sum()
    assert texts(drawn, made.tokenizer) == [(pair.source, pair.target) for pair in TRAIN]


def test_a_pairs_draw_is_a_function_of_its_chunk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seq2seq.data.resampled.CHUNK", 100)
    sampled = settings(sampling=0.3)
    whole = prepared(tmp_path, tokenizer=sampled).train(0)
    part = prepared(
        tmp_path, Given(train=TRAIN[:200], valid=VALID), tokenizer=sampled, trained=settings().train(SOURCES, TARGETS)
    )
    drawn = part.train(0)
    assert [drawn.source(i) for i in range(200)] == [whole.source(i) for i in range(200)]


def test_neither_chunks_nor_sides_draw_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("seq2seq.data.resampled.CHUNK", 150)
    same = [Pair(text, text) for text in SOURCES[:150]] * 2
    drawn = prepared(tmp_path, Given(train=same, valid=VALID), tokenizer=settings(sampling=0.3)).train(0)
    sources, targets = ([side(i) for i in range(300)] for side in (drawn.source, drawn.target))
    assert sources[:150] != sources[150:] and sources != targets


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
