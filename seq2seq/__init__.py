"""seq2seq: a trainer for encoder-attention-decoder models.

From a program of one's own: `Translator`, `train` and `evaluate`, and what they return and raise. They are imported
when they are first used, so `import seq2seq` takes no time.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

__all__ = [
    "Candidate",
    "CheckpointError",
    "ConfigError",
    "DataError",
    "EvaluateResult",
    "NonFiniteLossError",
    "OutOfMemoryError",
    "Seq2SeqError",
    "StorageError",
    "TrainResult",
    "Translation",
    "Translator",
    "evaluate",
    "train",
]

_MODULES = {  # of what is not an error
    "EvaluateResult": "seq2seq.analysis.evaluation.evaluate_result",
    "TrainResult": "seq2seq.training.result",
    **dict.fromkeys(("evaluate", "train"), "seq2seq.api"),
    **dict.fromkeys(("Candidate", "Translation", "Translator"), "seq2seq.inference.translator"),
}

if TYPE_CHECKING:
    from seq2seq.analysis.evaluation.evaluate_result import EvaluateResult
    from seq2seq.api import evaluate, train
    from seq2seq.errors import (
        CheckpointError,
        ConfigError,
        DataError,
        NonFiniteLossError,
        OutOfMemoryError,
        Seq2SeqError,
        StorageError,
    )
    from seq2seq.inference.translator import Candidate, Translation, Translator
    from seq2seq.training.result import TrainResult
else:  # type checkers would take every other name for one of ours

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        found = getattr(importlib.import_module(_MODULES.get(name, "seq2seq.errors")), name)
        globals()[name] = found
        return found

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
