"""Small MarianMT and Pegasus folders with random weights, as save_pretrained of transformers writes them."""

import io
import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from safetensors.torch import save_file
from sample_text import sentences
from torch import Tensor

ODD = "äöß ☃😀\t\u00a0\u3000\u200b漢字ﬁ²½<>[]%'\"„“—…\u0301\u202eAΩЖ٣\u2581\ufffd12 \n"
SIDES = ("source", "target")


def odd_texts(count: int, seed: int = 0) -> list[str]:
    """Sentences with odd characters in odd places."""
    draw, texts = random.Random(seed), []
    for text in sentences(count, seed):
        letters = list(text)
        for _ in range(draw.randrange(8)):
            letters.insert(draw.randrange(len(letters) + 1), draw.choice(ODD))
        texts.append("".join(letters))
    return [*texts, "", " ", "  a  b ", "\u2581", "a\u2581b", ODD, "".join(draw.choices(ODD, k=60))]


def write_folder(
    folder: Path,
    *,
    family: str = "marian",
    kind: str = "unigram",
    codes: Sequence[str] = (),
    lacking: Sequence[str] = (),
    separate: bool = False,
    renormalizes: bool = False,
    **config: Any,
) -> Path:
    """A folder of that `family`, whose SentencePiece models are of that `kind`; `lacking` are pieces that vocab.json
    lacks, `renormalizes` is a value of generation_config.json, `config` are other values of config.json. Each side's
    text has characters that the other's has not."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = {"source": sentences(200, seed=1), "target": [f"„{text}“ x!" for text in sentences(200, seed=2)]}
    pieces = {side: _train(folder / f"{side}.spm", texts[side], kind) for side in SIDES}
    if separate:
        sizes = [_write_vocab(folder / f"{name}.json", pieces[side], codes, lacking, True) for name, side in
                 (("vocab", "source"), ("target_vocab", "target"))]  # fmt: skip
    else:
        both = [*pieces["source"], *pieces["target"]]
        sizes = [_write_vocab(folder / "vocab.json", both, codes, lacking, False)] * 2
    full = {**_config(family, sizes, separate), **config}
    (folder / "config.json").write_text(json.dumps(full))
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "MarianTokenizer", "separate_vocabs": separate})
    )
    pad = full["pad_token_id"]
    generation = {"num_beams": 4, "max_length": 40, "renormalize_logits": renormalizes, "bad_words_ids": [[pad]]}
    generation |= {"pad_token_id": pad, "eos_token_id": 0}
    (folder / "generation_config.json").write_text(json.dumps({**generation, "decoder_start_token_id": pad}))
    save_file(random_tensors(full), folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def _train(path: Path, texts: Sequence[str], kind: str) -> list[str]:
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type=kind,
        vocab_size=90,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
    )
    path.write_bytes(model.getvalue())
    processor = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue())
    return [processor.id_to_piece(index) for index in range(3, processor.get_piece_size())]


def _write_vocab(
    path: Path, pieces: Sequence[str], codes: Sequence[str], lacking: Sequence[str], separate: bool
) -> int:
    names = [name for name in dict.fromkeys(["</s>", "<unk>", *codes, *pieces]) if name not in lacking]
    names.insert(2 if separate else len(names), "<pad>")  # the same row in two vocabularies
    path.write_text(json.dumps({name: row for row, name in enumerate(names)}))
    return len(names)


def _config(family: str, sizes: Sequence[int], separate: bool) -> dict[str, Any]:
    pad = 2 if separate else sizes[0] - 1
    each = {"layers": 2, "attention_heads": 2, "ffn_dim": 12, "layerdrop": 0.0}
    sides = {f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in each.items()}
    same = {"share_encoder_decoder_embeddings": not separate} if family == "marian" else {}
    return {
        **{"model_type": family, "architectures": [ARCHITECTURES[family]], "d_model": 8, **sides, **same},
        **{"vocab_size": sizes[0], "decoder_vocab_size": sizes[1], "activation_function": "swish"},
        **{"scale_embedding": True, "tie_word_embeddings": True, "is_encoder_decoder": True, "dropout": 0.1},
        **{"attention_dropout": 0.0, "activation_dropout": 0.0, "max_position_embeddings": 64},
        **{"pad_token_id": pad, "decoder_start_token_id": pad, "eos_token_id": 0, "forced_eos_token_id": 0},
    }


ARCHITECTURES = {"marian": "MarianMTModel", "pegasus": "PegasusForConditionalGeneration"}


def random_tensors(config: dict[str, Any], seed: int = 0) -> dict[str, Tensor]:
    """The tensors of such a model by name, tied ones once. Outputs end after some tokens: the end has a bias."""
    width, draw = config["d_model"], torch.Generator().manual_seed(seed)
    shapes: dict[str, tuple[int, ...]] = {}
    shared = config.get("share_encoder_decoder_embeddings", True)
    target = config["vocab_size"] if shared else config["decoder_vocab_size"]
    if shared and config["tie_word_embeddings"]:
        shapes["model.shared.weight"] = (target, width)
    else:
        shapes["model.encoder.embed_tokens.weight"] = (config["vocab_size"], width)
        shapes["model.decoder.embed_tokens.weight"] = (target, width)
    if not config["tie_word_embeddings"]:
        shapes["lm_head.weight"] = (target, width)
    for side in ("encoder", "decoder"):
        inner = config[f"{side}_ffn_dim"]
        for layer in range(config[f"{side}_layers"]):
            above = f"model.{side}.layers.{layer}"
            for block in ("self_attn", "encoder_attn")[: 1 + (side == "decoder")]:
                shapes |= {f"{above}.{block}.{part}_proj.weight": (width, width) for part in ("q", "k", "v", "out")}
                shapes |= {f"{above}.{block}.{part}_proj.bias": (width,) for part in ("q", "k", "v", "out")}
                shapes |= {f"{above}.{block}_layer_norm.{part}": (width,) for part in ("weight", "bias")}
            shapes |= {f"{above}.fc1.weight": (inner, width), f"{above}.fc1.bias": (inner,)}
            shapes |= {f"{above}.fc2.weight": (width, inner), f"{above}.fc2.bias": (width,)}
            shapes |= {f"{above}.final_layer_norm.{part}": (width,) for part in ("weight", "bias")}
        if config["model_type"] == "pegasus":
            shapes |= {f"model.{side}.layer_norm.{part}": (width,) for part in ("weight", "bias")}
    tensors = {name: 0.4 * torch.randn(shape, generator=draw) for name, shape in shapes.items()}
    for name in tensors:
        if name.endswith("norm.weight"):
            tensors[name] += 1
    bias = 0.5 * torch.randn((1, target), generator=draw)
    bias[0, 0] += 5
    return {**tensors, "final_logits_bias": bias}
