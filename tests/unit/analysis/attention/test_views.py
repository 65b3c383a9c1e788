"""Views of the forced attention weights of each sentence; missing layers and heads are refused."""

from typing import Any

import pytest
import torch

from seq2seq.analysis.attention.alignment_words import Segmented
from seq2seq.analysis.attention.views import Seen, look
from seq2seq.config.schema import AlignmentSettings
from seq2seq.errors import ConfigError
from seq2seq.inference.forced_attention import Forced

SOURCES = [Segmented("a b", [5, 6], ["a", "b"], [[0], [1]]), Segmented("", [], [], [])]
SOURCES += [Segmented("c", [7], ["c"], [[0]])]
TARGETS = [Segmented("B A", [8, 9], ["B", "A"], [[0], [1]])] * 3
CROSSED = torch.tensor([[[0.1, 0.9, 0.0], [0.8, 0.2, 0.0], [0.0, 0.0, 1.0]]])
ONE_WORD = torch.tensor([[[0.6, 0.4], [0.3, 0.7], [0.0, 1.0]]])


def seen(*, pooled: bool = False, kept: int = 3, **settings: Any) -> Seen:
    """Two layers of one head each, as `force` would give them; the middle sentence has no source."""
    found = [
        (2, Forced((ONE_WORD, ONE_WORD), pooled, ONE_WORD.shape[-1])),
        (0, Forced((CROSSED.flip(-1), CROSSED), pooled, CROSSED.shape[-1])),
    ]
    chosen = AlignmentSettings(**{"method": "argmax", "layer": None, "head": None, "shift": False, **settings})
    return look(found, SOURCES, TARGETS, chosen, kept=kept)


def test_each_pair_has_its_links_in_order() -> None:
    found = seen()
    assert [view.links for view in found.views] == [[(1, 0), (0, 1)], [], [(0, 0), (0, 1)]]
    assert [view.source.text for view in found.views] == ["a b", "", "c"]
    assert found.views[1].forced is None
    assert (found.heads, found.tokens, found.pooled) == ([1, 1], 6, False)
    assert len(found.entropy) == 2


def test_weights_are_kept_for_the_requested_number_of_pairs() -> None:
    found = seen(kept=1)
    assert [view.forced is None for view in found.views] == [False, True, True]
    assert found.views[2].links == [(0, 0), (0, 1)]


def test_links_come_from_the_chosen_layer() -> None:
    assert seen(layer=1).views[0].links == [(1, 0), (1, 1)]


def test_a_pooled_memory_has_no_links() -> None:
    found = seen(pooled=True)
    assert found.pooled
    assert [view.links for view in found.views] == [[], [], []]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"layer": 3}, "alignment.layer=3: layers with attention are numbered 1 to 2"),
        ({"layer": 0}, "alignment.layer=0: layers with attention are numbered 1 to 2"),
        ({"head": 2}, "alignment.head=2: heads of this layer are numbered 1 to 1"),
        ({"head": -1}, "alignment.head=-1: heads of this layer are numbered 1 to 1"),
    ],
)
def test_missing_layer_or_head(settings: dict[str, int], message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        seen(**settings)
