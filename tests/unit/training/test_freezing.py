"""Frozen parameters do not change and have no optimizer state; a run with frozen parameters resumes."""

from dataclasses import replace

import pytest
import torch
from small_runs import same, settings, weights
from torch import nn

from seq2seq.errors import ConfigError
from seq2seq.model.builder import build_model
from seq2seq.training.freezing import freeze, freeze_problems
from seq2seq.training.preflight import check
from seq2seq.training.run import train


def tied() -> nn.ModuleDict:
    """An embedding tied to the output layer."""
    model = nn.ModuleDict({"embedding": nn.Embedding(5, 3), "hidden": nn.Linear(3, 3), "output": nn.Linear(3, 5)})
    model["output"].weight = model["embedding"].weight
    return model


def trained(model: nn.Module) -> set[str]:
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ("patterns", "left", "message"),
    [
        (["hidden"], {"embedding.weight", "output.bias"}, ""),
        (["*.bias"], {"embedding.weight", "hidden.weight"}, ""),
        (["embedding"], {"hidden.weight", "hidden.bias", "output.bias"}, "it is tied: output.weight"),
        (["output"], {"hidden.weight", "hidden.bias"}, "it is tied: embedding.weight"),
        (["output", "embedding"], {"hidden.weight", "hidden.bias"}, ""),
        ([], {"embedding.weight", "hidden.weight", "hidden.bias", "output.bias"}, ""),
    ],
)
def test_a_tied_parameter_is_frozen_under_all_its_names(
    patterns: list[str], left: set[str], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    model = tied()
    freeze(model, patterns)
    assert trained(model) == left
    assert caplog.text.rstrip().endswith(message)
    assert bool(caplog.text) == bool(message)


def test_freezing_everything_is_refused() -> None:
    with pytest.raises(ConfigError, match="freeze: nothing is left to train"):
        freeze(tied(), ["*"])


@pytest.mark.parametrize(
    ("patterns", "line"),
    [
        (["encodr"], "freeze: no parameter or module is called 'encodr'; did you mean encoder?"),
        (["*"], "freeze: nothing is left to train"),
        (["encoder", "decoder", "generator"], "freeze: nothing is left to train"),
    ],
)
def test_mistakes_are_reported_with_those_of_the_configuration(patterns: list[str], line: str) -> None:
    (found,) = check(replace(settings("x"), freeze=patterns))
    assert found.startswith(line)


def test_valid_patterns_are_accepted() -> None:
    assert freeze_problems(replace(settings("x"), freeze=["encoder", "*.table"])) == []


FROZEN = (
    "freeze=[encoder,'decoder.embedding.*']",
    "optimizer.weight_decay=0.5",
    "optimizer.lr=0.01",
)


@pytest.mark.usefixtures("in_its_own_folder", "without_shape_checks")
def test_frozen_parameters_do_not_change_and_the_run_resumes_bitwise(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    train(settings("whole", *FROZEN, "trainer.max_updates=8"))
    assert "M parameters, 2,796 of them trained, on cpu in fp32" in caplog.text
    assert "also frozen, because it is tied: generator.output.weight" in caplog.text
    torch.manual_seed(1)
    initial = dict(build_model(settings("whole", *FROZEN), source_vocab=600, target_vocab=600).named_parameters())
    after = weights("whole", 8)
    moved = {name for name, parameter in initial.items() if not torch.equal(parameter, after[name])}
    assert moved == {name for name in initial if not name.startswith(("encoder.", "decoder.embedding."))}
    assert {key.partition("/")[2] for key in after if "/" in key} == moved

    train(settings("parts", *FROZEN, "trainer.max_updates=4"))
    train(settings("parts", *FROZEN, "trainer.max_updates=8"))
    assert same(after, weights("parts", 8))
    with pytest.raises(ConfigError, match=r"freeze: \['encoder', 'decoder.embedding.\*'\] -> \[\]"):
        train(settings("parts", *FROZEN[1:]))
