"""format=ctranslate2: the probabilities and outputs of every architecture that it has, and a line for all others."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from format_examples import JOINT, SEPARATE, TEXTS, trained_transformer, transformer_settings

from seq2seq.checkpoint.weights import weights_digest
from seq2seq.config.schema import TrainSettings
from seq2seq.format import ctranslate2_limits
from seq2seq.format.check import Expected
from seq2seq.format.ctranslate2 import CTranslate2Format, tokens_of
from seq2seq.format.sentences import Sentences
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.search.forced import forced_log_probs
from seq2seq.types import Part

ARCHITECTURES = [
    "",
    "encoder.norm=post decoder.norm=post",
    "encoder.norm=post",
    "encoder.norm=deep decoder.norm=deep",
    "position=sinusoidal",
    "position=learned position.max_length=6",
    "position=none",
    "position=rotary",
    "position=relative position.buckets=8 position.max_distance=5",
    "self_attention=multi_query attention=grouped_query",
    "self_attention=grouped_query attention=multi_query position=rotary",
    "self_attention=grouped_query position=relative",
    "feed_forward=swiglu layer_norm=rms",
    "feed_forward=geglu encoder.norm=post decoder.norm=post",
    "layer_norm=rms encoder.norm=post decoder.norm=deep",
    "encoder.activation=gelu decoder.activation=silu",
    "embedding.size=10 tie=target",
    "embedding.size=10",
    "embedding.size=16 tie=all",
    "embedding.scale=false",
    "embedding.norm=true embedding.size=10",
    "embedding.norm=true position=rotary layer_norm=rms encoder.norm=post",
    "generator.bias=false",
    "encoder.distinct_layers=1 decoder.layers=3 decoder.distinct_layers=2",
    "encoder.layers=1 decoder.layers=3",
    "encoder.hidden_size=24 encoder.heads=2",
]


def written(trained: TrainedModel, settings: TrainSettings, folder: Path, **arguments: Any) -> CTranslate2Format:
    chosen = CTranslate2Format(**arguments)
    assert chosen.problems(settings, max_length=chosen.max_length) == []
    chosen.write(trained, settings, folder)
    return chosen


@pytest.mark.parametrize("words", ARCHITECTURES)
def test_log_probabilities_and_greedy_outputs_are_those_of_the_model(words: str, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    settings = transformer_settings(*words.split())
    tokenizer = JOINT if "tie=all" in words else SEPARATE
    trained = trained_transformer(settings, tokenizer)
    exported = written(trained, settings, tmp_path).exported(tmp_path)
    sources, targets = tokenizer.source.encode(TEXTS[:12]), tokenizer.target.encode(TEXTS[12:24])
    expected = forced_log_probs(trained.model, sources, targets, device=torch.device("cpu"), tokens_per_batch=1000)
    scores = exported.translator.score_batch(
        [[exported.source[i] for i in ids] for ids in sources], [[exported.target[i] for i in ids] for ids in targets]
    )
    assert [sum(one.log_probs) for one in scores] == pytest.approx(expected, abs=1e-3)
    greedy = Expected.of(trained, settings, Sentences(TEXTS[:12], "text"))
    assert len({tuple(output) for output in greedy.outputs}) > 3
    greedy.check(exported)


@pytest.mark.parametrize("start", [(9,), (9, 30, 11)])
def test_outputs_follow_what_all_targets_begin_with(start: tuple[int, ...], tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    settings = transformer_settings()
    trained = trained_transformer(settings, target_start=start)
    exported = written(trained, settings, tmp_path).exported(tmp_path)
    config = json.loads((tmp_path / "config.json").read_bytes())
    assert config["target_prefix"] == [exported.target[i] for i in start]
    greedy = Expected.of(trained, settings, Sentences(TEXTS[:12], "text"))
    greedy.check(exported)
    exported.start = []
    assert exported.greedy(greedy.sources, greedy.limits) != greedy.outputs


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        ("position=alibi", ["position=alibi: it can sinusoidal, learned, none, rotary or relative"]),
        ("position=sinusoidal_2d", ["position=sinusoidal_2d: it can sinusoidal, learned, none, rotary or relative"]),
        ("self_attention=windowed", ["self_attention=windowed: it can full, grouped_query or multi_query"]),
        (
            "encoder=lstm decoder=gru attention=bahdanau generator=pointer",
            [
                "encoder=lstm: it can transformer",
                "decoder=gru: it can transformer",
                "generator=pointer: it can softmax",
                "attention=bahdanau: it can multihead, grouped_query or multi_query",
            ],
        ),
        ("decoder=ssru", ["decoder=ssru: it can transformer"]),
        ("decoder=average", ["decoder=average: it can transformer"]),
        (
            "normalizer=entmax15 pooling=strided",
            ["pooling=strided: it can none", "normalizer=entmax15: it can softmax"],
        ),
    ],
)
def test_parts_that_it_does_not_have_are_named(words: str, lines: list[str]) -> None:
    found = CTranslate2Format.problems(transformer_settings(*words.split()), max_length=1024)
    assert found == [f"format=ctranslate2 has no {line}" for line in lines]


@pytest.mark.parametrize(
    ("words", "max_length", "line"),
    [
        (
            "attention.heads=2",
            1024,
            "format=ctranslate2 has one number of heads in a decoder, not decoder.heads=4 and attention.heads=2",
        ),
        (
            "length.max_source=300",
            300,
            "format.max_length=300: length.max_source allows 301 tokens with the end symbol; type "
            "format.max_length=301",
        ),
        (
            "search.max_length=40 length.max_source=9",
            30,
            "format.max_length=30: search.max_length allows 40 tokens with the end symbol; type format.max_length=40",
        ),
        ("search.max_length=40 length.max_source=9 position=rotary", 30, None),
    ],
)
def test_numbers_that_it_cannot_express_are_named(words: str, max_length: int, line: str | None) -> None:
    found = CTranslate2Format.problems(transformer_settings(*words.split()), max_length=max_length)
    assert len(found) == (line is not None)
    assert line is None or line in found[0]


def test_every_part_of_a_transformer_is_either_exported_or_refused() -> None:
    """A new choice of these groups is refused until it is known here."""
    groups = {*ctranslate2_limits.POSSIBLE}
    assert groups == {
        *("encoder", "decoder", "pooling", "generator", "position", "self_attention", "attention", "normalizer"),
        *("feed_forward", "layer_norm"),
    }
    settings = transformer_settings()
    for group in groups:
        own = type("Own", getattr(settings, group).target.__mro__[:1], {})
        changed = replace(settings, **{group: Part("own", own, getattr(settings, group).arguments)})
        (line,) = CTranslate2Format.problems(changed, max_length=1024)
        assert line.startswith(f"format=ctranslate2 has no {group}=own: it can ")


@pytest.mark.parametrize(
    ("quantization", "least"),
    [("int8", 1.7), ("int16", 1.4), ("float16", 1.8), ("bfloat16", 1.8), ("int8_float16", 2.3)],
)
def test_quantized_files_are_smaller_and_nearly_as_good(quantization: str, least: float, tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    settings = transformer_settings("tie=all", "embedding.size=16")
    trained = trained_transformer(settings)
    sizes, digest = {}, weights_digest(trained.model)
    for name in ("float32", quantization):
        (tmp_path / name).mkdir()
        chosen = written(trained, settings, tmp_path / name, quantization=name, max_length=300)
        sizes[name] = (tmp_path / name / "model.bin").stat().st_size
    assert sizes["float32"] / sizes[quantization] > least
    assert chosen.lossless().quantization == "float32"
    assert chosen.lossless().max_length == 300
    assert weights_digest(trained.model) == digest, "quantization must not change the model itself"
    sources, targets = JOINT.source.encode(TEXTS[:12]), JOINT.target.encode(TEXTS[:12])
    exported = chosen.exported(tmp_path / quantization)
    scores = exported.translator.score_batch(
        [[exported.source[i] for i in ids] for ids in sources], [[exported.target[i] for i in ids] for ids in targets]
    )
    expected = forced_log_probs(trained.model, sources, targets, device=torch.device("cpu"), tokens_per_batch=1000)
    assert [sum(one.log_probs) for one in scores] == pytest.approx(expected, rel=0.1)


def test_vocabularies_are_our_pieces_by_our_ids(tmp_path: Path) -> None:
    pytest.importorskip("ctranslate2")
    settings = transformer_settings()
    written(trained_transformer(settings, SEPARATE), settings, tmp_path)
    for side in ("source", "target"):
        vocabulary = getattr(SEPARATE, side)
        tokens = json.loads((tmp_path / f"{side}_vocabulary.json").read_bytes())
        assert tokens == [vocabulary.processor.id_to_piece(i) for i in range(vocabulary.size)]
        assert tokens[:4] == ["<pad>", "<unk>", "<s>", "</s>"]
        assert {"\n", "<de>"} <= set(tokens)
    config = json.loads((tmp_path / "config.json").read_bytes())
    assert {key: config[key] for key in ("bos_token", "eos_token", "unk_token", "decoder_start_token")} == {
        **{"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "decoder_start_token": "<s>"}
    }
    assert config["add_source_eos"] is True
    assert (tmp_path / "tokenizer/source.model").read_bytes() == SEPARATE.source.model


class Repeating:
    """A vocabulary in which a piece occurs three times."""

    size = 6

    class processor:
        @staticmethod
        def id_to_piece(i: int) -> str:
            return ["<pad>", "a", "b", "a", "a#3", "a"][i]


def test_a_repeated_piece_names_one_token() -> None:
    tokens = tokens_of(Repeating())
    assert tokens == ["<pad>", "a", "b", "a#3", "a#3#4", "a#5"]


def test_a_table_of_no_rows_is_refused() -> None:
    with pytest.raises(ValueError, match=r"format\.max_length: expected 1 or more, got 0"):
        CTranslate2Format(max_length=0)
