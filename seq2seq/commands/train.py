"""Train a model, or continue its training.

seq2seq train [experiment=GROUP/NAME] [part=choice ...] [key=value ...]
"""

from seq2seq.config import Script
from seq2seq.config.schema import TrainSettings

SCRIPT = Script(
    "train",
    TrainSettings,
    run="seq2seq.training.run:train_command",
    checks=("seq2seq.training.preflight:check",),
    size_of="seq2seq.data.text_size:training_text",
)
