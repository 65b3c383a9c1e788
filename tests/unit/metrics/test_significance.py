"""Intervals and paired tests: the draws and p-values of sacreBLEU, and laws that hold for any such test."""

import random

import numpy as np
import pytest
import sacrebleu
from sacrebleu.significance import PairedTest

from seq2seq.metrics import Metric, bootstrap, compare
from seq2seq.metrics.bleu import Bleu
from seq2seq.metrics.chrf import Chrf
from seq2seq.metrics.classification import Classification
from seq2seq.metrics.exact_match import ExactMatch
from seq2seq.metrics.rouge import Rouge
from seq2seq.metrics.significance import add_intervals
from seq2seq.metrics.ter import Ter
from seq2seq.metrics.token_f1 import TokenF1

BLEU = Bleu(tokenize="13a", lowercase=False)
CHRF = Chrf(char_order=6, word_order=0, beta=2, lowercase=False)
TER = Ter(normalized=False, no_punct=False, asian_support=False, case_sensitive=False)
ROUGE = Rouge(types=["rouge1", "rougeL"], tokenizer="english", stemmer=False, references="max", sentences="newline")
SQUAD = {"lowercase": True, "remove_punctuation": "ascii", "remove_articles": ["a", "an", "the"]}
EXACT = ExactMatch(**SQUAD, join_spaces=True)
TOKEN_F1 = TokenF1(**SQUAD, tokenizer="spaces")
LABELS = Classification(lowercase=False)
THEIRS = {"bleu": sacrebleu.BLEU, "chrf": sacrebleu.CHRF, "ter": sacrebleu.TER}


def noisy(references: list[tuple[str, ...]], share: float, seed: int) -> list[str]:
    """The first references with this share of their words replaced."""
    rng = random.Random(seed)
    return [" ".join("dog" if rng.random() < share else word for word in several[0].split()) for several in references]


def corpus(sentences: int = 60) -> list[tuple[str, ...]]:
    rng = random.Random(0)
    words = [f"w{number}" for number in range(30)]
    return [(" ".join(rng.choices(words, k=rng.randint(4, 12))),) for _ in range(sentences)]


REFERENCES = corpus()
GOOD, FAIR, POOR = (noisy(REFERENCES, share, seed) for share, seed in [(0.1, 1), (0.13, 2), (0.5, 3)])


@pytest.mark.parametrize("metric", [BLEU, CHRF, TER])
def test_the_interval_is_as_wide_as_sacrebleus(metric: Metric) -> None:
    name = metric.names[0]
    theirs = THEIRS[name]().corpus_score(FAIR, [[several[0] for several in REFERENCES]], n_bootstrap=200)
    low, high = bootstrap(metric, FAIR, REFERENCES, samples=200, seed=12345)[name]
    assert (high - low) / 2 == pytest.approx(theirs._ci, rel=1e-5)
    assert low < theirs.score < high


@pytest.mark.parametrize("metric", [BLEU, CHRF, TER])
@pytest.mark.parametrize("system", [GOOD, POOR], ids=["close", "far"])
def test_the_p_value_is_sacrebleus(metric: Metric, system: list[str]) -> None:
    name = metric.names[0]
    test = PairedTest(
        [("baseline", FAIR), ("system", system)],
        {name: THEIRS[name]()},
        [[several[0] for several in REFERENCES]],
        test_type="bs",
        n_samples=200,
    )
    signatures, results = test()
    (key,) = signatures
    baseline, expected = results[key]
    found = compare(metric, system, FAIR, REFERENCES, samples=200, seed=12345)[name]
    assert (found.baseline, found.value) == pytest.approx((baseline.score, expected.score))
    assert found.p_value == pytest.approx(expected.p_value)
    # sacreBLEU's signature has the seed and the number of draws in other places
    assert set(found.signature.split("|")) == set(str(signatures[key]).split("|"))


def test_rouge_is_tested_the_same_way() -> None:
    """A direct transcription of the test, on the mean over documents."""
    drawn = np.random.default_rng(7).choice(60, size=(300, 60), replace=True)
    for name, column in [("rouge1", 0), ("rougeL", 1)]:
        ours, theirs = (ROUGE.statistics(system, REFERENCES)[:, column] for system in (GOOD, FAIR))
        differences = np.abs(ours[drawn].mean(axis=1) - theirs[drawn].mean(axis=1))
        beyond = (differences - differences.mean() > abs(ours.mean() - theirs.mean())).sum()
        found = compare(ROUGE, GOOD, FAIR, REFERENCES, samples=300, seed=7)[name]
        assert found.p_value == pytest.approx((beyond + 1) / 301)
        assert found.signature == ROUGE.signature(REFERENCES) + "|bs:300|seed:7"
        low, high = bootstrap(ROUGE, GOOD, REFERENCES, samples=300, seed=7)[name]
        means = np.sort(ours[drawn].mean(axis=1))
        assert (low, high) == pytest.approx((means[7], means[-8]))


