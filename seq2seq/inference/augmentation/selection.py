"""Which outputs become pairs: the nearest to the target (Kim and Rush 2016, arXiv:1606.07947, section 3.3), filters."""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from seq2seq.config.schema import AugmentSettings
from seq2seq.inference.augmentation.outputs import Output, Translated
from seq2seq.types import Pair

TOO_LONG = "longer than length.max_source"
EMPTY = "empty"
COPY = "equal to their text"
RATIO = "beyond max_ratio"
SCORE = "below min_score"
DUPLICATE = "duplicates"
REASONS = (TOO_LONG, EMPTY, COPY, RATIO, SCORE, DUPLICATE)
KEPT_WITH = {  # what to type to keep them
    COPY: "drop_copies=false",
    RATIO: "max_ratio=null",
    SCORE: "min_score=null",
    DUPLICATE: "drop_duplicates=false",
}

Sides = tuple[str, str]  # source and target of a pair that is written


def one_line(text: str) -> str:
    """The text as a line of a file that reads back as this line: line breaks become spaces."""
    return " ".join(text.split("\n")).rstrip("\r")


class Selection:
    """The pairs that are kept of each text's outputs; `left_out` counts the other outputs by the reason.

    To recognise duplicates it remembers a hash of 8 bytes of each pair, about 100 bytes of memory.
    """

    def __init__(self, script: AugmentSettings) -> None:
        self.script = script
        self.left_out: Counter[str] = Counter(dict.fromkeys(REASONS, 0))
        self._seen: set[int] = set()
        self._similarity = similarity(script.metric) if script.keep == "nearest" else None

    def __call__(self, given: Pair, found: Translated) -> list[Sides]:
        """The pairs for one text, as they are written but without the tag."""
        if not found.outputs:
            self.left_out[TOO_LONG] += 1
        pairs = []
        for output in self._ranked(given, found.outputs):
            sides = one_line(given.source), one_line(output.text)
            if reason := self._reason(found.tokens, output, *sides):
                self.left_out[reason] += 1
                continue
            pair = sides if self.script.direction == "forward" else (sides[1], sides[0])
            if self.is_new(pair):
                pairs.append(pair)
            else:
                self.left_out[DUPLICATE] += 1
            if self.script.keep != "all":
                break  # also where the chosen pair is there already: a worse one would not replace it
        return pairs

    def is_new(self, pair: Sides) -> bool:
        """Whether the pair has not been here before; from now on it has. Always true without drop_duplicates."""
        if not self.script.drop_duplicates:
            return True
        key = int.from_bytes(hashlib.blake2b("\n".join(pair).encode(), digest_size=8).digest())
        known = key in self._seen
        self._seen.add(key)
        return not known

    def _ranked(self, given: Pair, outputs: Sequence[Output]) -> Sequence[Output]:
        if self._similarity is None:
            return outputs
        references = [*(given.references or (given.target,))]
        alike = self._similarity
        return sorted(outputs, key=lambda output: -alike(output.text, references))

    def _reason(self, tokens: int, output: Output, text: str, written: str) -> str | None:
        """Why an output is left out; None if it is not."""
        script, length = self.script, output.tokens - 1
        if not written.strip():
            return EMPTY
        if script.drop_copies and written.strip() == text.strip():
            return COPY
        if script.max_ratio is not None and max(tokens, length) > script.max_ratio * min(tokens, length):
            return RATIO
        if script.min_score is not None and output.log_prob < script.min_score * output.tokens:
            return SCORE
        return None


def similarity(metric: str) -> Callable[[str, list[str]], float]:
    """Sentence chrF, or sentence BLEU without the n-gram orders that a short sentence does not have."""
    from sacrebleu.metrics import BLEU, CHRF

    scorer: Any = CHRF() if metric == "chrf" else BLEU(effective_order=True)
    return lambda text, references: float(scorer.sentence_score(text, references).score)
