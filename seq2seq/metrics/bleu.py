"""BLEU: Papineni et al. (2002), section 2.3, as sacreBLEU computes it; over the pieces of a SentencePiece model it is
spBLEU, Goyal et al. (2022), arXiv:2106.03193."""

from collections.abc import Mapping
from difflib import get_close_matches
from importlib.util import find_spec
from typing import Any

from seq2seq.metrics.base import References
from seq2seq.metrics.pieces import MODEL, SHARED, Pieces, shared_model
from seq2seq.metrics.sacre import SacreMetric
from seq2seq.metrics.scripts import HAN, KANA, RARER, SOUTH_EAST_ASIAN, Ranges, share_of_letters

WORDS = ("13a", "intl", "char", "zh", "ja-mecab", "ko-mecab", "none")
UNSPACED: Mapping[str, Ranges] = {
    "Han (Chinese, Japanese)": HAN,
    "kana (Japanese)": KANA,
    "Thai, Lao, Khmer or Burmese": SOUTH_EAST_ASIAN,
    "Tibetan, Javanese or Balinese": RARER,
}
TAKES_APART: Mapping[str, tuple[Ranges, ...]] = {  # of these scripts; those not named here split any text
    **dict.fromkeys(("13a", "intl", "none", "ko-mecab"), ()),
    "zh": (HAN,),
    "ja-mecab": (HAN, KANA),
}
MUCH = 0.25  # of the letters: from here on a warning says that BLEU compares whole sentences instead of words
SOME = 0.05  # kana among as many letters make the text Japanese
LOOKED_AT = 2000  # references, to know the script


class Bleu(SacreMetric):
    """The geometric mean of 1- to 4-gram precisions times the brevity penalty, from 0 to 100.

    Hypotheses are plain text: sacreBLEU splits them into tokens, the same way for everybody. `tokenize` is one of its
    tokenizers, or the file of a SentencePiece model (FILE.model), whose pieces are then the tokens.
    """

    def __init__(self, *, tokenize: str, lowercase: bool) -> None:
        from sacrebleu.metrics import BLEU

        self.tokenize = tokenize
        if tokenize not in WORDS:
            pieces = Pieces(self._model(tokenize))
            metric = BLEU(tokenize="none", lowercase=lowercase)
            metric.tokenizer, metric.tokenizer_signature = pieces, SHARED.get(tokenize, pieces.signature())
        else:
            try:
                metric = BLEU(tokenize=tokenize, lowercase=lowercase)
            except RuntimeError as error:  # a tokenizer whose own package is not installed
                raise ValueError(f"metrics.bleu.tokenize: {tokenize}: {' '.join(str(error).split())}") from error
        super().__init__("bleu", metric)

    @staticmethod
    def _model(tokenize: str) -> str:
        """The file of the model whose pieces are counted."""
        if tokenize in SHARED:
            return shared_model(tokenize)
        if tokenize.endswith(MODEL):
            return tokenize
        known = ", ".join([*WORDS, *SHARED])
        close = get_close_matches(tokenize, [*WORDS, *SHARED], n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        raise ValueError(
            f"metrics.bleu.tokenize: expected {known} or a SentencePiece model (FILE.model), got {tokenize}{hint}"
        )

    def details(self, score: Any) -> dict[str, float]:
        """The n-gram precisions (0 to 100), the brevity penalty and the length ratio it follows from."""
        precisions = {f"precision{n}": float(value) for n, value in enumerate(score.precisions, start=1)}
        return {**precisions, "brevity_penalty": float(score.bp), "length_ratio": float(score.ratio)}

    def warnings(self, references: References) -> list[str]:
        """References in scripts without spaces between words that this tokenizer does not split: a sentence is one
        word."""
        taken = TAKES_APART.get(self.tokenize, tuple(UNSPACED.values()))
        texts = [text for several in references[:LOOKED_AT] for text in several]
        shares = dict(zip(UNSPACED, share_of_letters(texts, *UNSPACED.values()), strict=True))
        whole = {name: share for name, share in shares.items() if UNSPACED[name] not in taken}
        if sum(whole.values()) < MUCH:
            return []
        script = max(whole, key=whole.__getitem__)
        return [
            f"{sum(whole.values()):.0%} of the references' letters are of a script without spaces between words "
            f"({script}), and BLEU with tokenize={self.tokenize} takes everything between spaces as one word: type "
            f"metrics.bleu.tokenize={_suited(shares)}"
        ]


def _suited(shares: Mapping[str, float]) -> str:
    """The tokenizer to type for a text with these shares of scripts."""
    han, kana, *others = (shares[name] for name in UNSPACED)
    if sum(others) > han + kana:
        return "char"
    if kana < SOME:
        return "zh"
    installed = find_spec("MeCab") is not None
    return "ja-mecab" if installed else 'char (or, after pip install "sacrebleu[ja]", ja-mecab)'
