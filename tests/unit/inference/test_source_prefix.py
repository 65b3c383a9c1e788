"""`data.source_prefix` is added wherever a trained run reads source texts."""

from dataclasses import replace
from pathlib import Path

import pytest
import small_runs
from unit.data.examples import Given

from seq2seq.analysis.attention.maps import show_attention
from seq2seq.config.schema import AlignmentSettings, AttentionMapSettings, TrainSettings
from seq2seq.data.prepare import prepare_split
from seq2seq.errors import ConfigError
from seq2seq.inference.corpus_decoding import decode_corpus
from seq2seq.inference.scoring import score_texts
from seq2seq.inference.trained_model import TrainedModel, as_read, load_trained
from seq2seq.inference.translator import Translator
from seq2seq.training.run import train
from seq2seq.types import Pair

PREFIX = "to German: "
TEXTS = ["March 5, 2021", "3 kilometers", ""]


def prefixed(settings: TrainSettings, prefix: str) -> TrainSettings:
    arguments = {**settings.data.arguments, "source_prefix": prefix}
    return replace(settings, data=replace(settings.data, arguments=arguments))


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[TrainedModel, TrainSettings]:
    """A run of four updates, trained with the prefix; its settings."""
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path_factory.mktemp("prefix"))
        settings = small_runs.settings("one", "trainer.max_updates=4", f"data.source_prefix='{PREFIX}'")
        train(settings)
        return load_trained("one", settings, "last"), settings


def test_answers_and_scores_are_those_of_prefixed_texts(run: tuple[TrainedModel, TrainSettings]) -> None:
    trained, settings = run
    bare, written_out = prefixed(settings, ""), [PREFIX + text if text else "" for text in TEXTS]
    translator = Translator(trained, settings)
    assert translator.translate([""])[0].text == ""
    assert translator.translate(TEXTS) == Translator(trained, bare).translate(written_out)
    assert score_texts(trained, settings, TEXTS, TEXTS) == score_texts(trained, bare, written_out, TEXTS)
    assert score_texts(trained, settings, TEXTS, TEXTS) != score_texts(trained, bare, TEXTS, TEXTS)


BLANK = ["", " ", "   ", "\t", " \r", "\u00a0", "\u3000\u2003", "\u2028", "\x0b\x0c\x1c\x85"]


@pytest.mark.parametrize("prefix", ["", PREFIX])
def test_the_answer_to_white_space_is_empty(
    run: tuple[TrainedModel, TrainSettings], prefix: str, tmp_path: Path
) -> None:
    """Also in an evaluation; and it is scored like an empty line."""
    trained, settings = run[0], prefixed(run[1], prefix)
    search, texts = settings.search(), [*BLANK, "3 kilometers"]
    found = [one.text for one in Translator(trained, settings).translate(texts)]
    assert found[:-1] == [""] * len(BLANK)
    assert found[-1]
    data = Given(test=[Pair(text, "5 km") for text in texts])
    data.source_prefix = prefix
    corpus = prepare_split(data=data, split="test", tokenizer=trained.tokenizer, length=settings.length, cache=tmp_path)
    decoding = decode_corpus(trained.search_model, corpus, trained.tokenizer, search, {}, trained.runtime, 300)
    assert decoding.texts == found
    assert len(set(score_texts(trained, settings, BLANK, ["5 km"] * len(BLANK)))) == 1


def test_a_split_is_encoded_like_the_same_texts(run: tuple[TrainedModel, TrainSettings], tmp_path: Path) -> None:
    trained, settings = run
    corpus = prepare_split(
        data=settings.data(), split="test", tokenizer=trained.tokenizer, length=settings.length, cache=tmp_path
    )
    texts = [pair.source for pair in corpus.pairs]
    assert not any(text.startswith(PREFIX) for text in texts)
    assert trained.tokenizer.source.encode(as_read(settings, texts)) == [corpus.source(i) for i in range(len(corpus))]


def test_runs_older_than_the_key_have_no_prefix(run: tuple[TrainedModel, TrainSettings]) -> None:
    _, settings = run
    arguments = {key: value for key, value in settings.data.arguments.items() if key != "source_prefix"}
    assert as_read(replace(settings, data=replace(settings.data, arguments=arguments)), TEXTS) == TEXTS


def test_gold_alignments_with_a_prefix_are_refused(run: tuple[TrainedModel, TrainSettings]) -> None:
    given = {"run": "one", "checkpoint": "last", "split": "test", "sentences": 1, "pictures": 0, "page": 0}
    files = {"input": "a.en", "target": "a.de", "gold": "a.wa", "reverse": None, "output": None}
    script = AttentionMapSettings(
        **given, **files, alignment=AlignmentSettings("argmax", layer=None, head=None, shift=False), changed={}
    )
    with pytest.raises(ConfigError, match=r"^gold=a\.wa: gold links do not count the words of data\.source_prefix"):
        show_attention(script, run[1])
