"""BLEU, chrF and TER: scores computed by hand, equality with sacreBLEU, and bad input."""

import random
import re
import shutil
from pathlib import Path

import pytest
import sacrebleu
import sentencepiece
import yaml
from sacrebleu.tokenizers import tokenizer_spm

from seq2seq.metrics import Metric, Score
from seq2seq.metrics.bleu import Bleu
from seq2seq.metrics.chrf import Chrf, ChrfPlusPlus
from seq2seq.metrics.ter import Ter

VERSION = sacrebleu.__version__


def bleu(tokenize: str = "13a", lowercase: bool = False) -> Bleu:
    return Bleu(tokenize=tokenize, lowercase=lowercase)


def chrf(char_order: int = 6, word_order: int = 0, lowercase: bool = False) -> Chrf:
    return Chrf(char_order=char_order, word_order=word_order, beta=2, lowercase=lowercase)


def chrfpp(word_order: int = 2) -> ChrfPlusPlus:
    return ChrfPlusPlus(char_order=6, word_order=word_order, beta=2, lowercase=False)


def ter(case_sensitive: bool = False) -> Ter:
    return Ter(normalized=False, no_punct=False, asian_support=False, case_sensitive=case_sensitive)


# The comments give the counts from which the scores follow.
BY_HAND = [
    (bleu(), "the cat sat on the mat", ["the cat sat on a mat"], 100 * (5 / 6 * 3 / 5 * 2 / 4 * 1 / 3) ** 0.25),
    (bleu(), "a b c d", ["a b c d"], 100.0),
    (bleu(), "a b c d", ["a b c d e"], 100 * 2.718281828459045 ** (1 - 5 / 4)),  # only the brevity penalty
    (bleu(), "a b c d", ["x y z w"], 0.0),
    (bleu(), "Hello, world it is!", ["Hello, world it is!"], 100.0),
    (bleu(), "A B C D", ["a b c d"], 0.0),
    (bleu(lowercase=True), "A B C D", ["a b c d"], 100.0),
    (bleu(), "a b c d", ["x y z w", "a b c d"], 100.0),  # the better of two references
    (bleu("char"), "天气很好", ["天气很好"], 100.0),
    (chrf(), "ab", ["ac"], 25.0),  # 1 of 2 characters, 0 of 1 pairs: both means are 1/4
    (chrf(char_order=1), "ab", ["acde"], 100 * 5 * 0.5 * 0.25 / (4 * 0.5 + 0.25)),  # precision 1/2, recall 1/4
    (chrf(), "Ab", ["ab"], 25.0),
    (chrf(lowercase=True), "Ab", ["ab"], 100.0),
    (
        chrfpp(),
        "ab x",
        ["ac x"],
        100 * (2 / 3 + 1 / 2) / 5,
    ),  # of 3 characters 2, no 2- or 3-gram; of 2 words 1, no pair
    (ter(), "a b c d", ["a b c d"], 0.0),
    (ter(), "a x c d", ["a b c d"], 25.0),  # a substitution
    (ter(), "c d a b", ["a b c d"], 25.0),  # a shift
    (ter(), "a b c d e f", ["a b c d"], 50.0),  # two deletions
    (ter(), "A b c d", ["a b c d"], 0.0),
    (ter(case_sensitive=True), "A b c d", ["a b c d"], 25.0),
]


@pytest.mark.parametrize(("metric", "hypothesis", "references", "value"), BY_HAND)
def test_by_hand(metric: Metric, hypothesis: str, references: list[str], value: float) -> None:
    assert metric.score([hypothesis], [tuple(references)])[metric.names[0]].value == pytest.approx(value)


def corpus(sentences: int, seed: int, ragged: bool = True) -> tuple[list[str], list[tuple[str, ...]]]:
    """Hypotheses and references of common words, with one to three references per sentence."""
    rng = random.Random(seed)
    words = ["the", "a", "cat", "dog", "sat", "ran", "on", "under", "mat", "hat", "and", "then"]

    def text() -> str:
        return " ".join(rng.choice(words) for _ in range(9)) + "."

    counts = [rng.randint(1, 3) if ragged else 1 for _ in range(sentences)]
    return [text() for _ in counts], [tuple(text() for _ in range(count)) for count in counts]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (bleu(), sacrebleu.BLEU()),
        (bleu("char", True), sacrebleu.BLEU(tokenize="char", lowercase=True)),
        (chrf(), sacrebleu.CHRF()),
        (chrf(word_order=2), sacrebleu.CHRF(word_order=2)),
        (chrfpp(), sacrebleu.CHRF(word_order=2)),
        (ter(), sacrebleu.TER()),
    ],
)
@pytest.mark.parametrize("ragged", [True, False])
def test_equal_to_sacrebleu(ours: Metric, theirs: sacrebleu.metrics.base.Metric, ragged: bool) -> None:
    hypotheses, references = corpus(30, seed=1, ragged=ragged)
    streams = [[several[n] if n < len(several) else None for several in references] for n in range(3 if ragged else 1)]
    expected = theirs.corpus_score(hypotheses, streams)
    (score,) = ours.score(hypotheses, references).values()
    assert (score.value, score.signature) == (expected.score, str(theirs.get_signature()))
    assert ours.signature(references) == score.signature
    assert ("nrefs:var" if ragged else "nrefs:1") in score.signature
    rows = ours.statistics(hypotheses, references)
    assert ours.values(rows.sum(axis=0), len(rows)) == pytest.approx({ours.names[0]: expected.score})


