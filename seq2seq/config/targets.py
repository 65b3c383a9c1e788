"""Which classes a configuration may name, and what each one's constructor takes."""

import importlib
import inspect
import re
import traceback
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from seq2seq.config.extensions import allowed, covers
from seq2seq.config.problems import did_you_mean, show
from seq2seq.types import Component

# What the class of each part derives: what a group's other classes are is no part of it.
KINDS: Mapping[str, str] = {
    "data": "seq2seq.data.text.TextData",
    "tokenizer": "seq2seq.tokenizer.sentencepiece.SentencePiece",
    "position": "seq2seq.position.base.Position",
    "normalizer": "seq2seq.normalizer.base.Normalizer",
    "attention": "seq2seq.attention.base.Attention",
    "self_attention": "seq2seq.self_attention.base.SelfAttention",
    "feed_forward": "seq2seq.feed_forward.base.FeedForward",
    "layer_norm": "seq2seq.layer_norm.base.LayerNormalization",
    "encoder": "seq2seq.encoder.base.Encoder",
    "pooling": "seq2seq.pooling.base.Pooling",
    "decoder": "seq2seq.decoder.base.Decoder",
    "generator": "seq2seq.generator.base.Generator",
    "adapter": "seq2seq.adapter.base.Adapter",
    "objective": "seq2seq.objective.base.Objective",
    "optimizer": "torch.optim.optimizer.Optimizer",
    "schedule": "seq2seq.schedule.base.Schedule",
    "search": "seq2seq.search.base.Search",
    "metrics": "seq2seq.metrics.base.Metric",
    "logger": "seq2seq.logger.base.Recorder",
    "engine": "seq2seq.inference.engine.Engine",
    "format": "seq2seq.format.base.Format",
}


@dataclass(frozen=True)
class Targets:
    """What `_target_` may name: components below these packages, and these classes by name; in the part `kinds` names,
    only what derives the class given there."""

    packages: tuple[str, ...] = ("seq2seq",)
    names: frozenset[str] = frozenset(
        f"torch.optim.{name}" for name in ("AdamW", "Adam", "NAdam", "RAdam", "Adagrad", "Adadelta", "RMSprop", "SGD")
    )
    kinds: Mapping[str, str] = field(default_factory=lambda: KINDS, compare=False)

    def resolve(self, name: object, part: str | None = None) -> type:
        """The class called `name`, for the part of that name; raises ValueError saying why there is none. Nothing else
        is ever imported."""
        if not isinstance(name, str):
            raise ValueError(f"expected the dotted name of a class, got {show(name)}")
        packages = (*self.packages, *allowed())
        if name not in self.names and not any(covers(package, name) for package in packages):
            raise ValueError(
                f"{show(name)} is not allowed{did_you_mean(name, self.names) or '.'} "
                f"Allowed: components of {', '.join(packages)} (of your own package: extensions=[PACKAGE]), and "
                f"{', '.join(sorted(self.names))}"
            )
        if not re.fullmatch(r"\w+(\.\w+)+", name):
            raise ValueError(f"{show(name)} is not the dotted name of a class")
        module_name, _, class_name = name.rpartition(".")
        found = getattr(_module(module_name), class_name, None)
        if found is None:
            classes = [key for key, value in vars(_module(module_name)).items() if _is_component(value)]
            raise ValueError(f"module {module_name} has no class {class_name}{did_you_mean(class_name, classes)}")
        if name not in self.names and not _is_component(found):
            raise ValueError(f"{name} is not a component (a class that derives seq2seq.types.Component)")
        defined = f"{found.__module__}.{found.__qualname__}"
        if name not in self.names and not any(covers(package, defined) for package in packages):
            raise ValueError(f"{name} is {defined}, and that package is not allowed")
        if any(covers(package, name) for package in allowed()):
            _check_constructor(name, found)
        if base := self.kinds.get(part or ""):
            bases = [f"{each.__module__}.{each.__qualname__}" for each in found.__mro__]
            if base not in bases:
                raise ValueError(f"{name} cannot serve as {part} (a class that derives {base})")
            if bases[0] == base and inspect.isabstract(found):
                raise ValueError(f"{name} is the base class of every {part}; name a subclass")
        return found


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(error.name + ".")):
            raise ValueError(f"there is no module {error.name}") from None
        if not any(covers(package, f"{name}.") for package in allowed()):  # of ours, for a package that is missing here
            raise ValueError(f"{name} cannot be used here: {error}") from None
        _raise_readable(name, error)
    except Exception as error:
        _raise_readable(name, error)


def _raise_readable(name: str, error: Exception) -> NoReturn:
    """An error while a module was imported: in a user's own module it is reported with file and line."""
    if not any(covers(package, f"{name}.") for package in allowed()):
        raise error
    frames = traceback.extract_tb(error.__traceback__)
    place = "" if isinstance(error, SyntaxError) or not frames else f"{frames[-1].filename}:{frames[-1].lineno}: "
    raise ValueError(f"{name} cannot be imported: {place}{type(error).__name__}: {error}") from error


def _check_constructor(name: str, found: type) -> None:
    """Raise ValueError for a class of a user's own whose constructor cannot be read."""
    try:
        signature_of(found)
    except Exception as error:
        raise ValueError(f"{name}: its constructor cannot be read: {type(error).__name__}: {error}") from error


def _is_component(found: object) -> bool:
    return isinstance(found, type) and issubclass(found, Component)


@dataclass(frozen=True)
class Signature:
    """What a YAML file gives a class: `annotations` by argument, of which `required` have no default."""

    annotations: dict[str, Any]
    required: frozenset[str]
    wired: frozenset[str]


def signature_of(target: type) -> Signature:
    """The constructor's arguments, those that the builder supplies (`wired`) set apart."""
    wired = target.wired if issubclass(target, Component) else frozenset({"params"})
    hints = typing.get_type_hints(inspect.getattr_static(target, "__init__"))
    annotations: dict[str, Any] = {}
    required: set[str] = set()
    for name, argument in inspect.signature(target).parameters.items():
        if argument.kind is argument.VAR_KEYWORD and typing.get_origin(hints.get(name)) is typing.Unpack:
            (named,) = typing.get_args(hints[name])  # a TypedDict: **limits: Unpack[SearchLimits]
            annotations |= typing.get_type_hints(named)
            required |= named.__required_keys__
        elif argument.kind not in (argument.VAR_KEYWORD, argument.VAR_POSITIONAL):
            annotations[name] = hints.get(name, Any)
            required |= {name} if argument.default is argument.empty else set()
    return Signature(
        annotations={name: hint for name, hint in annotations.items() if name not in wired},
        required=frozenset(required - wired),
        wired=frozenset(wired),
    )
