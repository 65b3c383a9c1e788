"""The files beside the weights that transformers reads: the configurations of model, generation and tokenizer, and the
vocabularies."""

import json
from typing import Any

from seq2seq.config.schema import TrainSettings
from seq2seq.huggingface.marian_vocabulary import SOURCE, TARGET, name_there
from seq2seq.tokenizer import Tokenizer, Vocabulary
from seq2seq.types import BOS, EOS, PAD

POSITIONS = 512  # at least: the usual number of MarianMT
ARCHITECTURES = {"marian": "MarianMTModel", "pegasus": "PegasusForConditionalGeneration"}
FAMILIES = {"post": "marian", "pre": "pegasus"}
IDS = {"pad_token_id": PAD, "eos_token_id": EOS, "decoder_start_token_id": BOS}


def model_configuration(settings: TrainSettings, source_size: int, target_size: int) -> dict[str, Any]:
    """config.json of a model with vocabularies of these sizes."""
    encoder, decoder = settings.encoder.arguments, settings.decoder.arguments
    family = FAMILIES[encoder["norm"]]
    sides = {"encoder": encoder, "decoder": decoder}
    shared = settings.tie == "all"
    marian = {"decoder_vocab_size": target_size, "share_encoder_decoder_embeddings": shared}
    return {
        **{"architectures": [ARCHITECTURES[family]], "model_type": family, "is_encoder_decoder": True},
        "d_model": encoder["hidden_size"],
        **{f"{side}_layers": given["layers"] for side, given in sides.items()},
        **{f"{side}_attention_heads": given["heads"] for side, given in sides.items()},
        **{f"{side}_ffn_dim": given["inner_size"] for side, given in sides.items()},
        **{f"{side}_layerdrop": given["layer_drop"] for side, given in sides.items()},
        "activation_function": encoder["activation"],
        **{key: decoder[key] for key in ("dropout", "attention_dropout", "activation_dropout")},
        **{"vocab_size": source_size, **(marian if family == "marian" else {})},
        # Without a shared table Pegasus has three, which hold the same numbers where ours are tied.
        "tie_word_embeddings": shared or (family == "marian" and settings.tie == "target"),
        "max_position_embeddings": _positions(settings),
        **{"scale_embedding": settings.embedding.scale, "dtype": "float32", "use_cache": True, "bos_token_id": None},
        **{**IDS, "forced_eos_token_id": EOS},
    }


def _positions(settings: TrainSettings) -> int:
    """As many as any text of this run has; ours have no limit."""
    length, longest = settings.length, settings.search.arguments.get("max_length", 0)
    return max(POSITIONS, length.max_source + 1, length.max_target + 1, longest + 1)


def generation(settings: TrainSettings) -> dict[str, Any]:
    """generation_config.json: the run's search as far as it can be expressed. Their lengths count the start token."""
    given = settings.search.arguments
    beams = {"num_beams": given.get("beam_size", 1)}
    if beams["num_beams"] > 1:
        beams |= {"length_penalty": given.get("length_penalty", 1.0), "early_stopping": True}
    return {
        **beams,
        "do_sample": False,
        "max_length": given["max_length"] + 1,
        "min_length": given.get("min_length", 0),
        "no_repeat_ngram_size": given.get("no_repeat_ngram", 0),
        "bad_words_ids": [[PAD], [BOS]],
        **{**IDS, "forced_eos_token_id": EOS},
    }


def tokenizer_configuration(settings: TrainSettings, *, separate: bool) -> dict[str, Any]:
    """tokenizer_config.json."""
    special = {"unk_token": "<unk>", "eos_token": "</s>", "pad_token": "<pad>"}
    return {
        "tokenizer_class": "MarianTokenizer",
        **special,
        "model_max_length": _positions(settings),
        "separate_vocabs": separate,
        "clean_up_tokenization_spaces": False,  # it would remove spaces before punctuation
        "source_lang": settings.data.arguments.get("source_language"),
        "target_lang": settings.data.arguments.get("target_language"),
    }


def vocabulary_files(tokenizer: Tokenizer, *, separate: bool) -> dict[str, bytes]:
    """The SentencePiece models, and the ids of their pieces; of two vocabularies with the same pieces once."""
    files = {SOURCE: tokenizer.source.model, TARGET: tokenizer.target.model, "vocab.json": _ids(tokenizer.source)}
    return files | ({"target_vocab.json": _ids(tokenizer.target)} if separate else {})


def _ids(vocabulary: Vocabulary) -> bytes:
    pieces = [vocabulary.processor.id_to_piece(index) for index in range(vocabulary.size)]
    return json.dumps({name_there(piece): index for index, piece in enumerate(pieces)}, ensure_ascii=False).encode()