def test_names_directions_and_signatures() -> None:
    references = [("a b c d",), ("x",)]
    assert {
        m.names[0]: (m.higher_is_better(m.names[0]), m.signature(references)) for m in (bleu(), chrf(), chrfpp(), ter())
    } == {
        "bleu": (True, f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|version:{VERSION}"),
        "chrf": (True, f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{VERSION}"),
        "chrf++": (True, f"nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|version:{VERSION}"),
        "ter": (False, f"nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|version:{VERSION}"),
    }


def test_details() -> None:
    details = bleu().score(["a b c x"], [("a b c d e",)])["bleu"].details
    assert details["length_ratio"] == 0.8
    assert details["brevity_penalty"] == pytest.approx(0.7788, abs=1e-4)
    assert (details["precision1"], details["precision3"]) == (75.0, 50.0)
    assert ter().score(["a b x"], [("a b c d",)])["ter"].details == {"edits": 2.0, "reference_length": 4.0}


def test_a_score_as_json() -> None:
    assert Score(1.5, "s", details={"p": 2.0}).plain() == {"score": 1.5, "signature": "s", "p": 2.0}
    assert Score(1.5, "s", 1.0, 2.0).plain() == {"score": 1.5, "signature": "s", "low": 1.0, "high": 2.0}
    whole = Score(1.5, "s", 1.0, 2.0, {"p": 4.0, "n": 7.0}, {"p": (3.0, 5.0)}).plain()
    assert list(whole.items())[-4:] == [("p", 4.0), ("p_low", 3.0), ("p_high", 5.0), ("n", 7.0)]


@pytest.mark.parametrize("metric", [bleu(), chrf(), ter()])
@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        (["a", "b"], [("a",)], "2 hypotheses cannot be scored against the references of 1"),
        (["a"], [("a",), ("b",)], "1 hypotheses cannot be scored against the references of 2"),
        ([], [], "there is nothing to score"),
        (["a", "b"], [("a",), ()], "sentence 2 has no reference"),
    ],
)
def test_mismatched_or_empty_input_is_refused(
    metric: Metric, hypotheses: list[str], references: list[tuple[str, ...]], message: str
) -> None:
    for act in (metric.score, metric.statistics):
        with pytest.raises(ValueError, match=message):
            act(hypotheses, references)


@pytest.mark.parametrize("metric", [bleu(), chrf(), ter()])
def test_unusual_texts_have_a_score(metric: Metric) -> None:
    hypotheses = ["", "\u2028", "a\tb", "\ud7ff", "x" * 3000]
    score = metric.score(hypotheses, [("a b",), ("",), ("a\tb", ""), ("é",), ("y",)])[metric.names[0]]
    assert score.value >= 0.0


