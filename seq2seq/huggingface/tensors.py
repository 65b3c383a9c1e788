"""The names and layouts of a model's tensors there (MarianMT, Pegasus, mBART) and here.

Three differences are more than names. Their sinusoidal positions have all sines before all cosines, ours alternate: the
channels of the states are reordered, in every tensor that reads or writes them. And a bias of the keys, which they have
and we do not, cancels in the softmax. The first two rows of their learned positions are of none.
"""

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seq2seq.errors import CheckpointError

Tensors = Mapping[str, Tensor]

NEVER = -100.0  # the output bias of an id that the model never gives: e^-100 changes no probability
# How the names of our tensors end that read the states (by their last dimension) or write them (by their first).
READING = (
    *("maps.weight", "query_map.weight", "key_map.weight", "value_map.weight"),
    *("widen.weight", "table.weight", "generator.output.weight"),
)
WRITING = (
    *("output_map.weight", "output_map.bias", "narrow.weight", "narrow.bias"),
    *("norm.weight", "norm.bias"),
)
MODULES = {  # our modules of a layer, and theirs: linear maps and normalisations, each with a weight and a bias
    "self_attention.output_map": "self_attn.out_proj",
    "self_attention_residual.norm": "self_attn_layer_norm",
    "feed_forward.widen": "fc1",
    "feed_forward.narrow": "fc2",
    "feed_forward_residual.norm": "final_layer_norm",
    "attention.query_map": "encoder_attn.q_proj",
    "attention.key_map": "encoder_attn.k_proj",
    "attention.value_map": "encoder_attn.v_proj",
    "attention.output_map": "encoder_attn.out_proj",
    "attention_residual.norm": "encoder_attn_layer_norm",
}
STACKED = {  # our tensors that are one or several of theirs, one above the other
    "self_attention.maps.weight": [f"self_attn.{part}_proj.weight" for part in "qkv"],
    "self_attention.query_bias": ["self_attn.q_proj.bias"],
    "self_attention.value_bias": ["self_attn.v_proj.bias"],
}
KEY_BIAS = {
    "self_attention.maps.weight": "self_attn.k_proj.bias",
    "attention.key_map.weight": "encoder_attn.k_proj.bias",
}
LAYER = re.compile(r"(?P<side>encoder|decoder)\.layers\.(?P<number>\d+)\.(?P<module>.+)\.(?P<kind>\w+)")
POSITIONS, NO_POSITIONS = "embedding.position.table.weight", 2  # rows before that of the first position
TABLES = {
    "encoder.embedding.table.weight": ("model.encoder.embed_tokens.weight", "model.shared.weight"),
    "decoder.embedding.table.weight": ("model.decoder.embed_tokens.weight", "model.shared.weight"),
    "generator.output.weight": ("lm_head.weight", "model.decoder.embed_tokens.weight", "model.shared.weight"),
}


