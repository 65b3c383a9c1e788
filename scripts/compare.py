"""Compare runs: python scripts/compare.py runs=NAME,NAME,... [split=test] [output=FILE.md] [json=FILE.json]."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("compare")
