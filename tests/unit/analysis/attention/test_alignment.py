"""Alignments read from weights: pieces to words, words to links."""

import numpy as np
import pytest

from seq2seq.analysis.attention.alignment import align, chosen_map, described, pharaoh, word_weights
from seq2seq.analysis.attention.alignment_words import Segmented
from seq2seq.config.schema import AlignmentSettings


def settings(**given: object) -> AlignmentSettings:
    return AlignmentSettings(**{"method": "argmax", "layer": None, "head": None, "shift": False, **given})


SOURCE = Segmented("", [5, 6, 7], ["das", "Haus"], [[0], [1, 2]])
TARGET = Segmented("", [8, 9, 10], ["the", "house"], [[0], [1, 2]])
# Rows: the steps that write the, hou, se, </s>; columns: das, Ha, us, </s>.
WEIGHTS = np.array([[0.6, 0.1, 0.1, 0.2], [0.5, 0.2, 0.3, 0.0], [0.1, 0.3, 0.4, 0.2], [0.0, 0.1, 0.1, 0.8]])


def test_weights_are_summed_over_source_pieces_and_averaged_over_target_pieces() -> None:
    found = word_weights(WEIGHTS, SOURCE, TARGET, shift=False)
    assert np.allclose(found, [[0.6, 0.2, 0.2], [0.3, 0.6, 0.1]])


def test_shift_takes_the_step_that_reads_a_piece() -> None:
    found = word_weights(WEIGHTS, SOURCE, TARGET, shift=True)
    assert np.allclose(found, [[0.5, 0.5, 0.0], [0.05, 0.45, 0.5]])


def test_a_word_without_pieces_has_no_weights() -> None:
    cut = Segmented("", [8], ["the", "house"], [[0], []])
    assert np.allclose(word_weights(WEIGHTS[:2], SOURCE, cut, shift=False), [[0.6, 0.2, 0.2], [0.0, 0.0, 0.0]])


def test_no_words_have_no_weights() -> None:
    nothing = Segmented("", [], [], [])
    assert word_weights(WEIGHTS[:1], SOURCE, nothing, shift=False).shape == (0, 3)
    assert align(np.zeros((0, 3)), "argmax") == []
    assert align(np.ones((2, 1)), "argmax") == []


@pytest.mark.parametrize(
    ("weights", "argmax", "intersect"),
    [
        ([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], "0-0 1-1", "0-0 1-1"),
        ([[0.7, 0.3, 0.0], [0.6, 0.4, 0.0]], "0-0 0-1", "0-0"),
        ([[0.2, 0.3, 0.5], [0.0, 0.0, 1.0]], "1-0", "1-0"),  # the end symbol is not a word
        ([[0.0, 0.0, 1.0]], "", ""),
        ([[0.1, 0.9, 0.0], [0.9, 0.1, 0.0], [0.0, 0.2, 0.8]], "0-1 1-0 1-2", "0-1 1-0"),
    ],
)
def test_links_from_weights(weights: list[list[float]], argmax: str, intersect: str) -> None:
    assert pharaoh(align(np.array(weights), "argmax")) == argmax
    assert pharaoh(align(np.array(weights), "intersect")) == intersect


def test_links_are_sorted_as_numbers() -> None:
    assert pharaoh([(10, 0), (2, 11), (2, 3)]) == "2-3 2-11 10-0"


def test_map_is_the_mean_of_the_last_layer_or_the_chosen_one() -> None:
    layers = [np.full((2, 1, 1), 0.0), np.array([[[0.2]], [[0.4]]])]
    assert chosen_map(layers, settings()) == pytest.approx(0.3)
    assert chosen_map(layers, settings(layer=1)) == 0.0
    assert chosen_map(layers, settings(head=2)) == 0.4
    assert chosen_map(layers, settings(layer=2, head=1)) == 0.2


@pytest.mark.parametrize(
    ("given", "heads", "expected"),
    [
        ({}, 1, "argmax over words, from the weights of the last layer, when each target piece is written"),
        ({"layer": 3}, 8, "argmax over words, from the weights of layer 3, mean of 8 heads, when each"),
        ({"head": 2, "shift": True}, 8, "the last layer, head 2, when each target piece is read (shift)"),
        ({"method": "intersect"}, 1, "intersect over words"),
    ],
)
def test_description_names_the_method(given: dict, heads: int, expected: str) -> None:
    assert expected in described(settings(**given), [heads])
