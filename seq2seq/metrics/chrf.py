"""chrF and chrF++: Popović (2015, 2017), as sacreBLEU computes them."""

from seq2seq.metrics.sacre import SacreMetric


class Chrf(SacreMetric):
    """The F-score of character n-grams, from 0 to 100; with `word_order: 2` chrF++. It needs no tokens."""

    def __init__(self, *, char_order: int, word_order: int, beta: int, lowercase: bool) -> None:
        from sacrebleu.metrics import CHRF

        super().__init__("chrf", CHRF(char_order=char_order, word_order=word_order, beta=beta, lowercase=lowercase))
