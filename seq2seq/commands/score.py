"""The log-probabilities a trained model gives to pairs.

seq2seq score run=NAME source=FILE target=FILE [output=FILE]; or a split of its data
"""

from seq2seq.config import Script
from seq2seq.config.schema import ScoreSettings

SCRIPT = Script("score", ScoreSettings, run="seq2seq.inference.scoring:score")
