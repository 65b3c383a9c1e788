"""SentencePiece models as BLEU's tokenizers: those that sacreBLEU shares, from its cache, and any file."""

import hashlib
from functools import lru_cache
from pathlib import Path

MODEL = ".model"  # how the name of a model's file ends
SHARED = {"flores200": "flores200", "flores101": "flores101", "spm": "flores101"}  # by name, as the signature says


class Pieces:
    """Splits a text into a model's pieces. The interface is that of sacreBLEU's tokenizers.

    Raises ValueError if the file is missing or not a SentencePiece model.
    """

    def __init__(self, file: str) -> None:
        from sentencepiece import SentencePieceProcessor

        try:
            content = Path(file).read_bytes()
            self._processor = SentencePieceProcessor(model_proto=content)
        except OSError as error:
            raise ValueError(f"metrics.bleu.tokenize: {file} cannot be read: {error.strerror or error}") from error
        except RuntimeError as error:
            raise ValueError(f"metrics.bleu.tokenize: {file} is not a SentencePiece model") from error
        self._name = f"spm-{hashlib.sha256(content).hexdigest()[:8]}"
        self._split = lru_cache(maxsize=1 << 16)(self._pieces)

    def signature(self) -> str:
        """Identifies the model: part of the content's hash."""
        return self._name

    def __call__(self, line: str) -> str:
        """The pieces, with spaces between."""
        return self._split(line)

    def _pieces(self, line: str) -> str:
        return " ".join(self._processor.encode(line, out_type=str))


def shared_model(name: str) -> str:
    """The file of a model that sacreBLEU shares. Raises ValueError, naming its place, if it is missing."""
    from sacrebleu.tokenizers import tokenizer_spm

    url = tokenizer_spm.SPM_MODELS[SHARED[name]]["url"]
    file = Path(tokenizer_spm.SACREBLEU_DIR) / "models" / url.rpartition("/")[2]
    if not file.is_file():
        raise ValueError(f"metrics.bleu.tokenize: needs the file {file}, which is not there: fetch it once from {url}")
    return str(file)
