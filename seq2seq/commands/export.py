"""Write a trained model in the format of another program.

seq2seq export run=NAME format=NAME [output=FOLDER] [input=FILE]
"""

from seq2seq.config import Script
from seq2seq.config.schema import ExportSettings

SCRIPT = Script(
    "export",
    ExportSettings,
    run="seq2seq.format.export:export",
    checks=("seq2seq.model.legality:problems",),
)
