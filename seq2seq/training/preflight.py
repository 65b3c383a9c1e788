"""Checks before any data is read, in addition to those of single keys."""

from typing import Any

from seq2seq.config import CONFIGS
from seq2seq.config.metric_choices import choices_that_measure
from seq2seq.config.schema import TrainSettings
from seq2seq.model.legality import problems
from seq2seq.optimizer.build import optimizer_problems
from seq2seq.training.cuda_graphs import graph_problems
from seq2seq.training.freezing import freeze_problems
from seq2seq.training.init_from import init_from_problems
from seq2seq.training.strategy import strategy_problems
from seq2seq.training.teachers import teacher_problems
from seq2seq.training.word_vectors import vector_problems


def check(settings: TrainSettings) -> list[str]:
    """A line for each reason why these settings cannot train."""
    lines = [*problems(settings), *optimizer_problems(settings.optimizer), *_trainer_problems(settings)]
    lines += [*strategy_problems(settings.trainer.strategy), *init_from_problems(settings), *vector_problems(settings)]
    lines += [*graph_problems(settings), *teacher_problems(settings), *_logger_problems(settings)]
    return lines or freeze_problems(settings)  # which builds a model, as only sound settings can


def _trainer_problems(settings: TrainSettings) -> list[str]:
    trainer = settings.trainer
    lines = []
    if settings.precision == "int8":
        lines.append("precision=int8 is for evaluating and translating; train in auto, fp32, bf16 or fp16")
    measured = ["valid/nll", *(f"valid/{name}" for part in settings.metrics.values() for name in part().names)]
    if trainer.best_metric not in measured:
        choices = choices_that_measure(trainer.best_metric.removeprefix("valid/"), CONFIGS)
        advice = "".join(f". metrics={choice} has it" for choice in choices[:1])
        listed = ", ".join(measured)
        lines.append(f"trainer.best_metric={trainer.best_metric} is not measured; there are {listed}{advice}")
    if settings.objective.arguments.get("links") and settings.data.arguments.get("both_directions"):
        lines.append("objective.links has links of one direction: it cannot be combined with data.both_directions")
    if trainer.average > trainer.keep_last:
        lines.append(f"trainer.average={trainer.average} is more than trainer.keep_last={trainer.keep_last}")
    return lines


def _logger_problems(settings: TrainSettings) -> list[str]:
    recorders: list[tuple[Any, dict[str, Any]]] = [(part.target, part.arguments) for part in settings.logger.values()]
    return [line for recorder, arguments in recorders if (line := recorder.problem(**arguments))]
