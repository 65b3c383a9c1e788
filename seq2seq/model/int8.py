"""A trained model's large matrix products in 8-bit integers, on a CPU: dynamic quantisation, as in Jacob et al. (2018),
arXiv:1712.05877, section 2, by torch's own kernels."""

import warnings

from torch import nn

from seq2seq.attention.multihead import MultiHeadAttention
from seq2seq.decoder.carrying import CarryingBlock
from seq2seq.errors import ConfigError
from seq2seq.feed_forward.base import FeedForward
from seq2seq.generator.softmax import SoftmaxGenerator
from seq2seq.model.model import Model
from seq2seq.self_attention.full import FullSelfAttention

# The modules whose linear maps are rounded.
HOLDERS = (FullSelfAttention, CarryingBlock, MultiHeadAttention, FeedForward, SoftmaxGenerator)


def to_int8(model: Model) -> None:
    """Round the weights of a Transformer's linear maps and of any output layer, with a scale for each row; inputs are
    rounded at run time, with a scale for each batch. Embeddings and recurrent cells are not rounded.

    Raises ConfigError if torch has no such kernels.
    """
    for holder in model.modules():
        if isinstance(holder, HOLDERS):
            for name, child in list(holder.named_children()):
                if type(child) is nn.Linear:
                    setattr(holder, name, _rounded(child))


def _rounded(linear: nn.Linear) -> nn.Module:
    """The same map with its weights in int8."""
    try:
        from torch.ao.quantization import per_channel_dynamic_qconfig, quantize_dynamic
    except ImportError as error:
        raise ConfigError("precision=int8: this PyTorch has no dynamic quantisation; use fp32 or bf16") from error
    with warnings.catch_warnings():
        # Its replacement is many times slower on a CPU.
        warnings.filterwarnings("ignore", message="(?s).*deprecated")
        around = quantize_dynamic(nn.Sequential(linear), {"0": per_channel_dynamic_qconfig})
    return around[0]
