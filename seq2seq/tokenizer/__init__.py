"""SentencePiece: train, load, encode, decode."""

from seq2seq.tokenizer.sentencepiece import SentencePiece
from seq2seq.tokenizer.vocabulary import Tokenizer, Vocabulary

__all__ = ["SentencePiece", "Tokenizer", "Vocabulary"]
