"""A text before every target."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sample_text import settings
from unit.data.examples import EMPTY, LENGTH, TRAIN, VALID, Given, prepared, texts

from seq2seq.data.segmenting import _begun

PREFIX = "kalo: "


def given(prefix: str, **splits: list) -> Given:
    data = Given(**{"train": TRAIN, "valid": VALID, **splits})
    data.target_prefix = prefix
    return data


@pytest.mark.parametrize("sampling", [0.0, 0.3])
@pytest.mark.parametrize("joint", [True, False])
def test_target_prefix_is_only_in_the_ids(tmp_path: Path, sampling: float, joint: bool) -> None:
    made = prepared(tmp_path, given(PREFIX), tokenizer=settings(sampling=sampling, joint=joint))
    train, valid = made.corpora["train"], made.corpora["valid"]
    assert list(train.pairs) == TRAIN and valid.pairs[:] == VALID
    assert texts(made.train(1), made.tokenizer) == [(pair.source, PREFIX + pair.target) for pair in TRAIN]
    (start,) = made.tokenizer.target.encode([PREFIX.rstrip()])
    assert train.target_start == valid.target_start == made.train(1).target_start == tuple(start)
    assert all(corpus.target(i)[: len(start)] == start for corpus in (made.train(1), train) for i in range(len(TRAIN)))
    # The third target is empty, and begins so too.
    assert [valid.target(i)[len(start) :] for i in range(3)] == made.tokenizer.target.encode(["mi ter", "be", ""])


def test_a_prefix_does_not_change_how_the_target_is_segmented(tmp_path: Path) -> None:
    made, plain = prepared(tmp_path, given(PREFIX)), prepared(tmp_path)
    again = prepared(tmp_path, given(PREFIX), trained=plain.tokenizer)
    before = len(again.corpora["train"].target_start)
    ids = [[made.corpora["train"].target(i)[b:] for i in range(9)] for made, b in ((again, before), (plain, 0))]
    assert ids[0] == ids[1] and before > 0
    assert made.tokenizer.fingerprint != plain.tokenizer.fingerprint, "the tokenizer is trained on the prefix, too"


def test_another_target_prefix_is_another_entry_of_the_same_text(tmp_path: Path) -> None:
    found = []
    for source, target in [("", ""), ("", "kalo: "), ("kalo: ", ""), ("", "milo: "), ("", "kalo: ")]:
        data = given(target)
        data.source_prefix = source
        found.append((prepared(tmp_path, data).corpora["train"].fingerprint, data.read_splits))
    assert found[1][0] == found[4][0] and len({fingerprint for fingerprint, _ in found}) == 4
    assert [read for _, read in found] == [["train", "valid"], [], [], [], []]


def test_the_prefix_counts_toward_the_longest_target(tmp_path: Path) -> None:
    plain = prepared(tmp_path)
    longest = int(plain.corpora["train"].target_lengths.max())
    fits = replace(LENGTH, max_target=longest)
    assert len(prepared(tmp_path, trained=plain.tokenizer, length=fits).corpora["train"]) == len(TRAIN)
    assert len(prepared(tmp_path, given(PREFIX), trained=plain.tokenizer, length=fits).corpora["train"]) < len(TRAIN)
    cut = prepared(tmp_path, given(PREFIX), trained=plain.tokenizer, length=replace(fits, overlong="truncate"))
    assert cut.corpora["train"].target_lengths.max() == longest


def test_targets_with_only_the_prefix_are_dropped(tmp_path: Path) -> None:
    assert prepared(tmp_path, given(PREFIX, train=TRAIN + EMPTY)).report[0] == "train: 300 pairs, 4 empty dropped"


@pytest.mark.parametrize("start", [[], [7], [7, 8]])
def test_rows_begin_with_ids(start: list[int]) -> None:
    rows = [[1, 2], [], [3]]
    flat, lengths = np.array([i for row in rows for i in row]), np.array([len(row) for row in rows])
    ids, counts = _begun(flat, lengths, start)
    parts = [part.tolist() for part in np.split(ids, np.cumsum(counts)[:-1])]
    assert parts == [[*start, *row] for row in rows] and counts.tolist() == [len(part) for part in parts]
