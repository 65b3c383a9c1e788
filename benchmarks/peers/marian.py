"""Hugging Face's MarianMT in the shape of our Transformer: post-norm, sinusoidal positions, one tied table."""

from typing import Any

from exchange import BOS, EOS, PAD
from transformers import MarianConfig, MarianMTModel


def fresh_model(task: dict[str, Any]) -> MarianMTModel:
    """A MarianMT with the task's widths and dropout, as from scratch."""
    sides: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        sides[f"{side}_layers"] = task[side]["layers"]
        sides[f"{side}_ffn_dim"] = task[side]["inner_size"]
        sides[f"{side}_attention_heads"] = task[side]["heads"]
    config = MarianConfig(
        vocab_size=task["vocabulary"],
        d_model=task["encoder"]["hidden_size"],
        activation_function=task["encoder"]["activation"],
        dropout=task["encoder"]["dropout"],
        attention_dropout=task["encoder"]["attention_dropout"],
        activation_dropout=task["encoder"]["activation_dropout"],
        scale_embedding=True,
        max_position_embeddings=512,
        pad_token_id=PAD,
        eos_token_id=EOS,
        bos_token_id=BOS,
        decoder_start_token_id=BOS,
        forced_eos_token_id=None,
        **sides,
    )
    return MarianMTModel(config)
