"""Illegal combinations are refused with the reason before anything is built."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
from contract.combinations import Triple, choice, choices, composed, legal_triples, triples

from seq2seq.config import CONFIGS, compose, write_config
from seq2seq.config.problems import Mistakes
from seq2seq.model.legality import problems
from seq2seq.types import Part


def test_all_triples_are_legal_but_decoders_of_layers_without_attention() -> None:
    illegal = {str(triple) for triple in triples()} - {str(triple) for triple in legal_triples()}
    layered = ("average", "ssru", "transformer")
    assert illegal == {f"{encoder}-none-{decoder}" for encoder in choices("encoder") for decoder in layered}


def with_argument(group: str, name: str, **arguments: object) -> Part:
    part = choice(group, name)
    return Part(part.name, part.target, {**part.arguments, **arguments})


@pytest.mark.parametrize(
    ("triple", "changes", "line"),
    [
        (
            Triple("lstm", "none", "transformer"),
            {},
            "decoder=transformer cannot be combined with attention=none: it needs an attention that reads the source",
        ),
        (
            Triple("lstm", "luong_dot", "lstm"),
            {"decoder": with_argument("decoder", "lstm", hidden_size=7)},
            "a dot product needs a query as wide as the memory: the decoder's is 7, the encoder's memory 16",
        ),
        (
            Triple("lstm", "multihead", "lstm"),
            {"attention": with_argument("attention", "multihead", heads=5)},
            "attention.heads=5 does not divide the decoder's width=16",
        ),
        (
            Triple("transformer", "bahdanau", "lstm"),
            {"encoder": with_argument("encoder", "transformer", heads=5)},
            "encoder.heads=5 does not divide encoder.hidden_size=16",
        ),
        (
            Triple("lstm", "local_p", "lstm", others=(("pooling", "strided"),)),
            {},
            "attention=local_p cannot be combined with pooling=strided: it needs one memory state per source token",
        ),
        (
            Triple("lstm", "multihead", "lstm"),
            {"attention": with_argument("attention", "multihead", kv_heads=3)},
            "attention.kv_heads=3 does not divide attention.heads=4",
        ),
        (
            Triple("lstm", "bahdanau", "lstm"),
            {"pooling": with_argument("pooling", "queries", heads=5)},
            "pooling.heads=5 does not divide the memory's width=16",
        ),
        (
            Triple("lstm", "cosine", "lstm"),
            {"attention": with_argument("attention", "cosine", scale=0.0)},
            "attention.scale must be above 0, not 0.0",
        ),
        (
            Triple("lstm", "coverage", "lstm"),
            {"attention": with_argument("attention", "coverage", fertility=-2.0)},
            "attention.fertility must be above 0, not -2.0",
        ),
        (
            Triple("lstm", "none", "lstm"),
            {"search": with_argument("search", "diverse_beam", coverage_penalty=0.2)},
            "search.coverage_penalty=0.2 cannot be combined with attention=none: it needs an attention with weights",
        ),
        (
            Triple("transformer", "bahdanau", "transformer"),
            {"self_attention": with_argument("self_attention", "full", kv_heads=3)},
            "does not divide",
        ),
        (
            Triple("lstm", "bahdanau", "transformer"),
            {"decoder": with_argument("decoder", "transformer", heads=5)},
            "decoder.heads=5 does not divide decoder.hidden_size=16",
        ),
        (
            Triple("transformer", "bahdanau", "transformer"),
            {"decoder": with_argument("decoder", "transformer", distinct_layers=3)},
            "decoder.distinct_layers=3 is more than decoder.layers=2; null: all are distinct",
        ),
        (
            Triple("transformer", "bahdanau", "transformer"),
            {"position": with_argument("position", "sinusoidal_2d", separator="|")},
            "position.separator='|' must be a piece that is never split",
        ),
        (
            Triple("lstm", "bahdanau", "lstm"),
            {"position": with_argument("position", "sinusoidal_2d", separator="|", recurrent=True)},
            "position.separator='|' must be a piece that is never split",
        ),
    ],
    ids=str,
)
def test_reasons(triple: Triple, changes: dict[str, Part], line: str) -> None:
    found = problems(triple.settings(**changes))
    assert len(found) == 1
    assert line in found[0]


def test_one_embedding_for_both_sides_needs_one_vocabulary() -> None:
    settings = Triple("lstm", "bahdanau", "lstm").settings(tie="all")
    separate = Part("bpe", settings.tokenizer.target, {**settings.tokenizer.arguments, "joint": False})
    assert not problems(settings)
    assert "needs tokenizer.joint=true" in problems(replace(settings, tokenizer=separate))[0]


@pytest.mark.parametrize("script", ["evaluate", "translate"])
def test_search_for_a_run_must_be_legal_with_its_parts(
    script: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("runs/one").mkdir(parents=True)
    write_config(composed("attention=none", "run=one"), Path("runs/one/config.yaml"))
    load = importlib.import_module(f"seq2seq.commands.{script}").SCRIPT.load
    assert load(compose(CONFIGS, script, ["run=one", "search=beam"]))
    with pytest.raises(Mistakes, match=r"search\.coverage_penalty=0\.2 cannot be combined with attention=none"):
        load(compose(CONFIGS, script, ["run=one", "++search.coverage_penalty=0.2"]))


def test_all_reasons_are_reported_at_once() -> None:
    changes = {"encoder": with_argument("encoder", "transformer", heads=5)}
    assert len(problems(Triple("transformer", "none", "transformer").settings(**changes))) == 2
