"""Each preset of configs/preset/ goes with every legal encoder, attention and decoder."""

from dataclasses import replace
from typing import Any

import pytest
from contract.combinations import choices, composed, together

from seq2seq.config import CONFIGS
from seq2seq.config.command_line.preset import SIZES
from seq2seq.config.presets import LARGEST, LIMITS, PresetFile
from seq2seq.config.schema import TrainSettings
from seq2seq.model.legality import problems
from seq2seq.types import Part

PRESETS = (*LIMITS, LARGEST)
GROUPS = ("encoder", "attention", "decoder")
SECTIONS = ("embedding", "trainer")


def test_each_preset_has_a_file() -> None:
    assert set(choices("preset")) == {*PRESETS, "auto", "none"}


def laid(settings: TrainSettings, values: dict[str, Any]) -> TrainSettings:
    """The settings with a preset's values; each key must be one of the part's class or of the section."""
    for key, value in values.items():
        group, _, name = key.partition(".")
        section = getattr(settings, group)
        if group in SECTIONS:
            section = replace(section, **{name: value})
        else:
            assert name in section.arguments, key
            section = Part(section.name, section.target, {**section.arguments, name: value})
        settings = replace(settings, **{group: section})
    return settings


@pytest.mark.parametrize("preset", PRESETS)
def test_preset_goes_with_every_legal_triple(preset: str) -> None:
    file = PresetFile.read(CONFIGS / "preset" / f"{preset}.yaml")
    parts = {
        (group, name): getattr(together(turn), group) for group in GROUPS for turn, name in enumerate(choices(group))
    }
    legal = 0
    for triple in [(e, a, d) for e in choices("encoder") for a in choices("attention") for d in choices("decoder")]:
        chosen = dict(zip(GROUPS, triple, strict=True))
        settings = replace(composed(), **{group: parts[group, name] for group, name in chosen.items()})
        if problems(settings):
            continue
        legal += 1
        values = file.values({**composed().choices, **chosen})
        others = {key: value for key, value in values.items() if key.rpartition(".")[2] not in SIZES}
        assert not problems(laid(settings, values)) or not problems(laid(settings, others)), triple
        kind = 4e-3 if triple[2] in ("lstm", "gru") else 1e-3
        assert 0 < values["optimizer.lr"] <= kind
        assert {"encoder.dropout", "decoder.dropout", "decoder.hidden_size", "tokenizer.auto_size"} <= values.keys()
    assert legal > 100


NEEDED = {"external": ["metrics.external.command=cat"]}  # keys without which a choice cannot be made


@pytest.mark.parametrize("group", ["tokenizer", "schedule", "optimizer", "metrics"])
def test_preset_goes_with_every_other_choice(group: str) -> None:
    for turn, name in enumerate(choices(group)):
        settings = composed(f"{group}={name}", *NEEDED.get(name, ()))
        for preset in PRESETS:
            values = PresetFile.read(CONFIGS / "preset" / f"{preset}.yaml").values(settings.choices)
            assert laid(settings, values), turn
            if name == "noam":  # its learning rate is a scale
                assert "optimizer.lr" not in values
