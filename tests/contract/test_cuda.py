"""Results on a GPU equal those on a CPU."""

from pathlib import Path

import pytest
import torch
from contract.combinations import Triple, some_batch

from seq2seq.config import CONFIGS, compose, load_train
from seq2seq.logger.jsonl import read_metrics
from seq2seq.runtime.device import choose_runtime
from seq2seq.search.beam import BeamSearch
from seq2seq.search.greedy import GreedySearch
from seq2seq.search.sampling import SamplingSearch
from seq2seq.training.run import train

pytestmark = pytest.mark.gpu
CUDA = torch.device("cuda")
LIMITS = {"max_length": 9, "max_length_ratio": 1.0}
TRIPLES = [
    Triple("lstm", "bahdanau", "lstm", (("attend", "before"), ("input_feeding", True))),
    Triple("gru", "luong_general", "gru", (("attend", "after"), ("input_feeding", False))),
    Triple("transformer", "multihead", "transformer"),
    Triple("lstm", "none", "gru", (("attend", "after"), ("input_feeding", False))),
]


@pytest.mark.parametrize("triple", TRIPLES, ids=str)
def test_loss_gradients_and_hypotheses_equal_those_on_a_cpu(triple: Triple) -> None:
    batch, found = some_batch([6, 1, 4], [3, 5, 0]), []
    for device in (torch.device("cpu"), CUDA):
        model, here = triple.model().train().to(device), batch.to(device)  # cuDNN: no backward in eval mode
        losses = model.loss(here, 0.1)
        losses.loss.backward()
        gradients = {name: p.grad.cpu() for name, p in model.named_parameters() if p.grad is not None}
        model.eval()
        with torch.no_grad():
            beams = BeamSearch(beam_size=3, length_penalty=1.0, **LIMITS)(model, here.source, here.source_mask)
            greedy = GreedySearch(**LIMITS)(model, here.source, here.source_mask)
        found.append((float(losses.loss), gradients, [[h.tokens for h in hs] for hs in (*beams, *greedy)]))
    (loss, gradients, tokens), (other_loss, other_gradients, other_tokens) = found
    assert loss == pytest.approx(other_loss, abs=1e-9)
    assert all((gradients[name] - other_gradients[name]).abs().max() < 1e-9 for name in gradients)
    assert tokens == other_tokens


def test_cudnn_attention_is_disabled() -> None:
    """It makes a new plan for every shape."""
    before = torch.backends.cuda.cudnn_sdp_enabled()
    try:
        torch.backends.cuda.enable_cudnn_sdp(True)
        assert choose_runtime("cuda", "bf16").device.type == "cuda"
        assert not torch.backends.cuda.cudnn_sdp_enabled()
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)


def test_sampling_on_a_gpu() -> None:
    model, batch = TRIPLES[0].model().to(CUDA), some_batch([6, 1], [1, 1]).to(CUDA)
    search = SamplingSearch(samples=2, temperature=1.0, top_k=5, top_p=0.9, seed=1, **LIMITS)
    with torch.no_grad():
        first = search(model, batch.source, batch.source_mask)
        assert first == search(model, batch.source, batch.source_mask)


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_a_run_on_a_gpu_learns(precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    sizes = ["data.train=2000", "data.valid=50", "data.test=50", "tokenizer.vocab_size=800", "schedule=constant"]
    loop = ["trainer.max_updates=60", "trainer.validate_every=30", "trainer.tokens_per_update=2000"]
    words = [*sizes, *loop, "device=cuda", f"precision={precision}", "run=gpu", "optimizer.lr=0.003"]
    train(load_train(compose(CONFIGS, "train", words)))
    nll = [line["valid/nll"] for line in read_metrics(Path("runs/gpu/metrics.jsonl")) if "valid/nll" in line]
    assert nll[1] < nll[0] < 7
