"""The folder for transformers: what it cannot express, and the round trip back to a model of ours."""

import json
import logging
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from marian_folder import odd_texts, write_folder
from pretrained import imported_settings, load_folder
from sample_text import sentences
from sample_text import settings as tokenizer_settings
from small_runs import same, settings

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.checkpoint.weights import model_tensors
from seq2seq.config.schema import TrainSettings
from seq2seq.data.batches import collate_sources
from seq2seq.format.huggingface import HuggingFace
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.model.builder import build_model
from seq2seq.runtime.device import choose_runtime
from seq2seq.search.beam import BeamSearch
from seq2seq.search.decode import decode
from seq2seq.search.greedy import GreedySearch
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import BOS, EOS

TRANSFORMER = (
    *("encoder=transformer", "decoder=transformer", "attention=multihead", "attention.heads=2"),
    *(f"{side}.{key}" for side in ("encoder", "decoder") for key in ("hidden_size=12", "heads=2", "inner_size=10")),
    *("encoder.layers=2", "decoder.layers=2"),
)
POST = ("encoder.norm=post", "decoder.norm=post")
KINDS: dict[str, tuple[str, ...]] = {
    "post": POST,
    "post, all tied": (*POST, "tie=all"),
    "post, nothing tied": (*POST, "tie=none", "generator.bias=false"),
    "post, two vocabularies": (*POST, "tokenizer.joint=false"),
    "pre": (),
    "pre, all tied": ("tie=all",),
    "pre, nothing tied": ("tie=none", "encoder.activation=gelu", "decoder.activation=gelu"),
    "pre, unscaled": ("embedding.scale=false",),
    "post, unscaled": (*POST, "embedding.scale=false", "tie=all"),
    "shared layers": ("encoder.layers=3", "encoder.distinct_layers=2"),
}
TEXT = sentences(300)
SYMBOLS = ["<2de>", "{{x}}"]


def settings_of(kind: str, *words: str) -> TrainSettings:
    return settings("x", *TRANSFORMER, *KINDS[kind], "search=beam", "search.max_length=20", *words)


def trained(given: TrainSettings, **tokenizer: Any) -> TrainedModel:
    """A model of these settings with random weights, as if it had been trained."""
    usual = {"vocab_size": 400, "byte_fallback": True, "joint": given.tokenizer.arguments["joint"]}
    target = TEXT if usual["joint"] else [text.upper() for text in TEXT]
    pieces: Tokenizer = tokenizer_settings(**{**usual, **tokenizer}).train(TEXT, target)
    torch.manual_seed(1)
    model = build_model(given, source_vocab=pieces.source.size, target_vocab=pieces.target.size).eval()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(0.4 * torch.randn_like(parameter) + name.endswith("norm.weight"))
        if model.generator.output.bias is not None:
            model.generator.output.bias[EOS] += 7  # so that outputs end
    return TrainedModel(RunFolder(Path("x")), pieces, model, choose_runtime("cpu", "fp32"), 1, model, {})


def export(path: Path, kind: str, **tokenizer: Any) -> tuple[TrainedModel, TrainSettings]:
    given = settings_of(kind)
    made = trained(given, **tokenizer)
    HuggingFace().write(made, given, path)
    return made, given


def test_a_run_that_can_be_expressed_has_no_problems() -> None:
    for kind in KINDS:
        assert HuggingFace.problems(settings_of(kind)) == []


