"""A Transformer of ours as a specification of CTranslate2: its weights under the names that it knows."""

from typing import Any

import torch
from torch import Tensor, nn

from seq2seq.decoder.layered import DecoderLayer
from seq2seq.decoder.transformer import TransformerDecoder
from seq2seq.encoder.transformer import TransformerEncoder, TransformerEncoderLayer
from seq2seq.feed_forward.gated import GatedFeedForward
from seq2seq.layer_norm.rms import EPS, RmsNorm
from seq2seq.layers.embedding import InputEmbedding
from seq2seq.layers.residual import Residual
from seq2seq.layers.shared_layers import in_cycle
from seq2seq.model.model import Model
from seq2seq.position.base import Position
from seq2seq.position.relative import RelativePosition
from seq2seq.position.rotary import RotaryPosition
from seq2seq.self_attention.full import FullSelfAttention

ACTIVATIONS: dict[type[nn.Module], str] = {nn.ReLU: "RELU", nn.GELU: "GELU", nn.SiLU: "SWISH"}


@torch.no_grad()
def model_spec(model: Model, max_length: int) -> Any:
    """The ctranslate2.specs.TransformerSpec, without vocabularies, of a model that has no `problems`
    (ctranslate2_limits).

    Layers that are used several times are listed as often; equal tensors are stored once.
    """
    from ctranslate2 import specs

    encoder: Any = model.encoder
    decoder: Any = model.decoder
    ours = specs.TransformerEncoderSpec(encoder.depth, **_kind(encoder))
    theirs = specs.TransformerDecoderSpec(decoder.depth, **_kind(decoder))
    _embed(ours, ours.embeddings[0], encoder.embedding, max_length)
    _embed(theirs, theirs.embeddings, decoder.embedding, max_length)
    for spec, layer in zip(ours.layer, in_cycle(list(encoder.layers), encoder.depth), strict=True):
        _layer(spec, layer, encoder.embedding.position, causal=False)
    for spec, layer in zip(theirs.layer, in_cycle(list(decoder.layers), decoder.depth), strict=True):
        _layer(spec, layer, decoder.embedding.position, causal=True)
        spec.attention = _cross_attention(layer)
    for spec, part in ((ours, encoder), (theirs, decoder)):
        if not isinstance(part.final_norm, nn.Identity):
            _norm(spec.layer_norm, part.final_norm)
    _project(theirs.projection, model.generator)
    whole = specs.TransformerSpec(ours, theirs)
    whole.config.layer_norm_epsilon = EPS  # that of both of our normalisations
    return whole


def _kind(part: TransformerEncoder | TransformerDecoder) -> dict[str, Any]:
    """What all layers of an encoder or decoder have in common."""
    from ctranslate2.specs import Activation

    layer = part.layers[0]
    network: Any = layer.feed_forward
    gated = isinstance(network, GatedFeedForward)
    return {
        "num_heads": layer.self_attention.heads,
        "pre_norm": layer.feed_forward_residual.pre,
        "activation": getattr(Activation, ACTIVATIONS[type(network.gate if gated else network.activation)]),
        "ffn_glu": gated,
        "rms_norm": isinstance(layer.feed_forward_residual.norm, RmsNorm),
        "layernorm_embedding": not isinstance(part.embedding.norm, nn.Identity),
    }


def _embed(spec: Any, table: Any, embedding: InputEmbedding, max_length: int) -> None:
    """The embeddings and their normalisation; a linear map behind the table is multiplied into it. Positions that are
    added have a table."""
    weight, scale = embedding.table.weight.detach(), embedding.scale
    if isinstance(embedding.adapt, nn.Linear):
        weight, scale = embedding.adapt(weight * scale), 1.0
    table.weight, spec.scale_embeddings = _copy(weight), float(scale)
    position = embedding.position
    if position is not None and not isinstance(position, RotaryPosition | RelativePosition):
        rows = position.embed(torch.arange(max_length), torch.zeros(1, max_length, dtype=torch.long))
        spec.position_encodings.encodings = rows.float().expand(max_length, embedding.width).contiguous()
    if not isinstance(embedding.norm, nn.Identity):
        _norm(spec.layernorm_embedding, embedding.norm)