def test_precision_and_recall_have_intervals_of_the_same_draws() -> None:
    references = [(several[0], other[0]) for several, other in zip(REFERENCES, REFERENCES[::-1], strict=True)]
    rows = ROUGE.statistics(GOOD, references)
    scores = add_intervals(ROUGE, ROUGE.scores(rows, references), rows, samples=300, seed=7)
    drawn = np.random.default_rng(7).choice(60, size=(300, 60), replace=True)
    best = rows.reshape(60, 2, 2, 3)[:, 0]  # [sentence, name, (precision, recall, F1)]
    for number, name in enumerate(ROUGE.names):
        assert set(scores[name].intervals) == {"precision", "recall", "max", "mean"}
        for column, detail in enumerate(["precision", "recall", "max"]):
            means = np.sort(best[drawn, number, column].mean(axis=1))
            assert scores[name].intervals[detail] == pytest.approx((means[7], means[-8])), (name, detail)
        assert (scores[name].low, scores[name].high) == scores[name].intervals["max"]
        low, high = scores[name].intervals["mean"]
        assert low < scores[name].details["mean"] < high < scores[name].low


@pytest.mark.parametrize("metric", [BLEU, CHRF, TER, ROUGE, EXACT, TOKEN_F1, LABELS])
def test_laws(metric: Metric) -> None:
    for name, far in compare(metric, GOOD, POOR, REFERENCES, samples=100).items():
        back = compare(metric, POOR, GOOD, REFERENCES, samples=100)[name]
        assert far.p_value < 0.05
        assert (far.difference > 0) is metric.higher_is_better(name)
        assert (back.difference, back.p_value) == (-far.difference, far.p_value)
        itself = compare(metric, GOOD, list(GOOD), REFERENCES, samples=100)[name]
        assert (itself.difference, itself.p_value) == (0.0, 1.0)
        assert far.plain() == {
            "score": far.value,
            "baseline": far.baseline,
            "difference": far.difference,
            "p_value": far.p_value,
            "signature": far.signature,
        }


@pytest.mark.parametrize(
    ("metric", "ours", "theirs"),
    [
        (BLEU, ["x y z w"] * 60, ["q r s t"] * 60),  # both 0, and so is every draw
        (BLEU, [""] * 60, ["q"] * 60),
        (ROUGE, ["dog"] * 60, ["cat"] * 60),
        (ROUGE, ["w1 dog"] * 60, ["dog w1"] * 60),  # different texts, the same score in every draw
        (BLEU, GOOD, list(GOOD)),
        (CHRF, [*GOOD[:30], *POOR[30:]], [*GOOD[:30], *(text + " " for text in POOR[30:])]),
    ],
)
def test_equal_scores_have_a_p_value_of_1(metric: Metric, ours: list[str], theirs: list[str]) -> None:
    for found in compare(metric, ours, theirs, REFERENCES, samples=100).values():
        assert found.difference == pytest.approx(0, abs=1e-9)
        assert found.p_value == 1.0


def test_scores_that_are_equal_by_chance_have_a_p_value_of_1() -> None:
    """Each system is right where the other is wrong: the draws differ, the scores do not."""
    references = [("a b c d",), ("e f g h",)] * 20
    ours, theirs = ["a b c d", "x"] * 20, ["x", "e f g h"] * 20
    found = compare(ROUGE, ours, theirs, references, samples=100)["rouge1"]
    assert (found.difference, found.p_value) == (0.0, 1.0)


def test_the_same_seed_repeats_and_another_differs() -> None:
    first, again, other = (bootstrap(BLEU, FAIR, REFERENCES, samples=100, seed=seed) for seed in (1, 1, 2))
    assert first == again != other


def test_more_sentences_narrow_the_interval() -> None:
    few, many = corpus(40), corpus(400)
    widths = []
    for references in (few, many):
        low, high = bootstrap(BLEU, noisy(references, 0.2, 5), references, samples=100)["bleu"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 2


@pytest.mark.parametrize("metric", [BLEU, ROUGE, EXACT, TOKEN_F1, LABELS])
def test_mismatched_input_or_too_few_samples_are_refused(metric: Metric) -> None:
    with pytest.raises(ValueError, match="59 hypotheses cannot be scored against the references of 60"):
        bootstrap(metric, GOOD[1:], REFERENCES)
    with pytest.raises(ValueError, match="59 hypotheses cannot be scored against the references of 60"):
        compare(metric, GOOD, POOR[1:], REFERENCES)
    with pytest.raises(ValueError, match="samples is 10: a 95% interval needs at least 40"):
        bootstrap(metric, GOOD, REFERENCES, samples=10)
