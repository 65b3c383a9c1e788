"""ROUGE: scores worked out by hand, equality with rouge-score's own calls, references, scripts and sentences."""

from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from rouge_score.rouge_scorer import RougeScorer

from seq2seq.metrics.rouge import Rouge
from seq2seq.metrics.words import UnicodeWords, sentence_a_line

NAMES = ["rouge1", "rouge2", "rougeL", "rougeLsum"]


def rouge(**changes: Any) -> Rouge:
    settings = {
        "types": NAMES,
        "tokenizer": "english",
        "stemmer": False,
        "references": "max",
        "sentences": "newline",
    }
    return Rouge(**settings | changes)


BY_HAND = [
    # hypothesis, reference, F1 of rouge1, rouge2, rougeL
    ("the cat sat", "the cat sat", (100, 100, 100)),
    ("the cat sat", "the cat sat down", (100 * 6 / 7, 80, 100 * 6 / 7)),
    ("sat cat the", "the cat sat", (100, 0, 100 / 3)),
    ("the the the", "the cat sat", (100 / 3, 0, 100 / 3)),  # a word counts as often as the reference has it
    ("police killed the gunman", "the gunman police killed", (100, 200 / 3, 50)),
    ("THE CAT", "the cat.", (100, 100, 100)),
    ("", "the cat", (0, 0, 0)),
    ("dog", "cat", (0, 0, 0)),
]


@pytest.mark.parametrize(("hypothesis", "reference", "expected"), BY_HAND)
def test_by_hand(hypothesis: str, reference: str, expected: tuple[float, ...]) -> None:
    scores = rouge().score([hypothesis], [(reference,)])
    assert [scores[name].value for name in NAMES[:3]] == pytest.approx(expected)


@pytest.mark.parametrize("stemmer", [True, False])
def test_equal_to_rouge_score_itself(stemmer: bool) -> None:
    hypotheses = ["Running dogs jumped.\nThey were tired", "a cat", "nothing here"]
    references = [("The dog was running and jumping.\nIt is tired.",), ("the cats",), ("something else\nhere",)]
    scorer = RougeScorer(NAMES, use_stemmer=stemmer)
    rows = [scorer.score(several[0], text) for text, several in zip(hypotheses, references, strict=True)]
    found = rouge(stemmer=stemmer).score(hypotheses, references)
    assert list(found) == NAMES
    for name in NAMES:
        expected = [
            100 * sum(getattr(row[name], part) for row in rows) / 3 for part in ("precision", "recall", "fmeasure")
        ]
        details = found[name].details
        assert [details["precision"], details["recall"], found[name].value] == pytest.approx(expected)
        assert list(details) == ["precision", "recall"]


def test_best_and_mean_reference() -> None:
    hypotheses, references = ["a b", "c"], [("a b", "a x", "y z"), ("c",)]
    best = rouge(types=["rouge1"]).score(hypotheses, references)["rouge1"]
    mean = rouge(types=["rouge1"], references="mean").score(hypotheses, references)["rouge1"]
    assert best.value == pytest.approx(100)
    assert mean.value == pytest.approx((50 + 100) / 2)  # (100 + 50 + 0) / 3, and 100
    for score in (best, mean):
        assert (score.details["max"], score.details["mean"]) == pytest.approx((100, 75))
    assert mean.details["precision"] == pytest.approx(75)


def test_the_best_reference_is_chosen_by_f1_for_each_name() -> None:
    hypothesis, several = "a b c d", ("a b c", "d c b a", "a")
    scorer = RougeScorer(NAMES)
    expected = scorer.score_multi(list(several), hypothesis)
    found = rouge().score([hypothesis], [several])
    for name in NAMES:
        assert found[name].value == pytest.approx(100 * expected[name].fmeasure)
        assert found[name].details["recall"] == pytest.approx(100 * expected[name].recall)


