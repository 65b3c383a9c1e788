"""Export a trained model: checked against our own model, then moved to its place."""

import logging
import re
from collections.abc import Mapping
from dataclasses import replace
from inspect import signature
from pathlib import Path
from typing import Any

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config.problems import Mistakes
from seq2seq.config.schema import ExportSettings, TrainSettings
from seq2seq.format.base import Format
from seq2seq.format.check import write_checked
from seq2seq.format.folder import check_output, describe, replacing, write_manifest
from seq2seq.format.sentences import sentences_for_check
from seq2seq.inference.trained_model import TrainedModel, load_trained
from seq2seq.types import Part

log = logging.getLogger(__name__)


def export(script: ExportSettings, settings: TrainSettings) -> None:
    """Write the run's model in a format, checked, with the manifest export.json, to `output`."""
    versions = check_format(script.format, settings)
    output = Path(script.output) if script.output else export_folder(script.run, script.format, script.checkpoint)
    check_output(output)
    sentences = sentences_for_check(script.input, settings, script.sentences)
    trained = load_exact(script.run, settings, script.checkpoint)
    trained.folder.refuse_links()
    with replacing(output) as folder:
        write_checked(script.format(), trained, settings, folder, sentences)
        write_manifest(folder, describe(script.format, script.run, script.checkpoint, trained, settings, versions))
    log.info("wrote %s", output)


def check_format(part: Part, settings: TrainSettings) -> dict[str, str]:
    """The versions of the format's packages. Raises Mistakes for what it cannot express, ConfigError for a package that
    is missing."""
    target: type[Format] = part.target  # type: ignore[assignment]
    if lines := target.problems(settings, **part.arguments):
        raise Mistakes(lines)
    return target.versions()


def load_exact(run: str, settings: TrainSettings, checkpoint: str) -> TrainedModel:
    """The run's model in fp32 on the CPU."""
    return load_trained(run, replace(settings, device="cpu", precision="fp32"), checkpoint)


def export_folder(run: str, part: Part, checkpoint: str) -> Path:
    """Where an export lies by default: runs/NAME/export/, then the format, the checkpoint unless it is the best, and
    the arguments other than their defaults."""
    words = [part.name] + ([] if checkpoint == "best" else [checkpoint])
    words += [f"{key}={value}" for key, value in _unusual(part).items()]
    return RunFolder.of(run).export_folder / re.sub(r"[^\w.+=-]", "_", "-".join(words))


def _unusual(part: Part) -> Mapping[str, Any]:
    defaults = {name: argument.default for name, argument in signature(part.target).parameters.items()}
    return {key: value for key, value in sorted(part.arguments.items()) if value != defaults[key]}
