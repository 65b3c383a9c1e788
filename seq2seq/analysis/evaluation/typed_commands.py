"""Whether each command that an evaluation would run was typed."""

from seq2seq.config.schema import TrainSettings


def problems(settings: TrainSettings) -> list[str]:
    """A line for each argument of a metric that only what is typed may give, and that was not typed."""
    missing = [
        f"metrics.{name}.{argument}"
        for name, part in settings.metrics.items()
        for argument in sorted(getattr(part.target, "typed_only", ()))
        if part.arguments.get(argument) is None
    ]
    return [
        f"{key}: a command in a run's config.yaml is never run, because a run may come from anyone. If you trust it, "
        f"type it: {key}='...'; or choose other metrics: metrics=translation"
        for key in missing
    ]
