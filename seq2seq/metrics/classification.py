"""Accuracy and macro F1 of labels written as text: the averaged F1 of Opitz and Burst (2019), arXiv:1911.03347."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from seq2seq import __version__
from seq2seq.errors import ConfigError
from seq2seq.metrics.base import Metric, References, check_fit, count_references

MOST = 1000  # labels; more are no classification


class Classification(Metric):
    """`accuracy`, the percentage of outputs that are the right label, and `macro_f1`, the mean F1 over the labels.

    An output is one label as a whole, without the white space around it. The labels are those of the references: an
    output that is none of them is wrong, and is no label of its own. Of several references the right label is the one
    that the output equals, or else the first.
    """

    names = ("accuracy", "macro_f1")
    decimals = 2

    def __init__(self, *, lowercase: bool) -> None:
        self.lowercase = lowercase

    def check(self, references: References) -> None:
        """Raise ConfigError for more than 1,000 labels."""
        if (found := len(self._labels(references))) > MOST:
            raise ConfigError(
                f"the references have {found:,} different texts, too many to be labels (at most {MOST:,}): for free "
                "text type metrics=text2text"
            )

    def statistics(self, hypotheses: Sequence[str], references: References) -> NDArray[np.float64]:
        """Three columns per label: whether it is right and output, whether it is output, whether it is right."""
        check_fit(hypotheses, references)
        self.check(references)
        number = {label: place for place, label in enumerate(self._labels(references))}
        rows = np.zeros((len(hypotheses), 3, len(number)))
        for row, text, several in zip(rows, hypotheses, references, strict=True):
            output, possible = self._label(text), [self._label(reference) for reference in several]
            right = output if output in possible else possible[0]
            row[0, number[right]] = output == right
            row[2, number[right]] = 1
            if output in number:
                row[1, number[output]] = 1
        return rows.reshape(len(rows), -1)

    def figures(self, total: NDArray[np.float64], sentences: int) -> dict[str, dict[str, float]]:
        """Both scores; the F1 is averaged over the labels that are right for at least one of the sentences."""
        hits, output, right = total.reshape(3, -1)
        there = right > 0
        f1 = 2 * hits[there] / (output + right)[there]
        return {
            "accuracy": {"score": float(100 * hits.sum() / sentences)},
            "macro_f1": {"score": float(100 * f1.mean())},
        }

    def signature(self, references: References) -> str:
        """What counts in a label, the number of labels, and the version of seq2seq."""
        case, labels = "lc" if self.lowercase else "mixed", len(self._labels(references))
        return f"nrefs:{count_references(references)}|case:{case}|labels:{labels}|seq2seq:{__version__}"

    def _labels(self, references: References) -> list[str]:
        return sorted({self._label(text) for several in references for text in several})

    def _label(self, text: str) -> str:
        return text.strip().lower() if self.lowercase else text.strip()