def _layer(
    spec: Any, layer: TransformerEncoderLayer | DecoderLayer, position: Position | None, *, causal: bool
) -> None:
    """Self-attention and the feed-forward network."""
    attention, residual = layer.self_attention, layer.self_attention_residual
    assert isinstance(attention, FullSelfAttention)
    spec.self_attention = _attention_spec(residual, attention.kv_heads, position, self_attention=True)
    missing = attention.value_bias.new_zeros(attention.widths[1])  # of the keys
    bias = torch.cat((attention.query_bias, missing, attention.value_bias))
    _linear(spec.self_attention.linear[0], attention.maps.weight, bias)
    _output(spec.self_attention.linear[1], attention.output_map, residual)
    if isinstance(position, RelativePosition):
        table = position.table.weight.detach()
        spec.self_attention.relative_attention_bias = _copy(table[: len(table) // 2] if causal else table)
        spec.self_attention.relative_attention_max_distance = torch.tensor(len(position.bucket_of) - 1).int().numpy()
    _feed_forward(spec.ffn, layer.feed_forward, layer.feed_forward_residual)


def _cross_attention(layer: DecoderLayer) -> Any:
    attention: Any = layer.attention
    spec = _attention_spec(layer.attention_residual, attention.kv_heads, None, self_attention=False)
    values = attention.value_map
    _linear(spec.linear[0], attention.query_map.weight, attention.query_map.bias)
    weight = torch.cat((attention.key_map.weight, values.weight))
    _linear(spec.linear[1], weight, torch.cat((torch.zeros_like(values.bias), values.bias)))
    _output(spec.linear[2], attention.output_map, layer.attention_residual)
    return spec


def _attention_spec(residual: Residual, kv_heads: int, position: Position | None, *, self_attention: bool) -> Any:
    from ctranslate2.specs.attention_spec import MultiHeadAttentionSpec

    spec = MultiHeadAttentionSpec(
        self_attention=self_attention,
        rms_norm=isinstance(residual.norm, RmsNorm),
        num_heads_kv=kv_heads,
        rotary_dim=0 if isinstance(position, RotaryPosition) else None,  # 0: all of each head
        relative_attention_bias=isinstance(position, RelativePosition),
    )
    _norm(spec.layer_norm, residual.norm)
    return spec


def _feed_forward(spec: Any, network: Any, residual: Residual) -> None:
    _norm(spec.layer_norm, residual.norm)
    if isinstance(network, GatedFeedForward):
        gates, gated = network.widen.weight.split(network.units)
        _linear(spec.linear_0, gates, None)
        _linear(spec.linear_0_noact, gated, None)
    else:
        _linear(spec.linear_0, network.widen.weight, network.widen.bias)
    _output(spec.linear_1, network.narrow, residual)


def _output(spec: Any, linear: nn.Linear, residual: Residual) -> None:
    """The last map of a block. norm(alpha x + f(x)) is norm(x + f(x) / alpha), but for the small number in the norm."""
    bias = None if linear.bias is None else linear.bias / residual.alpha
    _linear(spec, linear.weight / residual.alpha, bias)


def _project(spec: Any, generator: Any) -> None:
    """The output layer; a linear map before it is multiplied into its weights."""
    weight, bias = generator.output.weight, generator.output.bias
    if isinstance(generator.adapt, nn.Linear):
        moved = weight @ generator.adapt.bias
        weight, bias = weight @ generator.adapt.weight, moved if bias is None else bias + moved
    _linear(spec, weight, bias)


def _norm(spec: Any, norm: Any) -> None:
    spec.gamma = _copy(norm.weight)
    if not isinstance(norm, RmsNorm):
        spec.beta = _copy(norm.bias)


def _linear(spec: Any, weight: Tensor, bias: Tensor | None) -> None:
    spec.weight = _copy(weight)
    if bias is not None:
        spec.bias = _copy(bias)


def _copy(tensor: Tensor) -> Tensor:
    """Quantization changes the tensors of a specification in place."""
    return tensor.detach().clone(memory_format=torch.contiguous_format)
