"""Train a model: python scripts/train.py [experiment=GROUP/NAME] [part=choice ...] [key=value ...]."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("train")
