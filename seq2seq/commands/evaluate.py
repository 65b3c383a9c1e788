"""Score a trained model on a set of its data.

seq2seq evaluate run=NAME [split=test] [search.beam_size=5] [baseline=NAME]
"""

from seq2seq.config import Script
from seq2seq.config.schema import EvaluateSettings

SCRIPT = Script(
    "evaluate",
    EvaluateSettings,
    run="seq2seq.analysis.evaluation.evaluation:evaluate_command",
    checks=("seq2seq.model.legality:problems", "seq2seq.analysis.evaluation.typed_commands:problems"),
)
