"""ROUGE: scores computed by hand, equality with rouge-score, references, scripts and sentences."""

from fractions import Fraction
from importlib.metadata import version
from pathlib import Path
from random import Random
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
    # hypothesis, reference, then precision and recall of rouge1, rouge2, rougeL, rougeLsum
    ("the cat sat", "the cat sat", ["1 1", "1 1", "1 1", "1 1"]),
    ("the cat sat", "the cat sat down", ["1 3/4", "1 2/3", "1 3/4", "1 3/4"]),
    ("sat cat the", "the cat sat", ["1 1", "0 0", "1/3 1/3", "1/3 1/3"]),
    # a word counts at most as often as in the reference
    ("the the the", "the cat sat", ["1/3 1/3", "0 0", "1/3 1/3", "1/3 1/3"]),
    ("police killed the gunman", "the gunman police killed", ["1 1", "2/3 2/3", "1/2 1/2", "1/2 1/2"]),
    # rougeLsum compares a line of the reference with the union of all lines of the hypothesis
    ("a b\nc d", "c d\na b", ["1 1", "2/3 2/3", "1/2 1/2", "1 1"]),
    ("a x\ny b", "a b c", ["1/2 2/3", "0 0", "1/2 2/3", "1/2 2/3"]),
    ("THE CAT", "the cat.", ["1 1", "1 1", "1 1", "1 1"]),
    ("it's 5 p.m.", "its 5 PM", ["1/5 1/3", "0 0", "1/5 1/3", "1/5 1/3"]),
    ("", "the cat", ["0 0", "0 0", "0 0", "0 0"]),
    ("the cat", "", ["0 0", "0 0", "0 0", "0 0"]),
    ("dog", "cat", ["0 0", "0 0", "0 0", "0 0"]),
]


def f1(precision: Fraction, recall: Fraction) -> Fraction:
    return 2 * precision * recall / (precision + recall) if precision else Fraction(0)


@pytest.mark.parametrize(("hypothesis", "reference", "expected"), BY_HAND)
def test_by_hand(hypothesis: str, reference: str, expected: list[str]) -> None:
    scores = rouge().score([hypothesis], [(reference,)])
    theirs = RougeScorer(NAMES).score(reference, hypothesis)
    for name, figures in zip(NAMES, expected, strict=True):
        precision, recall = map(Fraction, figures.split())
        wanted = pytest.approx([float(100 * figure) for figure in (precision, recall, f1(precision, recall))])
        assert [scores[name].details["precision"], scores[name].details["recall"], scores[name].value] == wanted, name
        assert [100 * figure for figure in theirs[name]] == wanted, name


OTHER_SCRIPTS = [
    # 4 of 7 characters in order; of 3 and 6 pairs the first and the last agree
    ("我爱北京", "我爱上海和北京。", ["1 4/7", "2/3 1/3", "1 4/7", "1 4/7"]),
    ("他说:“GDP增长5%。”", "他说GDP增长了5%", ["1 6/7", "4/5 2/3", "1 6/7", "1 6/7"]),
    # 4 of 7 words in order; only the last pair is the same
    ("वह हिन्दी पढ़ता है।", "वह घर में हिन्दी भाषा पढ़ता है।", ["1 4/7", "1/3 1/6", "1 4/7", "1 4/7"]),
    # a different vowel sign makes a different word: hers and his
    ("उसकी किताब", "उसका किताब", ["1/2 1/2", "0 0", "1/2 1/2", "1/2 1/2"]),
    # sentences in another order: the danda ends one
    ("वर्षा हुई। वह गया।", "वह गया। वर्षा हुई।", ["1 1", "2/3 2/3", "1/2 1/2", "1 1"]),
    ("她来了。他走了。", "他走了。她来了。", ["1 1", "4/5 4/5", "1/2 1/2", "1 1"]),
]


