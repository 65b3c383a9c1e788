"""The command doctor: reads a corpus, reports what is wrong with it and with the machine, and writes a cleaned copy."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from seq2seq.analysis.doctor.cleaned_copy import check_folder, write_cleaned
from seq2seq.analysis.doctor.look import Looked, look, text_of
from seq2seq.analysis.doctor.machine import Machine, machine_findings, this_machine
from seq2seq.analysis.doctor.report import Report, in_order
from seq2seq.analysis.doctor.tokens import Tokens, count_tokens
from seq2seq.config.command_line.program import command_line
from seq2seq.config.schema import DoctorSettings, TrainSettings
from seq2seq.config.stored_run import run_path
from seq2seq.data.checks.findings import Finding
from seq2seq.errors import memory_errors
from seq2seq.inference.line_output import write_text
from seq2seq.streams import visible


@memory_errors("preparing the data")
def examine(script: DoctorSettings, settings: TrainSettings) -> None:
    """Print the report, write `json` and `fix` where they are given. What is found is no error.

    Raises DataError for files that are missing, ConfigError for a folder that has files already.
    """
    if script.fix is not None:
        check_folder(Path(script.fix))
    looked = look(text_of(settings), Path(settings.cache_dir))
    tokens = count_tokens(settings, looked) if script.tokens else Tokens("not counted (tokens=false)")
    machine = this_machine({"runs": run_path(settings.run).parent, "cache_dir": Path(settings.cache_dir)})
    findings = in_order([*looked.findings, *tokens.findings, *machine_findings(machine)])
    again = command_line("doctor", settings.command)
    report = Report(looked, tokens, machine, findings, script, again)
    if script.json is not None:
        write_text(script.json, as_json(looked, tokens, machine, findings))
    print(visible("\n".join(report.lines()).lstrip("\n")))
    if script.fix is not None:
        for line in write_cleaned(script, settings, looked):
            print(visible(line))


def as_json(looked: Looked, tokens: Tokens, machine: Machine, findings: list[Finding]) -> str:
    """The same for other programs. Places of `rows` are counted from 1."""
    content: dict[str, Any] = {
        "splits": {split: _split(split, looked, tokens) for split in looked.surveys},
        "tokenizer": tokens.vocabulary,
        "findings": [{**asdict(finding), "rows": [row + 1 for row in finding.rows]} for finding in findings],
        "machine": asdict(machine),
    }
    return json.dumps(content, ensure_ascii=False, indent=2) + "\n"


def _split(split: str, looked: Looked, tokens: Tokens) -> dict[str, Any]:
    found = looked.surveys[split]
    sides = {}
    for name in ("source", "target"):
        side = found.side(name)
        measures = {"words": side.words, "characters": side.characters}
        if (split, name) in tokens.lengths:
            measures["tokens"] = tokens.lengths[split, name]
        sides[name] = {measure: _spread(values) for measure, values in measures.items()}
    return {"pairs": len(found), **sides}


def _spread(values: np.ndarray) -> dict[str, int]:
    named = zip(("median", "95%", "99%"), np.percentile(values, [50, 95, 99]).round().astype(int).tolist(), strict=True)
    return {"sum": int(values.sum()), **dict(named), "longest": int(values.max())}
