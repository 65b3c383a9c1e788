"""Score a run: python scripts/evaluate.py run=NAME [split=test] [search.beam_size=5] [baseline=NAME]."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("evaluate")
