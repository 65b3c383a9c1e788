"""chrF and chrF++: Popović (2015, 2017), as sacreBLEU computes them."""

from typing import ClassVar

from seq2seq.metrics.sacre import SacreMetric


class Chrf(SacreMetric):
    """The F-score of character n-grams, from 0 to 100; with `word_order: 2` chrF++. It needs no tokens."""

    name: ClassVar[str] = "chrf"

    def __init__(self, *, char_order: int, word_order: int, beta: int, lowercase: bool) -> None:
        from sacrebleu.metrics import CHRF

        metric = CHRF(char_order=char_order, word_order=word_order, beta=beta, lowercase=lowercase)
        super().__init__(self.name, metric)


class ChrfPlusPlus(Chrf):
    """The same under the name chrf++: n-grams of words count too, usually 1- and 2-grams (`word_order: 2`)."""

    name = "chrf++"

    def __init__(self, *, char_order: int, word_order: int, beta: int, lowercase: bool) -> None:
        if word_order < 1:
            raise ValueError(f"metrics.chrfpp.word_order: expected 1 or more (0 is chrF), got {word_order}")
        super().__init__(char_order=char_order, word_order=word_order, beta=beta, lowercase=lowercase)
