"""Write a run's model in another format: python scripts/export.py run=NAME format=NAME [output=FOLDER]."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("export")
