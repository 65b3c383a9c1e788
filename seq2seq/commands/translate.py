"""Write one output line for each input line.

seq2seq translate run=NAME [input=FILE] [output=FILE]; stdin to stdout without them
"""

from seq2seq.config import Script
from seq2seq.config.schema import TranslateSettings

SCRIPT = Script(
    "translate",
    TranslateSettings,
    run="seq2seq.inference.translation:translate",
    checks=("seq2seq.model.legality:problems",),
)
