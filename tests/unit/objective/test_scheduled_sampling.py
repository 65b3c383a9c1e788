"""Scheduled sampling replaces the share of inputs that the update has reached, by samples of the model."""

import torch
from contract.combinations import VOCAB, Triple, some_batch

from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.objective.scheduled_sampling import ScheduledSampling
from seq2seq.types import EOS

MODEL = Triple("lstm", "luong_general", "lstm", (("attend", "after"), ("input_feeding", True)))


def test_the_share_grows_to_its_end() -> None:
    sampling, model = ScheduledSampling(share=0.5, updates=100), MODEL.model()
    batch = some_batch([5] * 60, [20] * 60)
    ordinary = batch.target_in > EOS
    shares = []
    for update in (1, 50, 100, 1000):
        sampling.begin(update)
        found = sampling(model, batch)
        changed = found.target_in != batch.target_in
        assert not changed[~ordinary].any()
        assert (found.target_in[changed] > EOS).all()
        shares.append(float(changed.sum() / ordinary.sum()))
        assert torch.equal(found.target_out, batch.target_out)
    # A sample is sometimes the true token or one of the reserved ones.
    for share, wanted in zip(shares, (0.005, 0.25, 0.5, 0.5), strict=True):
        assert 0.7 * wanted - 0.01 < share < 1.05 * wanted + 0.01


def test_inputs_are_samples_from_the_model_after_the_true_tokens() -> None:
    sampling, model = ScheduledSampling(share=1.0, updates=1), MODEL.model()
    batch = some_batch([4], [3])
    copies = some_batch([4], [3])
    many = type(copies)(*(getattr(copies, name).repeat_interleave(4000, 0) for name in copies.__dataclass_fields__))
    sampling.begin(1)
    found = sampling(model, many).target_in[:, 2]
    probs = model.log_probs(batch)[0, 1].exp()
    probs[batch.target_in[0, 2]] += probs[: EOS + 1].sum()  # where a reserved token was sampled the true one stays
    probs[: EOS + 1] = 0
    counted = found.bincount(minlength=VOCAB) / len(found)
    assert (counted - probs).abs().max() < 0.04


def test_bf16_weights_get_gradients_after_sampling() -> None:
    """Autocast caches cast weights; what it caches in the first pass has no gradient."""
    model = MODEL.model().float().train()
    objective = CrossEntropy(label_smoothing=0.1, attention_penalty=0.0, scheduled_sampling=0.5)
    objective.begin(1, 2000)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        losses = objective(model, some_batch([6, 1, 4], [3, 5, 1]))
    losses.total.backward()
    assert [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()] == []