def test_a_tokenizer_that_is_not_installed_is_a_configuration_error() -> None:
    try:
        import MeCab  # noqa: F401
    except ImportError:
        message = "metrics.bleu.tokenize: ja-mecab: Japanese tokenization requires extra dependencies.*"
        with pytest.raises(ValueError, match=message + re.escape("pip install sacrebleu[ja]")):
            bleu("ja-mecab")
    else:
        assert bleu("ja-mecab").score(["今日は良い天気です"], [("今日は良い天気です",)])["bleu"].value == pytest.approx(
            100
        )


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SentencePiece model."""
    folder = tmp_path_factory.mktemp("pieces")
    texts = [text for several in corpus(60, seed=3)[1] for text in several]
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts), model_prefix=str(folder / "own"), vocab_size=30, hard_vocab_limit=False
    )
    return folder / "own.model"


@pytest.mark.parametrize("name", ["flores200", "flores101", "spm"])
def test_shared_models_come_from_sacrebleus_cache(
    model: Path, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokenizer_spm, "SACREBLEU_DIR", str(tmp_path))
    monkeypatch.setattr(tokenizer_spm, "download_file", lambda *_: pytest.fail("nothing is downloaded"))
    with pytest.raises(
        ValueError, match=rf"needs the file {tmp_path}/models/\w+spm.*, which is not there: fetch it"
    ) as caught:
        bleu(name)
    assert "\n" not in str(caught.value)
    (tmp_path / "models").mkdir()
    shutil.copy(model, str(caught.value).split(" file ")[1].partition(",")[0])
    hypotheses, references = corpus(20, seed=1, ragged=False)
    theirs = sacrebleu.BLEU(tokenize=name)
    expected = theirs.corpus_score(hypotheses, [[several[0] for several in references]])
    (score,) = bleu(name).score(hypotheses, references).values()
    assert (score.value, score.signature) == (expected.score, str(theirs.get_signature()))


def test_bleu_over_the_pieces_of_a_given_model(model: Path, tmp_path: Path) -> None:
    metric = bleu(str(model))
    pieces = sentencepiece.SentencePieceProcessor(model_file=str(model)).encode
    hypotheses, references = corpus(20, seed=1, ragged=False)
    split = [" ".join(pieces(text, out_type=str)) for text in hypotheses]
    expected = bleu("none").score(split, [(" ".join(pieces(text, out_type=str)),) for (text,) in references])
    assert metric.score(hypotheses, references)["bleu"].value == expected["bleu"].value
    assert re.search(r"\|tok:spm-[0-9a-f]{8}\|", metric.signature(references))
    (tmp_path / "no.model").write_text("no model")
    for name, message in [
        (str(tmp_path / "no.model"), "is not a SentencePiece model"),
        (str(tmp_path / "gone.model"), "cannot be read: No such file"),
        ("13b", r"expected 13a, intl, char.*got 13b; did you mean 13a\?"),
    ]:
        with pytest.raises(ValueError, match=f"metrics.bleu.tokenize: .*{message}"):
            bleu(name)


@pytest.mark.parametrize(
    ("tokenize", "text", "advice"),
    [
        ("13a", "今天天气很好", "zh"),
        ("intl", "今天 OK 天气很好", "zh"),
        ("none", "今日は良い天気です", "(ja-mecab|char .or, after pip install .*ja-mecab.)"),
        ("zh", "ひらがな", "(ja-mecab|char .or, after pip install .*ja-mecab.)"),
        ("13a", "สวัสดีชาวโลก", "char"),
        ("13a", "ជំរាបសួរ", "char"),
        ("zh", "ສະບາຍດີ", "char"),
        ("13a", "မင်္ဂလာပါ", "char"),
        ("13a", "བཀྲ་ཤིས་བདེ་ལེགས", "char"),
        ("zh", "今天天气很好", None),
        ("char", "สวัสดีชาวโลก", None),
        ("13a", "날씨가 좋다", None),  # written with spaces
        ("13a", "Погода хорошая", None),
        ("13a", "The name of Beijing is 北京.", None),
        ("13a", "42", None),
        ("13a", "", None),
    ],
)
def test_a_tokenizer_that_finds_no_words_is_reported_once(
    caplog: pytest.LogCaptureFixture, tokenize: str, text: str, advice: str | None
) -> None:
    metric = bleu(tokenize)
    for _ in range(2):
        metric.score([text], [(text,)])
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == (advice is not None)
    assert all(re.search(rf"tokenize={tokenize} .* type metrics.bleu.tokenize={advice}$", line) for line in warnings)


@pytest.mark.parametrize(
    ("choice", "names"),
    [
        ("translation", ["bleu", "chrf"]),
        ("translation_chrfpp", ["bleu", "chrfpp"]),
        ("translation_ter", ["bleu", "chrf", "ter"]),
    ],
)
def test_the_yaml_files_give_all_arguments(repository: Path, choice: str, names: list[str]) -> None:
    parts = yaml.safe_load((repository / f"configs/metrics/{choice}.yaml").read_text())
    assert list(parts) == names
    for name, arguments in parts.items():
        kind = {"bleu": Bleu, "chrf": Chrf, "chrfpp": ChrfPlusPlus, "ter": Ter}[name]
        assert arguments.pop("_target_") == f"{kind.__module__}.{kind.__name__}"
        assert arguments.pop("_partial_") is True
        assert kind(**arguments).names == (name.replace("pp", "++"),)


def test_chrfpp_counts_words() -> None:
    with pytest.raises(ValueError, match=r"^metrics.chrfpp.word_order: expected 1 or more \(0 is chrF\), got 0"):
        chrfpp(word_order=0)
