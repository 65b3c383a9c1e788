"""A small mBART-50 folder with random weights, as transformers writes it, and its SentencePiece model."""

import io
import json
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from sample_text import sentences

CODES, LETTERS = ("de_DE", "en_XX"), "„x“!"


def write_mbart(folder: Path, *, forced: str | None = "en_XX", ending: float = 5.5, **config: Any) -> Path:
    """A folder whose generation begins targets with the code `forced`; `ending` is the bias of the end symbol, `config`
    are other values of config.json."""
    from transformers import GenerationConfig, MBartConfig, MBartForConditionalGeneration
    from transformers.models.mbart50.tokenization_mbart50 import FAIRSEQ_LANGUAGE_CODES

    folder.mkdir(parents=True, exist_ok=True)
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([*sentences(200, seed=1), *(f"{LETTERS} {text}" for text in sentences(100, seed=2))]),
        model_writer=model,
        model_type="unigram",
        vocab_size=120,
        hard_vocab_limit=False,
        normalization_rule_name="nmt_nfkc",
        minloglevel=2,
    )
    (folder / "sentencepiece.bpe.model").write_bytes(model.getvalue())
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "MBart50Tokenizer"}))
    pieces = sentencepiece.SentencePieceProcessor(model_proto=model.getvalue()).get_piece_size()
    sizes = {f"{side}_{key}": value for side in ("encoder", "decoder") for key, value in
             {"layers": 2, "attention_heads": 2, "ffn_dim": 20}.items()}  # fmt: skip
    usual = {"d_model": 16, "vocab_size": pieces + 1 + 52 + 1, "max_position_embeddings": 300, "scale_embedding": True}
    torch.manual_seed(0)
    written = MBartForConditionalGeneration(MBartConfig(**{**usual, **sizes, **config}, decoder_start_token_id=2))
    with torch.no_grad():
        for name, parameter in written.named_parameters():
            spread = 0.3 if parameter.shape[0] == usual["vocab_size"] else 0.8  # so that outputs do not repeat a token
            parameter.copy_(spread * torch.randn_like(parameter) + ("norm" in name and name.endswith("weight")))
        written.final_logits_bias.normal_(std=0.5)
        written.final_logits_bias[0, [1, 2]] += torch.tensor([-50.0, ending])  # outputs end, and have no padding
    first = pieces + 1 + FAIRSEQ_LANGUAGE_CODES.index(forced) if forced else None
    written.generation_config = GenerationConfig(
        num_beams=5, max_length=40, decoder_start_token_id=2, pad_token_id=1, eos_token_id=2, forced_bos_token_id=first
    )
    written.save_pretrained(folder)
    return folder
