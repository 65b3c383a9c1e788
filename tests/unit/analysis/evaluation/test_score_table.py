"""The printed tables, at most 120 columns wide."""

from seq2seq.analysis.evaluation.score_table import LINES, score_table, statistics_table
from seq2seq.analysis.evaluation.systems import Scored
from seq2seq.metrics.base import Score
from seq2seq.metrics.significance import Comparison


def rouge(value: float, several: bool = True) -> Score:
    details = {"precision": value + 2, "recall": value - 2}
    both = {"max": value, "mean": value - 3} if several else {}
    return Score(value, "nrefs:3|tok:english", value - 1, value + 1, details | both)


def test_translation_has_one_line_per_score_and_signature() -> None:
    run = Scored({"bleu": Score(30.125, "tok:13a", 29.0, 31.0, {"precision1": 1.0}), "chrf": Score(60.0, "nc:6")})
    assert score_table(run, {}).split("\n") == [
        "bleu  30.12  [29.00, 31.00]",
        "chrf  60.00",
        "bleu: tok:13a",
        "chrf: nc:6",
    ]


def test_summaries_have_precision_recall_max_mean_and_baselines() -> None:
    lead = {name: Comparison(40.0, 28.5, 0.001, "s") for name in ("rouge1", "rougeL")}
    run = Scored({"rouge1": rouge(40), "rougeL": rouge(33)})
    other = Scored({"rouge1": rouge(28.5), "rougeL": rouge(9)}, lead)
    assert score_table(run, {"lead-3": other}).split("\n") == [
        "                     F1                  precision  recall    max   mean          difference",
        "rouge1  this run  40.00  [39.00, 41.00]      42.00   38.00  40.00  37.00",
        "          lead-3  28.50  [27.50, 29.50]      30.50   26.50  28.50  25.50  +11.50, p = 0.0010",
        "rougeL  this run  33.00  [32.00, 34.00]      35.00   31.00  33.00  30.00",
        "          lead-3   9.00   [8.00, 10.00]      11.00    7.00   9.00   6.00  +11.50, p = 0.0010",
        "rouge1, rougeL: nrefs:3|tok:english",
    ]


def test_one_reference_has_no_max_and_no_mean() -> None:
    head, line, _ = score_table(Scored({"rouge1": rouge(40, several=False)}), {}).split("\n")
    assert head.split() == ["F1", "precision", "recall"]
    assert line.split() == ["rouge1", "40.00", "[39.00,", "41.00]", "42.00", "38.00"]


def test_one_line_per_statistic() -> None:
    figures = dict.fromkeys(LINES, 0.25)
    references: dict[str, float | None] = {**figures, "names_recall": None, "words": 12.0}
    statistics = {"output": figures, "references": references, "truncated": {"source": 0.5, "target": 0.001}}
    lines = statistics_table(statistics).split("\n")
    assert len(lines) == len(LINES) + 2
    assert lines[1].split("  ")[-1] == "of the different 1-grams are not in the source"
    assert [line.split()[2:4] for line in lines if "names recall" in line] == [["25.0%", "–"]]
    assert lines[-1] == "truncated: 50.0% of the sources, 0.1% of the targets"


def test_nothing_is_wider_than_120_columns() -> None:
    names = ["rouge1", "rouge2", "rougeL", "rougeLsum"]
    highest = {name: Comparison(100.0, 0.0, 0.001, "s") for name in names}
    other = Scored({name: rouge(100) for name in names}, highest)
    table = score_table(Scored({name: rouge(100) for name in names}), {"random-10": other})
    figures = dict.fromkeys(LINES, 1234.5)
    statistics = {"output": figures, "references": figures, "truncated": {"source": 1.0, "target": 1.0}}
    assert max(map(len, [*table.split("\n"), *statistics_table(statistics).split("\n")])) <= 120
