"""Which parts can be combined: checked from the classes' declarations, before anything is built."""

from typing import Any

from seq2seq.config.schema import TrainSettings
from seq2seq.model.builder import attends_to_itself, position_arguments, position_of
from seq2seq.types import Capability, Part

NEEDING_WEIGHTS = {
    "search": ("coverage_penalty",),
    "objective": ("alignment", "attention_coverage", "attention_entropy"),
}


def problems(settings: TrainSettings) -> list[str]:
    """One line for each reason why these parts cannot work together; empty if they can."""
    return [*_unmet_needs(settings), *_width_problems(settings), *_tying_problems(settings)]


def _unmet_needs(settings: TrainSettings) -> list[str]:
    groups = ("encoder", "pooling", "attention", "decoder", "generator", "search", "objective")
    parts = {group: getattr(settings, group) for group in groups}
    given: set[Capability] = set()
    for part in parts.values():
        given |= _target(part).gives(**part.arguments)
    if _joint(settings):
        given.add(Capability.JOINT_VOCABULARY)
    lines = []
    for group, part in parts.items():
        missing = _target(part).needs(**part.arguments) - given
        lines += [
            f"{_choice(group, part)}{_conflict(group, need, settings)}: it needs {need.value}" for need in missing
        ]
    return lines


def _choice(group: str, part: Part) -> str:
    """The choice as typed, or the first of its keys that needs weights."""
    for key in NEEDING_WEIGHTS.get(group, ()):
        if value := part.arguments.get(key):
            return f"{group}.{key}={value}"
    return f"{group}={part.name}"


def _conflict(group: str, need: Capability, settings: TrainSettings) -> str:
    """The conflicting part, if it is another one."""
    guilty = {Capability.ALIGNED_MEMORY: "pooling", Capability.CONTEXT: "attention", Capability.WEIGHTS: "attention"}
    other = guilty.get(need, group)
    return "" if other == group else f" cannot be combined with {other}={getattr(settings, other).name}"


def _width_problems(settings: TrainSettings) -> list[str]:
    encoder, attention, decoder, pooling = settings.encoder, settings.attention, settings.decoder, settings.pooling
    query_dim = _target(decoder).query_dim(**decoder.arguments)
    memory_dim = _target(encoder).output_dim(**encoder.arguments)
    found = [
        _target(encoder).problem(**encoder.arguments),
        _target(pooling).problem(memory_dim=memory_dim, **pooling.arguments),
        _target(decoder).problem(**decoder.arguments),
        _target(attention).problem(query_dim=query_dim, memory_dim=memory_dim, **attention.arguments),
    ]
    for part in (encoder, decoder):
        if attends_to_itself(part):
            heads = part.arguments["heads"]
            found.append(_target(settings.self_attention).problem(heads=heads, **settings.self_attention.arguments))
        position = position_of(settings, part)
        if position is not None:
            supplied = position_arguments(settings, part)
            found.append(_target(position).problem(**supplied, **position.arguments))
    return [line for line in dict.fromkeys(found) if line]


def _tying_problems(settings: TrainSettings) -> list[str]:
    if settings.tie == "all" and not _joint(settings):
        return ["tie=all shares one embedding between source and target: it needs tokenizer.joint=true"]
    return []


def _joint(settings: TrainSettings) -> bool:
    return bool(settings.tokenizer.arguments["joint"])


def _target(part: Part) -> Any:
    return part.target
