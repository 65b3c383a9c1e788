"""The output of evaluate.py: the scores of a run and of its baselines, and statistics of its texts, 120 columns
wide."""

from collections.abc import Mapping, Sequence

from seq2seq.analysis.evaluation.systems import Scored
from seq2seq.analysis.evaluation.text_statistics import LONGEST_NOVEL, REPEATED, Statistics
from seq2seq.metrics.base import Score

RUN = "this run"
DETAILS = ("precision", "recall", "max", "mean")  # that have a column, where a score has them
PERCENT, NUMBER = "{:.1%}", "{:.2f}"
LINES = {  # a statistic: how it is written, and what it is
    **{
        f"novel_{n}grams": (PERCENT, f"of the different {n}-grams are not in the source")
        for n in range(1, LONGEST_NOVEL + 1)
    },
    "copy_rate": (PERCENT, "of the words are in the source (extractive fragment coverage)"),
    "copy_density": (NUMBER, "words in the copied fragment around a word"),
    f"repeated_{REPEATED}grams": (PERCENT, f"of the {REPEATED}-grams occurred earlier in the same text"),
    "words": (NUMBER, "words per text"),
    "length_to_references": (NUMBER, "times as long as the references"),
    "length_to_source": (NUMBER, "times as long as the source"),
    "names_precision": (PERCENT, "of the names and numbers are in the source"),
    "names_recall": (PERCENT, "of the references' names and numbers that the source has are in the text"),
}


def score_table(run: Scored, others: Mapping[str, Scored]) -> str:
    """One line per score, and below it one per other system, with the run's difference from it; then the signatures."""
    details = [name for name in DETAILS if any(name in score.details for score in run.scores.values())]
    head = ["", *[""] * bool(others), "F1" if "precision" in details else "", "", *details]
    rows = [[*head, "difference"] if others else head] if details or others else []
    for name in run.scores:
        systems = {RUN: run, **others}
        for number, (system, scored) in enumerate(systems.items()):
            label = [name if number == 0 else "", *[system] * bool(others)]
            rows.append([*label, *_figures(scored.scores[name], details), *[_difference(scored, name)] * bool(others)])
    return "\n".join([*_aligned(rows), *_signatures(run.scores)])


def statistics_table(statistics: Mapping[str, Statistics]) -> str:
    """One line per statistic, for the run's texts and the references, and the shares that were cut."""
    output, references = statistics["output"], statistics["references"]
    rows = [["", RUN, "references", ""]]
    for name, (written, meaning) in LINES.items():
        cells = ["–" if found[name] is None else written.format(found[name]) for found in (output, references)]
        rows.append([name.replace("_", " ").replace("grams", "-grams"), *cells, meaning])
    lines = _aligned(rows, left=(3,))
    cut = ", ".join(f"{share:.1%} of the {side}s" for side, share in statistics["truncated"].items())
    return "\n".join([*lines, f"truncated: {cut}"])


def _figures(score: Score, details: Sequence[str]) -> list[str]:
    interval = "" if score.low is None else f"[{score.low:.2f}, {score.high:.2f}]"
    return [
        f"{score.value:.2f}",
        interval,
        *(f"{score.details[name]:.2f}" if name in score.details else "" for name in details),
    ]


def _difference(scored: Scored, name: str) -> str:
    found = scored.lead.get(name)
    return "" if found is None else f"{found.difference:+.2f}, p = {found.p_value:.4f}"


def _signatures(scores: Mapping[str, Score]) -> list[str]:
    """Each signature once, after the scores it belongs to."""
    by_signature: dict[str, list[str]] = {}
    for name, score in scores.items():
        by_signature.setdefault(score.signature, []).append(name)
    return [f"{', '.join(names)}: {signature}" for signature, names in by_signature.items()]


def _aligned(rows: Sequence[Sequence[str]], left: Sequence[int] = ()) -> list[str]:
    """Aligned columns, right-justified except those in `left`; empty columns are omitted."""
    columns = [[row[number] for row in rows] for number in range(len(rows[0]))] if rows else []
    padded = []
    for number, column in enumerate(columns):
        width = max(map(len, column))
        if width:
            padded.append([cell.ljust(width) if number in left else cell.rjust(width) for cell in column])
    return ["  ".join(cells).rstrip() for cells in zip(*padded, strict=True)]
