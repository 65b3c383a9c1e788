"""Show a trained model's attention: maps, alignments, entropies.

seq2seq attention run=NAME [input=FILE] [target=FILE] [gold=FILE]
"""

from seq2seq.config import Script
from seq2seq.config.schema import AttentionMapSettings

SCRIPT = Script("attention", AttentionMapSettings, run="seq2seq.analysis.attention.maps:show_attention")