def channels(width: int) -> Tensor:
    """Of each of our channels, its place among theirs: sines and cosines alternate here."""
    sines = -(-width // 2)
    order = torch.empty(width, dtype=torch.long)
    order[0::2], order[1::2] = torch.arange(sines), torch.arange(sines, width)
    return order


def reordered(name: str, tensor: Tensor, order: Tensor) -> Tensor:
    """Our tensor of this name with its channels in another order."""
    if name.endswith(READING):
        return tensor[..., order]
    return tensor[order] if name.endswith(WRITING) else tensor


def imported(theirs: Tensors, names: Sequence[str], rows: Mapping[str, Sequence[int]], never: Sequence[int]) -> Tensors:
    """Our tensors of these `names`, in fp32. `rows` are the rows there of our source and target pieces, `never` the
    target pieces that the model never gives. Raises CheckpointError for one that is missing there."""
    found = _Found({name: tensor.float() for name, tensor in theirs.items()})
    width = found["model.encoder.layers.0.fc1.weight"].shape[1]
    learned = any(name.endswith(POSITIONS) for name in names)
    order = torch.arange(width) if learned else channels(width)
    return {name: reordered(name, _ours(name, found, rows, never), order).contiguous() for name in names}


def _ours(name: str, found: "_Found", rows: Mapping[str, Sequence[int]], never: Sequence[int]) -> Tensor:
    """Our tensor of this name, with their channels."""
    if name in TABLES:
        return found.first(TABLES[name])[rows["source" if name.startswith("encoder") else "target"]]
    if name == "generator.output.bias":
        count = len(rows["target"])
        bias = (
            found["final_logits_bias"].flatten()[rows["target"]] if "final_logits_bias" in found else torch.zeros(count)
        )
        return bias.index_fill(0, torch.tensor(never, dtype=torch.long), NEVER)
    if name.endswith(POSITIONS):
        return found[f"model.{name.removesuffix(POSITIONS)}embed_positions.weight"][NO_POSITIONS:]
    return torch.cat([found[place] for place in _places(name)])


def _places(name: str) -> list[str]:
    """The names there of a tensor of a layer, or of the normalisation before the first or after the last one."""
    match = LAYER.fullmatch(name)
    if match is None:
        return [f"model.{name.replace('final_norm', 'layer_norm').replace('embedding.norm', 'layernorm_embedding')}"]
    module, kind = match["module"], match["kind"]
    inside = STACKED.get(f"{module}.{kind}") or [f"{MODULES[module]}.{kind}"]
    return [f"model.{match['side']}.layers.{match['number']}.{place}" for place in inside]


def exported(ours: Tensors, depths: Mapping[str, int], *, tie: str, family: str) -> dict[str, Tensor]:
    """Their tensors, of a model of ours with these numbers of layers, by side; layers used several times are stored as
    often. What ours lacks is zero: biases of the keys, and of an output without one."""
    order = channels(ours["encoder.embedding.table.weight"].shape[1]).argsort()
    tables = _stored_tables(tie, family)
    found: dict[str, Tensor] = {}
    for name, tensor in ours.items():
        moved = reordered(name, tensor, order)
        if name in TABLES:
            found |= {place: moved.clone() for place in tables[name]}
        elif name == "generator.output.bias":
            found["final_logits_bias"] = moved.unsqueeze(0).clone()
        else:
            found |= _of_layers(name, moved, ours, depths)
    if "final_logits_bias" not in found:
        output = found["model.shared.weight" if tie == "all" else tables["decoder.embedding.table.weight"][0]]
        found["final_logits_bias"] = output.new_zeros(1, len(output))
    return found


def _stored_tables(tie: str, family: str) -> Mapping[str, Sequence[str]]:
    """Where each table of ours is stored. Pegasus with tables of its own for both sides ties nothing."""
    encoder, decoder, output = (names[0] for names in TABLES.values())
    if tie == "all":
        return {"encoder.embedding.table.weight": ["model.shared.weight"]}
    untied = family == "pegasus"
    return {
        "encoder.embedding.table.weight": [encoder, "model.shared.weight"] if untied else [encoder],
        "decoder.embedding.table.weight": [decoder, output] if untied and tie == "target" else [decoder],
        "generator.output.weight": [output],
    }


def _of_layers(name: str, tensor: Tensor, ours: Tensors, depths: Mapping[str, int]) -> dict[str, Tensor]:
    """A tensor of a layer, for each time that the layer runs, or of the last normalisation."""
    places, match = _places(name), LAYER.fullmatch(name)
    found = {place: part.clone() for place, part in zip(places, tensor.chunk(len(places)), strict=True)}
    if match is None:
        return found
    side, number = match["side"], int(match["number"])
    above = f"model.{side}.layers.{number}"
    if bias := KEY_BIAS.get(f"{match['module']}.{match['kind']}"):
        found[f"{above}.{bias}"] = tensor.new_zeros(tensor.shape[-1])
    distinct = len({layer["number"] for layer in map(LAYER.fullmatch, ours) if layer and layer["side"] == side})
    return {
        place.replace(above, f"model.{side}.layers.{copy}"): part.clone()
        for copy in range(number, depths[side], distinct)
        for place, part in found.items()
    }


class _Found(dict[str, Tensor]):
    """Their tensors."""

    def __missing__(self, name: str) -> Tensor:
        raise CheckpointError(f"the weights have no tensor {name}")

    def first(self, names: Sequence[str]) -> Tensor:
        """The first of these that is there: tied ones are stored once, under one of their names."""
        return self[next((name for name in names if name in self), names[0])]
