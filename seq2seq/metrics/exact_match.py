"""Exact match: Rajpurkar et al. (2016), arXiv:1606.05250, section 6.1."""

from collections.abc import Sequence

from seq2seq import __version__
from seq2seq.metrics.answers import AnswerForm, Punctuation
from seq2seq.metrics.base import References, count_references
from seq2seq.metrics.sentence_mean import SentenceMean


class ExactMatch(SentenceMean):
    """The percentage of outputs that equal one of their references, each in the form that `AnswerForm` gives it."""

    decimals = 2

    def __init__(
        self,
        *,
        lowercase: bool,
        remove_punctuation: Punctuation,
        remove_articles: list[str],
        join_spaces: bool,
    ) -> None:
        super().__init__("exact_match")
        self.form = AnswerForm(
            self.names[0],
            lowercase=lowercase,
            remove_punctuation=remove_punctuation,
            remove_articles=remove_articles,
            join_spaces=join_spaces,
        )

    def of_sentences(self, hypotheses: Sequence[str], references: References) -> list[float]:
        """100 where the output equals a reference, else 0."""
        return [
            100.0 * (self.form(text) in map(self.form, several))
            for text, several in zip(hypotheses, references, strict=True)
        ]

    def signature(self, references: References) -> str:
        """The form of answers, and the version of seq2seq."""
        return f"nrefs:{count_references(references)}|{self.form.signature()}|seq2seq:{__version__}"
