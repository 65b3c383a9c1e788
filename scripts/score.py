"""Score given pairs: python scripts/score.py run=NAME source=FILE target=FILE [output=FILE]; or a split of its data."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("score")
