"""config.json in our words, and a line for each thing that cannot be built."""

import json
from pathlib import Path
from typing import Any

import pytest
from marian_folder import write_folder

from seq2seq.errors import ConfigError
from seq2seq.huggingface.architecture import read_architecture
from seq2seq.huggingface.folder import ModelFolder


def read(path: Path, **changes: Any) -> Any:
    """The architecture of a folder whose config.json has these values; None: without the key."""
    write_folder(path)
    config = {**json.loads((path / "config.json").read_text()), **changes}
    kept = {key: value for key, value in config.items() if value is not None}
    (path / "config.json").write_text(json.dumps(kept))
    return read_architecture(ModelFolder(path, f"hf:{path}"))


def test_settings_of_a_folder(tmp_path: Path) -> None:
    found = read(tmp_path, attention_dropout=0.2, encoder_layerdrop=0.05)
    assert found.choices["encoder"] == "transformer" and found.choices["tokenizer"] == "unigram"
    expected = {
        **{"encoder.hidden_size": 8, "decoder.layers": 2, "attention.heads": 2, "encoder.inner_size": 12},
        **{"encoder.norm": "post", "decoder.activation": "silu", "tie": "all", "generator.bias": True},
        **{"tokenizer.joint": True, "tokenizer.normalization": "nmt_nfkc", "tokenizer.byte_fallback": False},
    }
    assert {key: found.values[key] for key in expected} == expected
    usual = {
        **{"embedding.dropout": 0.1, "decoder.attention_dropout": 0.2, "attention.dropout": 0.2},
        **{"encoder.layer_drop": 0.05, "search.beam_size": 4, "search.length_penalty": 1.0, "search.max_length": 39},
    }
    assert {key: found.usual[key] for key in usual} == usual


@pytest.mark.parametrize(("value", "scaled"), [(True, True), (False, False), (None, False)])
def test_embeddings_are_scaled_where_config_json_says_so(tmp_path: Path, value: bool | None, scaled: bool) -> None:
    found = read(tmp_path, scale_embedding=value)
    assert (found.values["embedding.scale"], found.values["embedding.norm"]) == (scaled, False)


def test_separate_vocabularies(tmp_path: Path) -> None:
    folder = write_folder(tmp_path, separate=True)
    found = read_architecture(ModelFolder(folder, "hf:x"))
    assert (found.values["tie"], found.values["tokenizer.joint"]) == ("target", False)


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("model_type", "bart", "model_type=bart cannot be imported: its tokenizer of bytes is no SentencePiece model; "
         "marian, pegasus, mbart can"),
        ("model_type", "t5", "model_type=t5 cannot be imported: its attention is not scaled, and its feed-forward has "
         "no biases; marian, pegasus, mbart can"),
        ("model_type", "llama", "model_type=llama cannot be imported; marian, pegasus, mbart can"),
        ("model_type", None, "model_type=None cannot be imported; marian, pegasus, mbart can"),
        ("d_model", None, "d_model: expected a whole number from 1 to 10,000,000, got None"),
        ("encoder_layers", 0, "encoder_layers: expected a whole number from 1 to 10,000,000, got 0"),
        ("vocab_size", "9", "vocab_size: expected a whole number from 1 to 10,000,000, got '9'"),
        ("dropout", 1.5, "dropout: expected a share from 0 to below 1, got 1.5"),
        ("activation_function", "gelu_new", "activation_function=gelu_new: ours are relu, gelu, swish, silu"),
        ("forced_bos_token_id", 7, "forced_bos_token_id=7: targets would begin with two tokens (decoder_start_token_id "
         "and this one), and here they begin with one"),
        ("tie_word_embeddings", False, "tie_word_embeddings=false with share_encoder_decoder_embeddings=true: here the "
         "output layer is tied to the shared embeddings, too (tie=all), or nothing is shared"),
    ],
)  # fmt: skip
def test_what_cannot_be_built_is_named_with_its_key(tmp_path: Path, key: str, value: Any, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, **{key: value})
    assert str(caught.value) == f"{tmp_path / 'config.json'}: {line}"


def test_all_of_it_is_named_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, d_model=None, activation_function="gelu_new", dropout=2)
    assert len(str(caught.value).split("\n")) == 3


def test_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        read_architecture(ModelFolder(tmp_path / "opus", f"hf:{tmp_path}/opus"))
    assert str(caught.value) == (
        f"init_from=hf:{tmp_path}/opus: there is no {tmp_path}/opus/config.json; a model of the hub is fetched with: "
        f"hf download NAME --local-dir {tmp_path}/opus"
    )
