"""Which parts go together: read from what their classes declare, before anything is built."""

from typing import Any

from seq2seq.config.schema import TrainSettings
from seq2seq.types import Capability, Part


def problems(settings: TrainSettings) -> list[str]:
    """One line for each reason why these parts cannot work together; empty if they can."""
    return [*_unmet_needs(settings), *_width_problems(settings), *_tying_problems(settings)]


def _unmet_needs(settings: TrainSettings) -> list[str]:
    parts = [settings.encoder, settings.attention, settings.decoder, settings.generator]
    given: set[Capability] = set()
    for part in parts:
        given |= _target(part).gives(**part.arguments)
    if _joint(settings):
        given.add(Capability.JOINT_VOCABULARY)
    lines = []
    for group, part in zip(("encoder", "attention", "decoder", "generator"), parts, strict=True):
        missing = _target(part).needs(**part.arguments) - given
        together = "" if group == "attention" else f" does not go with attention={settings.attention.name}"
        lines += [f"{group}={part.name}{together}: it needs {need.value}" for need in missing]
    return lines


def _width_problems(settings: TrainSettings) -> list[str]:
    encoder, attention, decoder = settings.encoder, settings.attention, settings.decoder
    widths = {
        "query_dim": _target(decoder).query_dim(**decoder.arguments),
        "memory_dim": _target(encoder).output_dim(**encoder.arguments),
    }
    found = (
        _target(encoder).problem(**encoder.arguments),
        _target(decoder).problem(**decoder.arguments),
        _target(attention).problem(**widths, **attention.arguments),
    )
    return [line for line in found if line]


def _tying_problems(settings: TrainSettings) -> list[str]:
    if settings.tie == "all" and not _joint(settings):
        return ["tie=all shares one embedding between source and target: it needs tokenizer.joint=true"]
    return []


def _joint(settings: TrainSettings) -> bool:
    return bool(settings.tokenizer.arguments["joint"])


def _target(part: Part) -> Any:
    return part.target
