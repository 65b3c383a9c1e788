"""The page contains all its data unchanged, and loads nothing else."""

import base64
import json
import re
from typing import Any

import numpy as np
import pytest
import torch
from sample_text import sentences
from sample_text import settings as tokenizer_settings

from seq2seq.analysis.attention.alignment_error import Gold
from seq2seq.analysis.attention.alignment_words import segment
from seq2seq.analysis.attention.page import packed, page
from seq2seq.analysis.attention.views import Seen, View
from seq2seq.config.schema import AlignmentSettings
from seq2seq.inference.forced_attention import Forced
from seq2seq.tokenizer import Tokenizer

TOKENIZER: Tokenizer = tokenizer_settings().train(sentences(200), sentences(200, seed=1))
SETTINGS = AlignmentSettings("argmax", layer=None, head=None, shift=False)
HOSTILE = "</script><script>alert(1)</script> <!-- @DATA@ ka\u2028lo"


def seen(*texts: str, pooled: bool = False) -> Seen:
    views = []
    for both in segment(TOKENIZER.source, texts, 1000):
        columns, rows = 2 if pooled else len(both.ids) + 1, len(both.ids) + 1
        layers = tuple(torch.full((2, rows, columns), 1 / columns) for _ in range(3))
        views.append(View(both, both, [(0, 0)], Forced(layers, pooled, 2) if both.ids else None))
    return Seen(views, [2, 2, 2], [[1.0, 1.0]] * 3, 10, pooled)


def html(found: Seen, *, shown: int = 100, gold: list[Gold] | None = None, **settings: Any) -> str:
    chosen = AlignmentSettings(**{**vars(SETTINGS), **settings})
    return page(found, shown, TOKENIZER, chosen, gold, title="Attention of <me>", facts="some & more")


def data_of(text: str) -> dict[str, Any]:
    match = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, flags=re.DOTALL)
    assert match is not None
    return json.loads(match[1])


def test_words_and_pieces_are_in_the_page_unchanged() -> None:
    data = data_of(html(seen("kalo mi", "ter")))
    first = data["pairs"][0]["source"]
    assert first["text"] == "kalo mi"
    assert first["words"] == ["kalo", "mi", "</s>"]
    assert first["pieces"] == ["▁ka", "lo", "▁mi", "</s>"]
    assert first["of"] == [[0, 1], [2], [3]]
    assert data["pairs"][0]["links"] == [[0, 0]]
    assert "gold" not in data["pairs"][0]
    assert (data["facts"], data["heads"], len(data["pairs"])) == ("some & more", [2, 2, 2], 2)


@pytest.mark.parametrize(
    ("given", "layer", "head"), [({}, 3, 0), ({"layer": 1}, 1, 0), ({"layer": 2, "head": 1}, 2, 1)]
)
def test_page_opens_with_the_weights_of_the_alignments(given: dict[str, int], layer: int, head: int) -> None:
    data = data_of(html(seen("ka"), **given))
    assert (data["layer"], data["head"]) == (layer, head)


def test_text_is_escaped() -> None:
    text = html(seen(HOSTILE))
    assert data_of(text)["pairs"][0]["source"]["text"] == HOSTILE
    assert text.count("<script") == 2
    assert "<h1>Attention of &lt;me&gt;</h1>" in text


def test_page_loads_nothing_external() -> None:
    text = html(seen("ka lo"))
    assert "default-src 'none'" in text
    assert not re.search(r"https?:|src=|@import|url\(|<link|fetch\(", text.replace("default-src", ""))
    assert not re.search("@[A-Z]+@", text)


def test_weights_are_packed_in_sixteen_bits_and_zero_stays_zero() -> None:
    layers = [np.array([[[0.0, 0.25], [1.0, 0.5]]]), np.array([[[1e-9, 0.75], [0.1, 0.9]]])]
    numbers = np.frombuffer(base64.b64decode(packed(layers)), dtype="<u2") / 65535
    assert np.allclose(numbers, [0, 0.25, 1, 0.5, 0, 0.75, 0.1, 0.9], atol=1e-5)
    assert numbers[0] == numbers[4] == 0.0


def test_slots_of_a_pooled_memory_have_numbers_and_no_links() -> None:
    data = data_of(html(seen("kalo mi", pooled=True)))
    assert data["pooled"] is True
    assert data["pairs"][0]["source"] == {
        "text": "kalo mi",
        "pieces": ["1", "2"],
        "words": ["1", "2"],
        "of": [[0], [1]],
    }
    assert "links" not in data["pairs"][0]


def test_pairs_beyond_the_limit_and_without_weights() -> None:
    data = data_of(html(seen("ka", "", "lo"), shown=2))
    assert len(data["pairs"]) == 2
    assert data["pairs"][1] == {"source": {"text": ""}, "target": {"text": ""}}


def test_gold_links_are_in_the_page() -> None:
    gold = [Gold(frozenset({(1, 1)}), frozenset({(1, 1), (0, 1)}))]
    assert data_of(html(seen("ka lo"), gold=gold))["pairs"][0]["gold"] == [[0, 1], [1, 1]]
