"""Word-level distillation: the equation of one and of several teachers, and a run that learns from another."""

from pathlib import Path
from typing import Any

import pytest
import torch
from contract.combinations import Triple, some_batch
from small_runs import same, settings, weights

from seq2seq.config.schema import TrainSettings
from seq2seq.errors import CheckpointError, ConfigError, DataError
from seq2seq.logger.jsonl import read_metrics
from seq2seq.objective.cross_entropy import CrossEntropy
from seq2seq.objective.distillation import Distillation, fingerprint
from seq2seq.training.preflight import check
from seq2seq.training.run import train

GIVEN: dict[str, Any] = {"label_smoothing": 0.1, "attention_penalty": 1.0}
STUDENT = Triple("lstm", "luong_general", "lstm", (("attend", "after"), ("input_feeding", False)))
TEACHERS = (Triple("transformer", "multihead", "transformer"), Triple("gru", "bahdanau", "transformer"))
BATCH = some_batch([6, 1, 4], [3, 5, 0])


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("count", [1, 2])
def test_it_is_the_cross_entropy_with_the_teachers_mean(temperature: float, count: int) -> None:
    student, teachers = STUDENT.model(), [triple.model() for triple in TEACHERS[:count]]
    objective = Distillation(teachers=teachers, weight=0.3, temperature=temperature, **GIVEN)
    losses = objective(student, BATCH)
    wanted = torch.stack([(each.log_probs(BATCH) / temperature).softmax(-1) for each in teachers]).mean(0)
    own = (student.log_probs(BATCH) / temperature).log_softmax(-1)
    expected = -(wanted * own).sum(-1)[BATCH.target_mask].sum().item() * temperature**2
    likelihood = CrossEntropy(**GIVEN)(student, BATCH)
    assert losses.terms["distillation"].item() == pytest.approx(0.3 * expected, abs=1e-9)
    assert losses.total.item() == pytest.approx(0.3 * expected + 0.7 * likelihood.total.item(), abs=1e-9)
    assert losses.nll.item() == pytest.approx(likelihood.nll.item(), abs=1e-9)
    losses.total.backward()
    assert all(each.grad is not None for each in student.parameters())
    assert all(each.grad is None for teacher in teachers for each in teacher.parameters())


def test_other_terms_are_added_whole() -> None:
    student, terms = STUDENT.model(), {"attention_entropy": 0.5, "attention_coverage": 2.0}
    plain = CrossEntropy(**GIVEN, **terms)(student, BATCH)
    losses = Distillation(teachers=[TEACHERS[0].model()], weight=0.9, temperature=1.0, **GIVEN, **terms)(student, BATCH)
    for name in terms:
        assert losses.terms[name].item() == pytest.approx(plain.terms[name].item(), abs=1e-9)
    assert losses.terms["cross_entropy"].item() == pytest.approx(0.1 * plain.terms["cross_entropy"].item(), abs=1e-9)
    assert losses.total.item() == pytest.approx(sum(term.item() for term in losses.terms.values()), abs=1e-9)


@pytest.mark.parametrize("attention", ["luong_general", "monotonic", "cosine"])
def test_the_fingerprint_is_that_of_all_weights(attention: str) -> None:
    """Some are single numbers."""
    teacher = Triple("lstm", attention, "lstm", (("attend", "after"), ("input_feeding", False))).model().bfloat16()
    found = {fingerprint(teacher)}
    for parameter in teacher.parameters():
        with torch.no_grad():
            parameter.flatten()[0].add_(1.0)
        found.add(fingerprint(teacher))
    assert len(found) == 1 + len(list(teacher.parameters()))


def student(run: str, *words: str) -> TrainSettings:
    return settings(run, "objective=distillation", "objective.weight=1.0", "teacher=taught", *words)


@pytest.mark.slow
def test_a_student_learns_from_a_run_and_continues_bitwise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    train(settings("taught"))
    for run, stops in {"whole": [12], "resumed": [4, 12]}.items():
        for stop in stops:
            train(student(run, "decoder.hidden_size=8", f"trainer.max_updates={stop}"))
    assert same(weights("whole", 12), weights("resumed", 12))
    rows = [row for row in read_metrics(Path("runs/whole/metrics.jsonl")) if "train/distillation" in row]
    assert rows[-1]["train/distillation"] < rows[0]["train/distillation"]
    assert rows[-1]["train/loss"] == pytest.approx(rows[-1]["train/distillation"], rel=1e-4)
    with pytest.raises(ConfigError, match=r"teacher=taught: its tokenizer is reused, .* tokenizer.vocab_size=600"):
        train(student("other", "tokenizer.vocab_size=500"))
    train(settings("another", "data.train=200"))
    with pytest.raises(CheckpointError, match=r"teacher=another has another vocabulary than run=third"):
        train(student("third", "teacher=[taught,another]"))
    with pytest.raises(CheckpointError, match="teacher"):
        train(student("fourth", "teacher=[missing]"))
    assert not Path("runs/third/config.yaml").exists()  # so the corrected command begins it
    train(settings("taught", "trainer.max_updates=16"))
    with pytest.raises(DataError, match=r"objective\.links or the checkpoint of a teacher has changed since step 12"):
        train(student("whole", "decoder.hidden_size=8", "trainer.max_updates=20"))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["objective=distillation"], "objective=distillation needs teacher=RUN or teacher=[RUN,...]"),
        (["teacher=[a]"], "teacher is for objective=distillation, not objective=cross_entropy"),
        (["objective=distillation", "teacher=[a]", "objective.weight=2"], "objective.weight must lie in [0, 1], not 2"),
        (
            ["objective=distillation", "teacher=[a]", "objective.temperature=0"],
            "objective.temperature must be above 0, not 0",
        ),
        (
            ["attention=none", "objective.attention_entropy=0.5"],
            "objective.attention_entropy=0.5 cannot be combined with attention=none: it needs an attention",
        ),
    ],
)
def test_settings_that_do_not_fit_are_reported(words: list[str], message: str) -> None:
    assert any(line.startswith(message) for line in check(settings("r", *words)))
