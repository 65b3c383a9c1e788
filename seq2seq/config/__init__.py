"""Configuration: composed by Hydra, checked as a whole, handed on as plain settings. Only here is OmegaConf seen."""

from seq2seq.config.command_line.script import Script
from seq2seq.config.composition import Composition, compose
from seq2seq.config.loading import load_own, load_run, load_stored, load_train
from seq2seq.config.paths import CONFIGS
from seq2seq.config.stored_run import effective_settings, read_config, run_name, run_path, stored_config, write_config

__all__ = [
    "CONFIGS",
    "Composition",
    "Script",
    "compose",
    "effective_settings",
    "load_own",
    "load_run",
    "load_stored",
    "load_train",
    "read_config",
    "run_name",
    "run_path",
    "stored_config",
    "write_config",
]
