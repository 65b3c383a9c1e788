"""Look into a model: the attention weights behind one translation."""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seq2seq.data.batches import collate_sources
from seq2seq.model.model import Model
from seq2seq.training.device import Runtime
from seq2seq.types import BOS

END = "</s>"  # how figures show the end symbol


def attention_weights(
    model: Model, source: Sequence[int], target: Sequence[int], runtime: Runtime
) -> Float[Tensor, "H T S"] | None:
    """The last layer's weights, head by head, with the target forced, end symbols included on both sides.

    None if the model has no attention. Search need not keep weights: forcing its result gives the same ones.
    """
    if not len(source):
        return None
    ids, mask = (part.to(runtime.device) for part in collate_sources([source]))
    target_in = torch.tensor([[BOS, *target]], device=runtime.device)
    training = model.training
    model.eval()
    with torch.inference_mode(), runtime.autocast():
        decoded = model.decoder(target_in, model.start(model.encode(ids, mask)), need_weights=True)
    model.train(training)
    weights = decoded.attended[-1].weights
    return None if weights is None else weights[0].float().cpu()
