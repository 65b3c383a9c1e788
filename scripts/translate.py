"""Translate text: python scripts/translate.py run=NAME [input=FILE] [output=FILE]; stdin to stdout without them."""

from seq2seq.commands import run

if __name__ == "__main__":
    run("translate")