@pytest.mark.parametrize(("hypothesis", "reference", "expected"), OTHER_SCRIPTS)
def test_chinese_and_hindi_by_hand(hypothesis: str, reference: str, expected: list[str]) -> None:
    scores = rouge(tokenizer="unicode", sentences="punctuation").score([hypothesis], [(reference,)])
    for name, figures in zip(NAMES, expected, strict=True):
        precision, recall = map(Fraction, figures.split())
        wanted = pytest.approx([float(100 * figure) for figure in (precision, recall, f1(precision, recall))])
        assert [scores[name].details["precision"], scores[name].details["recall"], scores[name].value] == wanted, name


@pytest.mark.parametrize(
    ("tokenizer", "references", "warned"),
    [
        ("english", ["今天天气很好", "很好"], True),
        ("english", ["आज मौसम अच्छा है"], True),
        ("english", ["Погода хорошая", "ok"], True),
        ("unicode", ["今天天气很好"], False),
        ("english", ["déjà vu à Genève"], False),  # most letters are a-z
        ("english", ["42, 17!", ""], False),  # no letters at all
        ("english", ["Fine weather", "今天"], False),
    ],
)
def test_a_tokenizer_that_drops_the_text_is_reported_once(
    caplog: pytest.LogCaptureFixture, tokenizer: str, references: list[str], warned: bool
) -> None:
    metric = rouge(tokenizer=tokenizer)
    for _ in range(2):
        metric.score(references, [(text,) for text in references])
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == warned
    assert all("set metrics.rouge.tokenizer=unicode metrics.rouge.stemmer=false" in line for line in warnings)


@pytest.mark.parametrize("stemmer", [True, False])
def test_equal_to_rouge_score(stemmer: bool) -> None:
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


def test_equal_to_rouge_score_on_many_texts() -> None:
    random = Random(5)
    words = ["Running", "ran", "the", "dogs", "dog's", "jump", "jumped", "quickly", "quick", "3.5", "é", "tires", "a"]

    def text() -> str:
        return "".join(
            random.choice(words) + random.choice([" ", " ", ". ", "\n"]) for _ in range(random.randrange(30))
        )

    for stemmer in (True, False):
        theirs = RougeScorer(NAMES, use_stemmer=stemmer)
        ours = rouge(stemmer=stemmer)
        for _ in range(40):
            hypothesis, several = text(), [text(), text()]
            expected = theirs.score_multi(several, hypothesis)
            found = ours.score([hypothesis], [several])
            assert {name: score.value for name, score in found.items()} == pytest.approx(
                {name: 100 * score.fmeasure for name, score in expected.items()}
            )


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
    assert rows.shape == (3, 4 * 6)  # of each name: precision, recall, F1 with the best reference, and on average
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
        ("हिन्दी भाषा।", ["हिन्दी", "भाषा"]),
        ("क्\u200dष", ["क्ष"]),  # a joiner only shapes the letters
        ("می\u200cخواهم", ["میخواهم"]),
        ("Don\u00adau one\u200btwo", ["donau", "one", "two"]),
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
        ("वह गया। वर्षा हुई", ["वह गया।", "वर्षा हुई"]),
        ("Ask Mr. Smith or Dr. No. Then go.", ["Ask Mr. Smith or Dr. No.", "Then go."]),
        ("kept\nas it is", ["kept", "as it is"]),
    ],
)
def test_one_sentence_per_line(text: str, lines: list[str]) -> None:
    assert sentence_a_line(text).split("\n") == lines


def test_only_rougelsum_ignores_the_order_of_sentences() -> None:
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
def test_wrong_arguments_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        rouge(**changes)


@pytest.mark.parametrize(("hypotheses", "references"), [(["a"], []), ([], []), (["a"], [()])])
def test_mismatched_or_empty_input_is_refused(hypotheses: list[str], references: list[tuple[str, ...]]) -> None:
    with pytest.raises(ValueError, match=r"cannot be scored|nothing to score|has no reference"):
        rouge().score(hypotheses, references)


def test_the_yaml_file_gives_all_arguments(repository: Path) -> None:
    (arguments,) = yaml.safe_load((repository / "configs/metrics/summarization.yaml").read_text()).values()
    assert arguments.pop("_target_") == "seq2seq.metrics.rouge.Rouge"
    assert arguments.pop("_partial_") is True
    assert Rouge(**arguments).names == tuple(NAMES)
