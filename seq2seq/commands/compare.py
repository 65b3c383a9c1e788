"""Compare runs in one table.

seq2seq compare runs=NAME,NAME,... [split=test] [output=FILE.md] [json=FILE.json]
"""

from seq2seq.config import Script
from seq2seq.config.schema import CompareSettings

SCRIPT = Script("compare", CompareSettings, run="seq2seq.analysis.comparison.comparison:compare_runs")
