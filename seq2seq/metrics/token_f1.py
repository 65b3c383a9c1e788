"""The F1 of answers' tokens: Rajpurkar et al. (2016), arXiv:1606.05250, section 6.1."""

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from seq2seq import __version__
from seq2seq.metrics.answers import AnswerForm, Punctuation
from seq2seq.metrics.base import References, count_references
from seq2seq.metrics.sentence_mean import SentenceMean
from seq2seq.metrics.words import UnicodeWords


class TokenF1(SentenceMean):
    """The mean, 0 to 100, of the F1 of the tokens of an output and of a reference, of several references the best one.

    Both are bags of tokens, in the form that `AnswerForm` gives them. Two texts without tokens are equal (100), as in
    SQuAD 2.0. The tokenizer `spaces` splits at white space; `unicode` is that of ROUGE, in which each character of a
    script without spaces is a token.
    """

    decimals = 2

    def __init__(
        self,
        *,
        tokenizer: Literal["spaces", "unicode"],
        lowercase: bool,
        remove_punctuation: Punctuation,
        remove_articles: list[str],
    ) -> None:
        if tokenizer == "unicode" and not lowercase:
            raise ValueError("metrics.token_f1.tokenizer: unicode ignores case: it needs lowercase: true")
        super().__init__("token_f1")
        self.tokenizer = tokenizer
        self.form = AnswerForm(
            self.names[0],
            lowercase=lowercase,
            remove_punctuation=remove_punctuation,
            remove_articles=remove_articles,
        )
        self._split = str.split if tokenizer == "spaces" else UnicodeWords().tokenize

    def of_sentences(self, hypotheses: Sequence[str], references: References) -> list[float]:
        """The F1 of each output, in percent."""
        return [
            max(100.0 * _f1(self._tokens(text), self._tokens(reference)) for reference in several)
            for text, several in zip(hypotheses, references, strict=True)
        ]

    def signature(self, references: References) -> str:
        """The form of answers, the tokenizer, and the version of seq2seq."""
        count = count_references(references)
        return f"nrefs:{count}|{self.form.signature()}|tok:{self.tokenizer}|seq2seq:{__version__}"

    def _tokens(self, text: str) -> Counter[str]:
        return Counter(self._split(self.form(text)))


def _f1(one: Counter[str], other: Counter[str]) -> float:
    """The harmonic mean of precision and recall: common tokens over the mean length."""
    both = one.total() + other.total()
    return 2 * (one & other).total() / both if both else 1.0
