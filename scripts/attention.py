"""See where a run looks: python scripts/attention.py run=NAME [input=FILE] [target=FILE] [gold=FILE]."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("attention")
