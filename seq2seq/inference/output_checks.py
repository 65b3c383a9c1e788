"""Warnings about outputs that affect their scores, one line each, and in training each once."""

from collections.abc import Mapping, Sequence

from seq2seq.config.problems import show
from seq2seq.metrics.base import References, without_text

NLL = "valid/nll"
STILL = 3  # validations with the same score before a warning


class OutputWatch:
    """Checks the validations of a session; called with the results of one, it returns new warnings."""

    def __init__(self) -> None:
        self._warned: set[str] = set()
        self._values: list[Mapping[str, float]] = []

    def __call__(self, texts: Sequence[str], references: References, values: Mapping[str, float]) -> list[str]:
        """`values` are the validation's scores by their tags, valid/nll among them."""
        self._values.append(dict(values))
        found = {"alike": alike(texts, references), "still": self._still()}
        new = {kind: line for kind, line in found.items() if line is not None and kind not in self._warned}
        self._warned |= new.keys()
        return list(new.values())

    def _still(self) -> str | None:
        """A warning if scores are unchanged since the first validation."""
        first, last = self._values[0], self._values[-1]
        tags = [tag for tag in first if tag != NLL and len({round(found[tag], 2) for found in self._values}) == 1]
        if len(self._values) < STILL or not tags:
            return None
        scores = ", ".join(f"{tag} {first[tag]:.2f}" for tag in tags)
        nll = f"; {NLL} went from {first[NLL]:.3f} to {last[NLL]:.3f}" if NLL in first else ""
        return f"unchanged over {len(self._values)} validations: {scores}{nll}"


def alike(texts: Sequence[str], references: References) -> str | None:
    """A line if all outputs are empty, or all the same although the references differ; else None."""
    if not any(text.strip() for text in texts):
        return f"all {len(texts):,} outputs are empty" if any(map(any, references)) else None
    if len(set(texts)) == 1 < len({tuple(several) for several in references}):
        return f"all {len(texts):,} outputs are the same: {show(texts[0])}"
    return None


def empty_references(references: References) -> str | None:
    """A line if references are empty, so that every hypothesis scores 0 against them; else None."""
    count = without_text(references)
    if not count:
        return None
    if count == len(references):
        return f"all {count:,} references are empty: scores against them mean nothing"
    return f"{count:,} of {len(references):,} references are empty: every hypothesis scores 0 against them"