@pytest.mark.parametrize("references", ["max", "mean"])
def test_statistics_add_up_to_the_score(references: str) -> None:
    metric = rouge(references=references)
    hypotheses, texts = ["a b c", "d e", "x"], [("a b", "b c"), ("d",), ("x", "y", "z")]
    rows = metric.statistics(hypotheses, texts)
    assert rows.shape == (3, 4)
    expected = {name: score.value for name, score in metric.score(hypotheses, texts).items()}
    assert metric.values(rows.sum(axis=0), 3) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The cat's 2 mats.", ["the", "cat", "s", "2", "mats"]),
        ("天气很好", ["天", "气", "很", "好"]),
        ("iPhone手机", ["iphone", "手", "机"]),
        ("ひらカタ", ["ひ", "ら", "カ", "タ"]),
        ("날씨가 좋다", ["날씨가", "좋다"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("Straße déjà", ["straße", "déjà"]),
        ("Погода — хорошая!", ["погода", "хорошая"]),
        ("ＡＢＣ１", ["abc1"]),
        ("…!?", []),
    ],
)
def test_words_of_every_script(text: str, words: list[str]) -> None:
    assert UnicodeWords().tokenize(text) == words


def test_chinese_counts_only_with_the_unicode_tokenizer() -> None:
    hypotheses, references = ["今天天气很好"], [("今天天气很好",)]
    assert rouge().score(hypotheses, references)["rouge1"].value == 0
    found = rouge(tokenizer="unicode").score(hypotheses, references)
    assert [found[name].value for name in NAMES] == pytest.approx([100] * 4)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("One two. Three!  Four", ["One two.", "Three!", "Four"]),
        ("It costs 3.5 euros.", ["It costs 3.5 euros."]),
        ("好。很好！", ["好。", "很好！", ""]),
        ("kept\nas it is", ["kept", "as it is"]),
    ],
)
def test_a_sentence_a_line(text: str, lines: list[str]) -> None:
    assert sentence_a_line(text).split("\n") == lines


def test_sentences_may_stand_in_any_order_for_rougelsum_alone() -> None:
    hypotheses, references = ["It ran. A dog sat."], [("A dog sat. It ran.",)]
    by_line, cut = (rouge(sentences=choice).score(hypotheses, references) for choice in ("newline", "punctuation"))
    assert by_line["rougeLsum"].value == pytest.approx(60)
    assert cut["rougeLsum"].value == pytest.approx(100)
    assert all(by_line[name].value == cut[name].value for name in NAMES[:3])


def test_signature() -> None:
    package = f"rouge-score:{version('rouge-score')}"
    assert rouge().signature([("a",), ("b",)]) == f"nrefs:1|refs:max|tok:english|stem:no|sents:newline|{package}"
    metric = rouge(stemmer=True, references="mean", sentences="punctuation")
    expected = f"nrefs:var|refs:mean|tok:english|stem:yes|sents:punctuation|{package}"
    assert metric.signature([("a", "b"), ("b",)]) == expected
    assert metric.score(["a", "b"], [("a", "b"), ("b",)])["rougeL"].signature == expected
    assert metric.higher_is_better("rougeL")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"types": ["rouge1", "rougeX"]}, "rougeL or rougeLsum, got rougeX"),
        ({"types": ["rouge0"]}, "rougeL or rougeLsum, got rouge0"),
        ({"types": []}, "expected at least one, and each once"),
        ({"types": ["rouge1", "rouge1"]}, "expected at least one, and each once"),
        ({"stemmer": True, "tokenizer": "unicode"}, "stemmer: it is for English"),
    ],
)
def test_impossible_arguments(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rouge(**changes)


@pytest.mark.parametrize(("hypotheses", "references"), [(["a"], []), ([], []), (["a"], [()])])
def test_what_does_not_fit_is_refused(hypotheses: list[str], references: list[tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match=r"cannot be scored|nothing to score|has no reference"):
        rouge().score(hypotheses, references)


def test_the_choice_gives_all_arguments(repository: Path) -> None:
    (arguments,) = yaml.safe_load((repository / "configs/metrics/summarization.yaml").read_text()).values()
    assert arguments.pop("_target_") == "seq2seq.metrics.rouge.Rouge"
    assert arguments.pop("_partial_") is True
    assert Rouge(**arguments).names == tuple(NAMES)
