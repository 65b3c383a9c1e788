"""BLEU: Papineni et al. (2002), section 2.3, as sacreBLEU computes it."""

from typing import Any, Literal

from seq2seq.metrics.sacre import SacreMetric


class Bleu(SacreMetric):
    """The geometric mean of 1- to 4-gram precisions times the brevity penalty, from 0 to 100.

    Hypotheses are plain text: sacreBLEU splits them into tokens, the same way for everybody.
    """

    def __init__(
        self, *, tokenize: Literal["13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "none"], lowercase: bool
    ) -> None:
        from sacrebleu.metrics import BLEU

        try:
            metric = BLEU(tokenize=tokenize, lowercase=lowercase)
        except RuntimeError as error:  # a tokenizer whose own package is not installed
            raise ValueError(f"metrics.bleu.tokenize: {tokenize}: {' '.join(str(error).split())}") from error
        super().__init__("bleu", metric)

    def details(self, score: Any) -> dict[str, float]:
        """The n-gram precisions (0 to 100), the brevity penalty and the length ratio it follows from."""
        precisions = {f"precision{n}": float(value) for n, value in enumerate(score.precisions, start=1)}
        return {**precisions, "brevity_penalty": float(score.bp), "length_ratio": float(score.ratio)}
