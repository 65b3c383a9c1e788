"""Scheduled sampling: Bengio et al. (2015), arXiv:1506.03099; in two passes over all positions: Mihaylova and Martins
(2019), arXiv:1906.07651, section 3."""

from dataclasses import replace

import torch

from seq2seq.model.model import Model
from seq2seq.types import EOS, Batch


class ScheduledSampling:
    """Replaces a share of the decoder's inputs by tokens sampled from the model, which reads the true ones for that.

    The share grows from 0 to `share` in the first `updates` updates. Begin and end symbols are neither replaced nor put
    in. The first pass has no gradient and uses the dropout of training.
    """

    def __init__(self, *, share: float, updates: int) -> None:
        self.share = share
        self.updates = updates
        self.now = 0.0

    def begin(self, update: int) -> None:
        """Set the share of this update, counted from 1."""
        self.now = self.share * min(1.0, update / self.updates)

    @torch.no_grad()
    def __call__(self, model: Model, batch: Batch) -> Batch:
        """The batch with these inputs."""
        probs = model.log_probs(batch).exp_()
        # The largest of p / e, with e from Exponential(1), is a sample of p; a GPU need not be waited for.
        sampled = (probs / torch.empty_like(probs).exponential_()).argmax(-1)
        put_in = torch.cat((batch.target_in[:, :1], sampled[:, :-1]), 1)
        drawn = torch.rand(put_in.shape, device=put_in.device) < self.now
        replaced = drawn & (batch.target_in > EOS) & (put_in > EOS)
        torch.clear_autocast_cache()  # weights rounded here would have no gradient
        return replace(batch, target_in=torch.where(replaced, put_in, batch.target_in))
