"""Write training data with a trained run: python scripts/augment.py run=NAME output=FOLDER [input=FILE]."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("augment")