@pytest.mark.parametrize(
    ("words", "lines"),
    [
        (["encoder=lstm", "encoder.layers=1", "decoder=transformer"],
         ["encoder=lstm: it can transformer"]),
        (["decoder=ssru"], ["decoder=ssru: it can transformer"]),
        (["decoder=average"], ["decoder=average: it can transformer"]),
        (["position=rotary", "feed_forward=swiglu"],
         ["feed_forward=swiglu: it can plain", "position=rotary: it can sinusoidal"]),
        (["layer_norm=rms", "self_attention=windowed", "pooling=strided"],
         ["self_attention=windowed: it can full", "layer_norm=rms: it can layer", "pooling=strided: it can none"]),
        (["normalizer=sparsemax"], ["normalizer=sparsemax: it can softmax"]),
        (["generator=pointer"], ["generator=pointer: it can softmax"]),
        (["attention=bahdanau"], ["attention=bahdanau: it can multihead"]),
        (["self_attention.kv_heads=1", "attention.kv_heads=1"],
         ["attention.kv_heads=1: it can null", "self_attention.kv_heads=1: it can null"]),
        (["attention.heads=3"], ["attention.heads=3 with decoder.heads=2: both must be alike"]),
        (["embedding.size=6"], ["embedding.size=6 with encoder.hidden_size=12: both must be alike"]),
        (["data.target_prefix='x '"], ["data.target_prefix='x ': it can ''"]),
        (["embedding.norm=true"], ["embedding.norm=true: it can false"]),
        (["encoder.norm=post"], ["encoder.norm='post' with decoder.norm='pre': both must be alike"]),
        (["encoder.activation=gelu"], ["encoder.activation='gelu' with decoder.activation='relu': both must be alike"]),
        (["encoder.norm=deep", "decoder.norm=deep"], ["norm=deep: it can post (MarianMT) and pre (Pegasus)"]),
        (["tokenizer.joint=false"], ["tokenizer.joint=false with norm=pre: it can true, or norm=post"]),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_named(words: list[str], lines: list[str]) -> None:
    kept = [word for word in TRANSFORMER if not any(word.startswith(f"{group}.") for group in _replaced(words))]
    found = HuggingFace.problems(settings("x", *kept, *words))
    assert found == [f"format=huggingface has no {line}" for line in lines]


def _replaced(words: list[str]) -> list[str]:
    """The groups whose choice is another one, which may not have the same keys."""
    return [word.partition("=")[0] for word in words if "." not in word.partition("=")[0]]


@pytest.mark.parametrize("kind", KINDS)
def test_an_export_that_is_imported_is_the_same_model(tmp_path: Path, kind: str) -> None:
    made, given = export(tmp_path, kind)
    found = load_folder(tmp_path)
    for side in ("source", "target"):
        ours, theirs = getattr(made.tokenizer, side), getattr(found.tokenizer, side)
        assert [ours.piece(i) for i in range(ours.size)] == [theirs.piece(i) for i in range(theirs.size)]
        assert theirs.encode(odd_texts(50)) == ours.encode(odd_texts(50))
    own, again = model_tensors(made.model), model_tensors(found.model)
    if given.encoder.arguments["distinct_layers"] or (given.tie != "all" and kind.startswith("pre")):
        own = _as_stored(own, given)
    bias = again.pop("generator.output.bias")
    assert torch.equal(bias, own.pop("generator.output.bias", torch.zeros_like(bias)))
    assert same(own, again)


def _as_stored(own: dict[str, torch.Tensor], given: TrainSettings) -> dict[str, torch.Tensor]:
    """Layers that run twice are stored twice; Pegasus without one table for all has an output layer of its own."""
    found = dict(own)
    for name, tensor in own.items():
        if given.encoder.arguments["distinct_layers"] and name.startswith("encoder.layers.0."):
            found[name.replace("layers.0", "layers.2")] = tensor
    if given.tie == "target":
        found["generator.output.weight"] = own["decoder.embedding.table.weight"]
    return found


@pytest.mark.parametrize("codes", [(), (">>fra<<", ">>deu<<")])
def test_a_folder_that_is_imported_and_exported_has_the_same_weights(tmp_path: Path, codes: tuple[str, ...]) -> None:
    there = write_folder(tmp_path / "there", codes=codes)
    loaded, given = load_folder(there), imported_settings(there)
    made = TrainedModel(
        RunFolder(Path("x")), loaded.tokenizer, loaded.model, choose_runtime("cpu", "fp32"), 1, loaded.model, {}
    )
    assert HuggingFace.problems(given) == []
    (tmp_path / "back").mkdir()
    HuggingFace().write(made, given, tmp_path / "back")
    again = load_folder(tmp_path / "back")
    assert same(model_tensors(again.model), model_tensors(loaded.model))
    texts = [f"{code} {text}".strip() for text in odd_texts(50) for code in codes or ("",)]
    assert again.tokenizer.source.encode(texts) == loaded.tokenizer.source.encode(texts)
    vocab = json.loads((tmp_path / "back/vocab.json").read_text())
    assert {*codes} <= vocab.keys()


def test_search_and_sizes_are_described(tmp_path: Path) -> None:
    given = settings_of("post", "search.beam_size=3", "search.length_penalty=0.6", "search.no_repeat_ngram=2",
                        "length.max_source=700")  # fmt: skip
    HuggingFace().write(trained(given), given, tmp_path)
    found = json.loads((tmp_path / "generation_config.json").read_text())
    expected = {"num_beams": 3, "length_penalty": 0.6, "max_length": 21, "no_repeat_ngram_size": 2}
    assert {key: found[key] for key in expected} == expected
    assert found["bad_words_ids"] == [[0], [BOS]] and found["decoder_start_token_id"] == BOS
    assert json.loads((tmp_path / "config.json").read_text())["max_position_embeddings"] == 701
    assert (tmp_path / "model.safetensors").stat().st_mode == (tmp_path / "config.json").stat().st_mode


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from seq2seq.errors import ConfigError

    monkeypatch.setattr(HuggingFace, "packages", ("transformers_that_is_not_there",))
    with pytest.raises(ConfigError, match=r"pip install 'seq2seq\[huggingface\]'"):
        HuggingFace.versions()


@pytest.fixture(scope="module", params=KINDS)
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A model of ours with its settings, and its folder as transformers loads it."""
    transformers = pytest.importorskip("transformers")
    path = tmp_path_factory.mktemp("folder")
    made, given = export(path, request.param)
    return (
        made,
        given,
        transformers.AutoModelForSeq2SeqLM.from_pretrained(path).eval(),
        transformers.AutoTokenizer.from_pretrained(path),
        HuggingFace().exported(path),
    )


def test_transformers_has_the_same_log_probabilities(both: Any) -> None:
    made, _, theirs, _, _ = both
    draw = torch.Generator().manual_seed(0)
    sources = [torch.randint(4, made.tokenizer.source.size, (n,), generator=draw).tolist() for n in (9, 1, 30)]
    source, mask = collate_sources(sources)
    drawn = torch.randint(4, made.tokenizer.target.size, (3, 8), generator=draw)
    target_in = torch.cat((torch.full((3, 1), BOS), drawn), 1)
    with torch.no_grad():
        memory = made.model.encode(source, mask)
        ours = made.model.generator.log_probs(made.model.decode(target_in, memory), memory.tokens)
        logits = theirs(input_ids=source, attention_mask=mask.long(), decoder_input_ids=target_in).logits
    assert torch.allclose(logits.log_softmax(-1), ours, atol=1e-4)


@pytest.mark.parametrize("beams", [1, 4])
def test_transformers_has_the_same_outputs(both: Any, beams: int) -> None:
    """With the folder's own configuration of generation; and those that the export is checked with."""
    made, _, theirs, tokenizer, exported = both
    texts = TEXT[:40]
    inputs = tokenizer(texts, return_tensors="pt", padding=True)
    search = GreedySearch(max_length=20, max_length_ratio=1e3)
    if beams > 1:
        search = BeamSearch(beam_size=4, length_penalty=1.0, max_length=20, max_length_ratio=1e3)
    with torch.no_grad():
        outputs = theirs.generate(**inputs, num_beams=beams)
    sources = made.tokenizer.source.encode(texts)
    found = decode(made.model, search, sources, device=torch.device("cpu"), tokens_per_batch=500)
    ours = [hypotheses[0].tokens for hypotheses in found]
    if beams == 1:
        assert exported.greedy(sources, [19] * len(sources)) == ours
        limits = [3, 7] * (len(sources) // 2)
        assert exported.greedy(sources, limits) == [row[:limit] for row, limit in zip(ours, limits, strict=True)]
    ended = [(row, output) for row, output in zip(ours, outputs.tolist(), strict=True) if len(row) < 19 or beams == 1]
    assert len(ended) >= 5 or made.model.generator.output.bias is None
    for row, output in ended:  # of a beam that reaches the limit transformers counts the end symbol as certain
        assert output[1 : output.index(EOS, 1)] == row


@pytest.mark.parametrize(
    "tokenizer",
    [
        {},
        {"model_type": "unigram", "vocab_size": 350},
        {"normalization": "nmt_nfkc_cf", "byte_fallback": False, "vocab_size": 80},
        {"normalization": "nfkc", "symbols": SYMBOLS},
        {"model_type": "char"},
    ],
)
def test_a_thousand_odd_texts_have_the_same_tokens(tmp_path: Path, tokenizer: dict[str, Any]) -> None:
    transformers = pytest.importorskip("transformers")
    made, _ = export(tmp_path, "post", **tokenizer)
    theirs = transformers.AutoTokenizer.from_pretrained(tmp_path)
    texts = [*odd_texts(1000), *(f"{symbol} {text}{symbol}" for symbol in SYMBOLS for text in odd_texts(20))]
    for text, ids in zip(texts, made.tokenizer.source.encode(texts), strict=True):
        assert theirs(text)["input_ids"] == [*ids, EOS], text
        assert theirs(text_target=text)["input_ids"] == [*ids, EOS], text
    rows = made.tokenizer.target.encode(TEXT[:20])
    assert [text.strip() for text in made.tokenizer.target.decode(rows)] == theirs.batch_decode(rows)


def test_the_command_checks_the_export(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("transformers")
    from seq2seq.format.check import write_checked
    from seq2seq.format.sentences import Sentences

    caplog.set_level(logging.INFO)
    given = settings_of("pre")
    made = trained(given)
    write_checked(HuggingFace(), made, replace(given), tmp_path, Sentences(TEXT[:30], "a test"))
    assert "checked with 30 sentences of a test: equal outputs" in caplog.text
