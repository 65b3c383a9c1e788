"""CTranslate2 runs the search; the model is exported for it at first use and kept in the run's folder."""

import logging
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Literal

import torch

from seq2seq.config.problems import Mistakes, listed, show
from seq2seq.config.schema import Decoding, TrainSettings
from seq2seq.engine.ctranslate2_search import CTranslate2Model, search_problems
from seq2seq.errors import ConfigError, DataError
from seq2seq.format.ctranslate2 import CTranslate2Format
from seq2seq.format.ctranslate2_limits import longest, problems
from seq2seq.format.export import export_folder, load_exact, write_export
from seq2seq.format.folder import check_output, describe, is_current
from seq2seq.format.sentences import Sentences, sentences_for_check
from seq2seq.inference.engine import Engine
from seq2seq.inference.trained_model import TrainedModel, prefix_of
from seq2seq.runtime.device import Runtime, choose_runtime
from seq2seq.types import Part

ComputeType = Literal["auto", "float32", "float16", "bfloat16", "int16", "int8", "int8_float16", "int8_bfloat16"]
TYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16", "int8": "int8"}  # by the key `precision`
PRECISIONS = {"float32": "fp32", "bfloat16": "bf16", "float16": "fp16", "int8_float32": "int8"}
ROWS = 1024  # of the table of positions, at least
CHECKED = 50  # sentences that check an export

log = logging.getLogger(__name__)


class CTranslate2(Engine):
    """Beam search and greedy search of Transformers (`seq2seq.format.ctranslate2`); scores are those of our search.

    `compute_type` is what CTranslate2 computes in; auto: as the key `precision` says.
    """

    def __init__(self, *, compute_type: ComputeType = "auto") -> None:
        self.compute_type = compute_type

    def load(self, script: Decoding, settings: TrainSettings) -> TrainedModel:
        """The model on the settings' device. Raises Mistakes for what the engine does not have, ConfigError where the
        package, the device or the type is missing."""
        rows = max(ROWS, longest(settings)[1])
        searching = search_problems(settings.search(), settings.search.name)
        if lines := [*problems(settings, rows, key="engine"), *_own_problems(script, settings), *searching]:
            raise Mistakes(lines)
        versions = CTranslate2Format.versions()
        device = _device(settings.device)
        compute_type = self._type(device, settings.precision)
        part = Part("ctranslate2", CTranslate2Format, {"quantization": compute_type, "max_length": rows})
        trained = load_exact(script.run, settings, script.checkpoint)
        folder = _exported(part, script, trained, settings, versions)
        workers = torch.get_num_threads() if device.type == "cpu" else 1
        model = CTranslate2Model(folder, trained, device, compute_type, workers)
        log.info("engine=ctranslate2 on %s, in %s", device, model.compute_type)
        precision = PRECISIONS.get(model.compute_type, model.compute_type)
        return replace(trained, search_model=model, runtime=Runtime(device, torch.float32, name=precision))

    def _type(self, device: torch.device, precision: str) -> str:
        """The compute type, which this device has."""
        import ctranslate2

        possible = ctranslate2.get_supported_compute_types(device.type, device.index or 0)
        if self.compute_type == "auto" and precision == "auto":
            fast = choose_runtime(str(device), "auto").dtype is torch.bfloat16
            return "bfloat16" if fast and "bfloat16" in possible else "float32"
        wanted = self.compute_type if self.compute_type != "auto" else TYPES[precision]
        if wanted not in possible:
            typed = f"engine.compute_type={wanted}" if self.compute_type != "auto" else f"precision={precision}"
            raise ConfigError(f"{typed}: ctranslate2 has no {wanted} on this {device.type}: it can {listed(possible)}")
        return wanted


def _device(wanted: str) -> torch.device:
    """The device that the key `device` means."""
    import ctranslate2

    name, _, number = wanted.partition(":")
    gpus = ctranslate2.get_cuda_device_count()
    if name == "auto":
        name = "cuda" if gpus and torch.cuda.is_available() else "cpu"
    if name == "cuda" and int(number or 0) >= gpus:
        raise ConfigError(f"device={wanted}: ctranslate2 sees {gpus} CUDA devices here; use device=cpu or device=auto")
    return torch.device(name, int(number)) if number else torch.device(name)


def _own_problems(script: Decoding, settings: TrainSettings) -> Iterator[str]:
    """What only our own search has. After a target's first tokens CTranslate2's beams are others than ours."""
    for key in ("shortlist", "ensemble", "prefix"):
        if value := getattr(script, key, None):
            yield f"engine=ctranslate2 has no {key}={value}: leave out {key}, or engine=ours"
    if prefix := prefix_of(settings, "target"):
        yield f"engine=ctranslate2 has no data.target_prefix={show(prefix)}: type engine=ours"


def _exported(
    part: Part, script: Decoding, trained: TrainedModel, settings: TrainSettings, versions: dict[str, str]
) -> Path:
    """The folder of the export, which is written unless it is there, of these weights and undamaged."""
    folder = export_folder(script.run, part, script.checkpoint)
    content = describe(part, script.run, script.checkpoint, trained, settings, versions)
    if is_current(folder, content):
        return folder
    check_output(folder)
    trained.folder.refuse_links()
    log.info("exporting the weights for engine=ctranslate2 to %s", folder)
    write_export(part, trained, settings, folder, _sentences(settings), content)
    return folder


def _sentences(settings: TrainSettings) -> Sentences | None:
    """Sentences that check the export, if the data is there."""
    try:
        return sentences_for_check(None, settings, CHECKED)
    except (ConfigError, DataError):
        log.warning("the export is not checked, because the run's data cannot be read")
        return None
