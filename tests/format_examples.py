"""Transformers with random weights, of any of the choices of their parts, as trained runs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from contract.combinations import Triple, choice
from sample_text import sentences
from sample_text import settings as tokenizer_settings

from seq2seq.checkpoint.folder import RunFolder
from seq2seq.config.schema import TrainSettings
from seq2seq.inference.trained_model import TrainedModel
from seq2seq.model.builder import build_model
from seq2seq.model.started import started
from seq2seq.runtime.device import Runtime
from seq2seq.tokenizer import Tokenizer
from seq2seq.types import BOS, PAD, Part

TEXTS = sentences(60)
JOINT, SEPARATE = (
    tokenizer_settings(joint=joint, symbols=["<de>"]).train(TEXTS, sentences(60, seed=1)) for joint in (True, False)
)


def transformer_settings(*words: str) -> TrainSettings:
    """The settings of a small Transformer with these words (group=choice, section.key=value, key=value) on top."""
    settings = Triple("transformer", "multihead", "transformer").settings()
    search = {"beam_size": 4, "length_penalty": 1.0, "max_length": 20, "max_length_ratio": 1.0}
    settings = replace(settings, search=Part("beam", choice("search", "beam").target, {**search, "no_repeat_ngram": 0}))
    for word in words:
        key, _, text = word.partition("=")
        group, _, argument = key.partition(".")
        value = _value(text)
        old: Any = getattr(settings, group)
        new = _with(old, argument, value) if argument else choice(group, text) if isinstance(old, Part) else value
        settings = replace(settings, **{group: new})
    return settings


def _value(text: str) -> Any:
    known = {"true": True, "false": False, "null": None}
    return known[text] if text in known else int(text) if text.isdigit() else text


def _with(old: Any, argument: str, value: Any) -> Any:
    if isinstance(old, Part):
        return Part(old.name, old.target, {**old.arguments, argument: value})
    return replace(old, **{argument: value})


def trained_transformer(
    settings: TrainSettings, tokenizer: Tokenizer = JOINT, target_start: tuple[int, ...] = ()
) -> TrainedModel:
    """A model of these settings whose parameters are all random, so that each has an effect. Padding and the begin
    symbol are unlikely, as in a trained one, if it has a bias for that."""
    torch.manual_seed(2)
    model = build_model(settings, source_vocab=tokenizer.source.size, target_vocab=tokenizer.target.size).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.3 * torch.randn_like(parameter)
        if model.generator.output.bias is not None:
            model.generator.output.bias[[PAD, BOS]] -= 50
    runtime = Runtime(torch.device("cpu"), torch.float32)
    folder, begun = RunFolder(Path("runs/none")), started(model, target_start)
    return TrainedModel(folder, tokenizer, model, runtime, 1, begun, {}, target_start)
