"""Our Transformer's weights under the names of Hugging Face's MarianMT, so that both compute the same.

Both are post-norm with sinusoidal positions, but MarianMT puts all sines before all cosines where ours take turns
(arXiv:1706.03762, section 3.5). The layers' width has no order of its own: brought into theirs in every weight that
reads or writes it, it computes the same. Their keys have a bias, which cancels in the softmax: zero.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from seq2seq.types import BOS, PAD

BLOCKS = {
    "encoder": {"self_attention": "self_attn"},
    "decoder": {"self_attention": "self_attn", "attention": "encoder_attn"},
}
IMPOSSIBLE = -1e9  # the bias of what no search of ours ever writes
Take = Callable[[str], Tensor]


def marian_weights(ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """MarianMT's tensors, from all of our model's (`model_tensors`, of tie=all and norm=post)."""
    left = {name: tensor.detach().float().clone() for name, tensor in ours.items()}
    table = left.pop("encoder.embedding.table.weight")
    order = interleaved_order(table.shape[1])
    bias = left.pop("generator.output.bias")
    bias[[PAD, BOS]] = IMPOSSIBLE
    theirs = {"model.shared.weight": table[:, order], "final_logits_bias": bias.unsqueeze(0)}
    for side in BLOCKS:
        number = 0
        while any(name.startswith(f"{side}.layers.{number}.") for name in left):
            theirs |= _layer(left, f"{side}.layers.{number}.", BLOCKS[side], order)
            number += 1
    assert not left, f"not converted: {', '.join(left)}"
    return theirs


def interleaved_order(width: int) -> Tensor:
    """The index in our order of each of MarianMT's dimensions: first the sines, at even indices, then the cosines."""
    return torch.cat((torch.arange(0, width, 2), torch.arange(1, width, 2)))


def _layer(left: dict[str, Tensor], prefix: str, blocks: Mapping[str, str], order: Tensor) -> dict[str, Tensor]:
    """One layer's tensors; what is taken leaves `left`. Columns read the width, rows write it."""

    def take(name: str) -> Tensor:
        return left.pop(prefix + name)

    theirs: dict[str, Tensor] = {}
    for mine, yours in blocks.items():
        attention = _self_attention(take, mine) if mine == "self_attention" else _attention(take, mine)
        for part, (weight, bias) in zip("qkv", attention, strict=True):
            theirs |= {f"{yours}.{part}_proj.weight": weight[:, order], f"{yours}.{part}_proj.bias": bias}
        theirs[f"{yours}.out_proj.weight"] = take(f"{mine}.output_map.weight")[order]
        theirs[f"{yours}.out_proj.bias"] = take(f"{mine}.output_map.bias")[order]
    norms = {f"{mine}_residual": f"{yours}_layer_norm" for mine, yours in blocks.items()}
    for mine, yours in {**norms, "feed_forward_residual": "final_layer_norm"}.items():
        theirs |= {f"{yours}.{kind}": take(f"{mine}.norm.{kind}")[order] for kind in ("weight", "bias")}
    theirs |= {"fc1.weight": take("feed_forward.widen.weight")[:, order], "fc1.bias": take("feed_forward.widen.bias")}
    theirs |= {"fc2.weight": take("feed_forward.narrow.weight")[order]}
    theirs |= {"fc2.bias": take("feed_forward.narrow.bias")[order]}
    return {f"model.{prefix}{name}": tensor for name, tensor in theirs.items()}


def _self_attention(take: Take, name: str) -> list[tuple[Tensor, Tensor]]:
    """Weights and biases of queries, keys and values, which ours has in one."""
    weights = take(f"{name}.maps.weight").chunk(3)
    query, value = take(f"{name}.query_bias"), take(f"{name}.value_bias")
    return list(zip(weights, (query, torch.zeros_like(query), value), strict=True))


def _attention(take: Take, name: str) -> list[tuple[Tensor, Tensor]]:
    """The same of an attention that reads the memory."""
    query, keys, values = (take(f"{name}.{part}_map.weight") for part in ("query", "key", "value"))
    bias = take(f"{name}.query_map.bias")
    return [(query, bias), (keys, torch.zeros_like(bias)), (values, take(f"{name}.value_map.bias"))]
