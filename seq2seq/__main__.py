"""python -m seq2seq COMMAND: the installed command by another name."""

from seq2seq.commands import main

if __name__ == "__main__":
    main()
