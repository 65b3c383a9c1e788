"""MarianMT and Pegasus as their papers and config.json describe them, written down plainly."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


class Naive:
    """log p of the next piece for rows of ids without padding, from the tensors of such a folder."""

    def __init__(self, config: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        self.config = config
        self.tensors = {name: tensor.float() for name, tensor in tensors.items()}
        self.pre = config["model_type"] == "pegasus"

    def log_probs(self, source: Tensor, target_in: Tensor) -> Tensor:
        memory = self._run("encoder", self._embedded("encoder", source), None)
        states = self._run("decoder", self._embedded("decoder", target_in), memory)
        output = self._table("lm_head.weight", "model.decoder.embed_tokens.weight")
        return (states @ output.T + self.tensors["final_logits_bias"]).log_softmax(-1)

    def _table(self, *names: str) -> Tensor:
        return next(self.tensors[name] for name in (*names, "model.shared.weight") if name in self.tensors)

    def _embedded(self, side: str, ids: Tensor) -> Tensor:
        width = self.config["d_model"]
        frequencies = 10000 ** (-torch.arange(0, width, 2, dtype=torch.float64) / width)
        angles = torch.arange(ids.shape[1], dtype=torch.float64).unsqueeze(1) * frequencies
        scale = math.sqrt(width) if self.config["scale_embedding"] else 1.0
        positions = torch.cat((angles.sin(), angles.cos()), 1).float()
        return self._table(f"model.{side}.embed_tokens.weight")[ids] * scale + positions

    def _run(self, side: str, states: Tensor, memory: Tensor | None) -> Tensor:
        for number in range(self.config[f"{side}_layers"]):
            at = f"model.{side}.layers.{number}"
            heads = self.config[f"{side}_attention_heads"]
            states = self._block(f"{at}.self_attn", states, lambda x, at=at, heads=heads: self._attention(
                f"{at}.self_attn", heads, x, x, causal=memory is not None))  # fmt: skip
            if memory is not None:
                states = self._block(f"{at}.encoder_attn", states, lambda x, at=at, heads=heads: self._attention(
                    f"{at}.encoder_attn", heads, x, memory, causal=False))  # fmt: skip
            states = self._block(f"{at}.final", states, lambda x, at=at: self._linear(
                f"{at}.fc2", F.silu(self._linear(f"{at}.fc1", x))))  # fmt: skip
        return self._norm(f"model.{side}.layer_norm", states) if self.pre else states

    def _block(self, name: str, states: Tensor, block: Any) -> Tensor:
        if self.pre:
            return states + block(self._norm(f"{name}_layer_norm", states))
        return self._norm(f"{name}_layer_norm", states + block(states))

    def _attention(self, name: str, heads: int, query: Tensor, keys: Tensor, *, causal: bool) -> Tensor:
        q, k, v = (
            self._linear(f"{name}.{part}_proj", x).unflatten(-1, (heads, -1)).transpose(1, 2)
            for part, x in (("q", query), ("k", keys), ("v", keys))
        )
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if causal:
            scores = scores.masked_fill(torch.ones(scores.shape[-2:]).triu(1).bool(), -math.inf)
        return self._linear(f"{name}.out_proj", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))

    def _linear(self, name: str, states: Tensor) -> Tensor:
        return states @ self.tensors[f"{name}.weight"].T + self.tensors[f"{name}.bias"]

    def _norm(self, name: str, states: Tensor) -> Tensor:
        return F.layer_norm(
            states, states.shape[-1:], self.tensors[f"{name}.weight"], self.tensors[f"{name}.bias"], eps=1e-5
        )
