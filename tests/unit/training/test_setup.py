"""What a training advises for its texts."""

import pytest
from small_runs import settings

from seq2seq.training.setup import _for_summaries

OTHERS = ["length.overlong=truncate", "generator=pointer"]


@pytest.mark.parametrize(
    ("choice", "advised"),
    [
        ("translation", ["metrics=summarization", *OTHERS]),
        ("translation_chrfpp", ["metrics=summarization", *OTHERS]),
        ("summarization", OTHERS),
        ("text2text", []),  # short targets are answers
        ("classification", []),
    ],
)
def test_only_scores_of_translations_and_summaries_lead_to_advice_on_summaries(choice: str, advised: list[str]) -> None:
    assert _for_summaries(settings("one", f"metrics={choice}")) == advised
