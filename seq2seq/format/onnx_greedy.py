"""Greedy decoding of an exported model by ONNX Runtime, without PyTorch: docs/onnx.md shows it."""

import json
from pathlib import Path

import numpy as np
import onnxruntime

PAD, BOS, EOS = 0, 2, 3


class OnnxModel:
    """An exported model, run by ONNX Runtime."""

    def __init__(self, folder: Path, threads: int = 0) -> None:
        self.config = json.loads((folder / "config.json").read_bytes())
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads  # 0: all cores
        self.encoder, self.step = (
            onnxruntime.InferenceSession(folder / name, options, providers=["CPUExecutionProvider"])
            for name in ("encoder.onnx", "decoder_step.onnx")
        )

    def greedy(self, sources: list[list[int]], limits: list[int]) -> list[list[int]]:
        """The most likely token at each step, for each source: ids without end symbols, at most so many."""
        source = np.full((len(sources), max(map(len, sources)) + 1), PAD)
        for row, ids in zip(source, sources, strict=True):
            row[: len(ids) + 1] = [*ids, EOS]
        state = run(self.encoder, {"source": source})
        token: np.ndarray = np.full(len(sources), BOS)
        outputs: list[list[int]] = [[] for _ in sources]
        start = self.config.get("target_start", [])
        for position in range(len(start) + max(limits)):
            new = run(self.step, {"token": token, "position": np.array(position), **state})
            log_probs = new.pop("log_probs")
            log_probs[:, [PAD, BOS]] = -np.inf
            token = log_probs.argmax(1) if position >= len(start) else np.full(len(sources), start[position])
            for output, index in zip(outputs, token.tolist(), strict=True):
                if EOS not in output:
                    output.append(index)
            if all(EOS in output for output in outputs):
                break
            state |= {name.removeprefix("next_"): tensor for name, tensor in new.items()}
        found = [[i for i in output if i != EOS][len(start) :] for output in outputs]
        return [output[:limit] for output, limit in zip(found, limits, strict=True)]


def run(session: onnxruntime.InferenceSession, values: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The outputs of a graph by name; it may have fewer inputs than there are values."""
    names = [output.name for output in session.get_outputs()]
    inputs = {put.name: values[put.name] for put in session.get_inputs()}
    return dict(zip(names, session.run(names, inputs), strict=True))
