"""Write training data with a trained run (distillation, back-translation).

seq2seq augment run=NAME output=FOLDER [input=FILE]; the sources of the run's training pairs without an input
"""

from seq2seq.config import Script
from seq2seq.config.schema import AugmentSettings

SCRIPT = Script(
    "augment",
    AugmentSettings,
    run="seq2seq.inference.augmentation.augmentation:augment",
    checks=("seq2seq.model.legality:problems",),
)
