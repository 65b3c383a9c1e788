"""The engine of this package: every model, every search, on PyTorch."""

from seq2seq.config.schema import Decoding, TrainSettings
from seq2seq.inference.engine import Engine
from seq2seq.inference.trained_model import TrainedModel, load_trained


class Ours(Engine):
    """The model itself."""

    def __init__(self) -> None:
        pass

    def load(self, script: Decoding, settings: TrainSettings) -> TrainedModel:
        """The model on its device, in its precision."""
        return load_trained(script.run, settings, script.checkpoint, script.ensemble)
