"""The F1 of tokens: scores computed by hand, of several references the best, and bad input."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import seq2seq
from seq2seq.metrics.token_f1 import TokenF1

SQUAD: dict[str, Any] = {
    "tokenizer": "spaces",
    "lowercase": True,
    "remove_punctuation": "ascii",
    "remove_articles": ["a", "an", "the"],
}


def token_f1(**changed: Any) -> TokenF1:
    return TokenF1(**{**SQUAD, **changed})


# The comments give precision and recall.
@pytest.mark.parametrize(
    ("changed", "hypothesis", "references", "value"),
    [
        ({}, "Paris", ("Paris",), 100.0),
        ({}, "Paris, France", ("Paris",), 200 / 3),  # 1/2, 1
        ({}, "in the old town", ("old town of Bern",), 100 * 2 * (2 / 3) * (2 / 4) / (2 / 3 + 2 / 4)),
        ({}, "no no no", ("no",), 50.0),  # 1/3, 1: a bag, not a set
        ({}, "no no", ("no no yes yes",), 200 / 3),  # 1, 1/2
        ({}, "b a c", ("c b",), 100.0),  # neither order nor articles count
        ({}, "x", ("y", "x z", "x w v"), 200 / 3),  # the second of three is the best
        ({}, "x", ("y",), 0.0),
        ({}, "", ("x",), 0.0),
        ({}, "The", ("",), 100.0),  # no tokens on either side
        ({"lowercase": False}, "Paris x", ("paris x",), 50.0),
        ({"remove_articles": []}, "the dog", ("dog",), 200 / 3),
        ({}, "東京都", ("東京",), 0.0),  # one token each
        ({"tokenizer": "unicode"}, "東京都", ("東京",), 80.0),  # 2/3, 1
    ],
)
def test_by_hand(changed: dict[str, Any], hypothesis: str, references: tuple[str, ...], value: float) -> None:
    score = token_f1(**changed).score([hypothesis], [references])["token_f1"]
    assert score.value == pytest.approx(value)


def test_the_mean_over_sentences() -> None:
    score = token_f1().score(["x y", "z", "w"], [("x",), ("z",), ("v",)])["token_f1"]
    assert score.value == pytest.approx((200 / 3 + 100 + 0) / 3)


def test_signature() -> None:
    assert token_f1().signature([("a", "b"), ("c",)]) == (
        "nrefs:var|case:lc|punct:ascii-removed|articles:a+an+the-removed|space:single|tok:spaces"
        f"|seq2seq:{seq2seq.__version__}"
    )


def test_the_yaml_file_gives_all_arguments(repository: Path) -> None:
    arguments = yaml.safe_load((repository / "configs/metrics/text2text.yaml").read_text())["token_f1"]
    assert arguments.pop("_target_") == "seq2seq.metrics.token_f1.TokenF1"
    assert arguments.pop("_partial_") is True
    assert TokenF1(**arguments).signature([("a",)]) == token_f1().signature([("a",)])


def test_bad_input_is_refused() -> None:
    with pytest.raises(
        ValueError, match=r"^metrics.token_f1.tokenizer: unicode ignores case: it needs lowercase: true"
    ):
        token_f1(tokenizer="unicode", lowercase=False)
    with pytest.raises(ValueError, match=r"^metrics.token_f1.remove_articles: "):
        token_f1(remove_articles=["l'"])
    with pytest.raises(ValueError, match="sentence 2 has no reference"):
        token_f1().statistics(["a", "b"], [("a",), ()])
