"""What runs a trained model's search: the interface of engine=..., and the model that a script asks for."""

from abc import ABC, abstractmethod
from inspect import signature
from typing import Any

from seq2seq.config.schema import Decoding, TrainSettings
from seq2seq.inference.trained_model import TrainedModel, load_trained
from seq2seq.types import Component

OURS = "ours"


class Engine(Component, ABC):
    """Loads trained models so that their `search_model` is searched by this engine.

    A default of the constructor is that of the YAML file: results are named by the arguments that differ.
    """

    @abstractmethod
    def load(self, script: Decoding, settings: TrainSettings) -> TrainedModel:
        """The run's model for a script. Raises Mistakes, before anything is read, for what the engine does not have."""


def load_for(script: Decoding, settings: TrainSettings) -> TrainedModel:
    """The run's model, loaded by the script's engine."""
    if script.engine is None:
        return load_trained(script.run, settings, script.checkpoint, script.ensemble)
    engine: Engine = script.engine()
    return engine.load(script, settings)


def engine_name(script: Decoding) -> str:
    """The choice of the engine."""
    return OURS if script.engine is None else script.engine.name


def changed_engine(script: Decoding) -> dict[str, Any]:
    """The engine and its arguments by key, where they are other than usual."""
    if script.engine is None or script.engine.name == OURS:
        return {}
    defaults = {name: argument.default for name, argument in signature(script.engine.target).parameters.items()}
    given = {key: value for key, value in script.engine.arguments.items() if value != defaults[key]}
    return {"engine": script.engine.name, **{f"engine.{key}": value for key, value in given.items()}}
