"""The settings that a folder of MarianMT, Pegasus or mBART fixes: config.json in our words, and what of it we cannot
build."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from seq2seq.errors import ConfigError
from seq2seq.huggingface import mbart_vocabulary
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.vocabulary import language_codes, tokenizer_settings

FAMILIES = {"marian": "post", "pegasus": "pre", "mbart": "pre"}  # by model_type: where the layer normalisations stand
LARGEST = 10_000_000  # of a size in config.json
LONGEST = ("length.max_source", "length.max_target", "search.max_length")
ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "swish": "silu", "silu": "silu"}
CHOICES = {
    **{"encoder": "transformer", "decoder": "transformer", "attention": "multihead", "self_attention": "full"},
    **{"feed_forward": "plain", "layer_norm": "layer", "normalizer": "softmax"},
    **{"pooling": "none", "generator": "softmax"},
}
# Our key: the key of config.json that it has the value of.
SIZES = {
    "embedding.size": "d_model",
    **{f"{side}.hidden_size": "d_model" for side in ("encoder", "decoder")},
    **{f"{side}.layers": f"{side}_layers" for side in ("encoder", "decoder")},
    **{f"{side}.heads": f"{side}_attention_heads" for side in ("encoder", "decoder")},
    **{f"{side}.inner_size": f"{side}_ffn_dim" for side in ("encoder", "decoder")},
    "attention.heads": "decoder_attention_heads",
}
SHARES = {  # of training: another value may be typed
    **{f"{part}.dropout": "dropout" for part in ("embedding", "encoder", "decoder")},
    **{f"{side}.attention_dropout": "attention_dropout" for side in ("encoder", "decoder")},
    "attention.dropout": "attention_dropout",
    **{f"{side}.activation_dropout": "activation_dropout" for side in ("encoder", "decoder")},
    **{f"{side}.layer_drop": f"{side}_layerdrop" for side in ("encoder", "decoder")},
}
FIXED: dict[str, Any] = {
    **{"encoder.distinct_layers": None, "decoder.distinct_layers": None, "attention.kv_heads": None},
    **{"self_attention.kv_heads": None, "generator.bias": True, "tokenizer.symbols": [], "position.recurrent": False},
}


@dataclass(frozen=True)
class Architecture:
    """The `choices` of parts and the `values` that the folder fixes, by key, and `usual` values of training and search,
    which may be changed. `most` are the highest values of keys, as it has no more positions. `codes` are its language
    codes: texts before a source that say which language the output is to have or, if it is `coded_twice`, before source
    and target those of each. `renormalizes`: its outputs have no padding, and probabilities are those of the other
    pieces."""

    choices: Mapping[str, str]
    values: Mapping[str, Any]
    usual: Mapping[str, Any]
    codes: tuple[str, ...]
    renormalizes: bool = False
    most: Mapping[str, int] = field(default_factory=dict)
    coded_twice: bool = False

    def origin(self, key: str) -> str:
        """The key of config.json that says so, in words; nothing where there is none."""
        return f" (config.json: {SIZES[key]})" if key in SIZES else ""


def read_architecture(folder: ModelFolder) -> Architecture:
    """What the folder says. Raises ConfigError naming its file and key, with a line for each thing that we cannot
    build."""
    config = folder.config
    if lines := list(_problems(config)):
        place = folder.path / "config.json"
        raise ConfigError("\n".join(f"{place}: {line}" for line in lines))
    kind, tokenizer = tokenizer_settings(folder)
    codes, said = language_codes(folder), _generation(folder)
    activation = ACTIVATIONS[config.get("activation_function", "gelu")]
    tied, shared = config.get("tie_word_embeddings", True), _shares_embeddings(config)
    values = {
        **{key: config[theirs] for key, theirs in SIZES.items()},
        **{f"{side}.norm": FAMILIES[config["model_type"]] for side in ("encoder", "decoder")},
        **{f"{side}.activation": activation for side in ("encoder", "decoder")},
        **FIXED,
        **{"embedding.scale": config.get("scale_embedding", False) is True, "embedding.norm": _is_mbart(config)},
        **({"position.max_length": config["max_position_embeddings"]} if _is_mbart(config) else {}),
        "tie": "all" if shared else "target" if tied else "none",
        **{f"tokenizer.{key}": value for key, value in tokenizer.items()},
    }
    usual = {key: float(config.get(theirs, 0.0)) for key, theirs in SHARES.items()}
    return Architecture(
        {**CHOICES, "position": "learned" if _is_mbart(config) else "sinusoidal", "tokenizer": kind},
        values,
        {**usual, **_search(said), **_target_prefix(folder, said)},
        tuple(codes),
        said.get("renormalize_logits") is True,
        dict.fromkeys(LONGEST, config["max_position_embeddings"] - 1) if _is_mbart(config) else {},
        coded_twice=_is_mbart(config),
    )


def _is_mbart(config: Mapping[str, Any]) -> bool:
    """It has learned positions, a normalisation of the embeddings, and targets that begin with a language code."""
    return config["model_type"] == "mbart"


def _problems(config: Mapping[str, Any]) -> Iterator[str]:
    """A line for each thing that our parts cannot express, or that is no such model."""
    family = config.get("model_type")
    if not isinstance(family, str) or family not in FAMILIES:
        yield _other_family(family)
        return
    needed = ["max_position_embeddings"] if _is_mbart(config) else []
    for key in dict.fromkeys([*SIZES.values(), "vocab_size", *needed]):
        if not isinstance(config.get(key), int) or isinstance(config[key], bool) or not 0 < config[key] <= LARGEST:
            yield f"{key}: expected a whole number from 1 to {LARGEST:,}, got {config.get(key)!r:.80}"
    for key in dict.fromkeys(SHARES.values()):
        if not isinstance(config.get(key, 0.0), int | float) or not 0 <= config.get(key, 0.0) < 1:
            yield f"{key}: expected a share from 0 to below 1, got {config[key]!r:.80}"
    activation = config.get("activation_function", "gelu")
    if not isinstance(activation, str) or activation not in ACTIVATIONS:
        yield f"activation_function={activation}: ours are {', '.join(ACTIVATIONS)}"
    if not _is_mbart(config) and config.get("forced_bos_token_id") is not None:
        yield (
            f"forced_bos_token_id={config['forced_bos_token_id']}: targets would begin with two tokens "
            "(decoder_start_token_id and this one), and here they begin with one"
        )
    tied, shared = config.get("tie_word_embeddings", True), config.get("share_encoder_decoder_embeddings", True)
    if family == "marian" and shared and not tied:
        yield (
            "tie_word_embeddings=false with share_encoder_decoder_embeddings=true: here the output layer is tied to "
            "the shared embeddings, too (tie=all), or nothing is shared"
        )


def _other_family(family: Any) -> str:
    """Why a model of this type cannot be built."""
    missing = {
        "bart": "its tokenizer of bytes is no SentencePiece model",
        "m2m_100": "its positions have other wavelengths than ours, and its targets begin with two tokens",
        **dict.fromkeys(("t5", "mt5", "umt5"), "its attention is not scaled, and its feed-forward has no biases"),
    }
    why = f": {missing[family]}" if isinstance(family, str) and family in missing else ""
    return f"model_type={family!s:.80} cannot be imported{why}; {', '.join(FAMILIES)} can"


def _shares_embeddings(config: Mapping[str, Any]) -> bool:
    """Whether encoder, decoder and output layer have one table."""
    own = config.get("share_encoder_decoder_embeddings", True) if config["model_type"] == "marian" else True
    return bool(own) and bool(config.get("tie_word_embeddings", True))


def _generation(folder: ModelFolder) -> dict[str, Any]:
    """What generation_config.json, or an older config.json, says of searching."""
    return {**folder.config, **folder.optional_json("generation_config.json")}


def _search(said: Mapping[str, Any]) -> dict[str, Any]:
    """Our keys of that beam search; their longest output counts the start token, and a forced one after it."""
    beams, penalty, longest = said.get("num_beams"), said.get("length_penalty"), said.get("max_length")
    found: dict[str, Any] = {}
    if isinstance(beams, int) and beams >= 1:
        found["search.beam_size"] = beams
        found["search.length_penalty"] = float(penalty) if isinstance(penalty, int | float) else 1.0
    before = 1 if said.get("forced_bos_token_id") is None else 2
    if isinstance(longest, int) and longest > before:
        found["search.max_length"] = longest - before
    return found


def _target_prefix(folder: ModelFolder, said: Mapping[str, Any]) -> dict[str, Any]:
    """The language code that generation begins each target with, if there is one. Raises ConfigError for another
    token."""
    forced = said.get("forced_bos_token_id")
    if forced is None or not _is_mbart(folder.config):
        return {}
    for code, row in mbart_vocabulary.language_codes(folder).items():
        if row == forced:
            return {"data.target_prefix": f"{code} "}
    raise ConfigError(f"{folder.path}: forced_bos_token_id={forced} is the id of no language code")
