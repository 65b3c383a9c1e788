"""Configuration: composed by Hydra, checked as a whole, handed on as plain settings. Only here is OmegaConf seen."""

from pathlib import Path

from seq2seq.config.command_line.check import Script
from seq2seq.config.command_line.launch import job, launch
from seq2seq.config.composition import Composition, compose
from seq2seq.config.loading import (
    ATTENTION_KEYS,
    COMPARE_KEYS,
    EVALUATE_KEYS,
    SCORE_KEYS,
    TRAIN_KEYS,
    TRANSLATE_KEYS,
    load_compare,
    load_run,
    load_stored,
    load_train,
)
from seq2seq.config.schema import (
    AttentionMapSettings,
    CompareSettings,
    EvaluateSettings,
    ScoreSettings,
    TrainSettings,
    TranslateSettings,
)
from seq2seq.config.stored_run import read_config, run_name, run_path, settle, stored_config, write_config

_PACKAGE = Path(__file__).resolve().parents[1]
# Installed, the choices lie inside the package; in a checkout, beside it.
CONFIGS = _PACKAGE / "configs" if (_PACKAGE / "configs").is_dir() else _PACKAGE.parent / "configs"

__all__ = [
    "ATTENTION_KEYS",
    "COMPARE_KEYS",
    "CONFIGS",
    "EVALUATE_KEYS",
    "SCORE_KEYS",
    "TRAIN_KEYS",
    "TRANSLATE_KEYS",
    "AttentionMapSettings",
    "CompareSettings",
    "Composition",
    "EvaluateSettings",
    "ScoreSettings",
    "Script",
    "TrainSettings",
    "TranslateSettings",
    "compose",
    "job",
    "launch",
    "load_compare",
    "load_run",
    "load_stored",
    "load_train",
    "read_config",
    "run_name",
    "run_path",
    "settle",
    "stored_config",
    "write_config",
]
