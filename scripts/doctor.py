"""What is wrong with a corpus: python scripts/doctor.py and the words of train.py, or run=NAME; fix=FOLDER cleans."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("doctor")
