"""The vocabulary of an mBART-50 folder: Tang et al. (2020), arXiv:2008.00401.

One SentencePiece model serves both sides. Its ids there are those of fairseq: <s>, <pad>, </s>, <unk>, then piece i of
the model from 3 on at i + 1, the language codes, <mask>. A source is `CODE text </s>`, a target, which the decoder
begins with </s>, too. So a code is one piece on both sides, with the space before it.
"""

import re

from sentencepiece.sentencepiece_model_pb2 import ModelProto  # type: ignore[attr-defined]

from seq2seq.errors import ConfigError
from seq2seq.huggingface.folder import ModelFolder
from seq2seq.huggingface.pieces import Pieces, Side, Special, read_model

MODEL = "sentencepiece.bpe.model"
ORDER = (  # of the ids of the language codes
    "ar_AR cs_CZ de_DE en_XX es_XX et_EE fi_FI fr_XX gu_IN hi_IN it_IT ja_XX kk_KZ ko_KR lt_LT lv_LV my_MM ne_NP nl_XX "
    "ro_RO ru_RU si_LK tr_TR vi_VN zh_CN af_ZA az_AZ bn_IN fa_IR he_IL hr_HR id_ID ka_GE km_KH mk_MK ml_IN mn_MN mr_IN "
    "pl_PL ps_AF pt_XX sv_SE sw_KE ta_IN te_IN th_TH tl_XX uk_UA ur_PK xh_ZA gl_ES sl_SI"
)
CODES = ORDER.split()
SPECIAL = {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3}
FIRST = ["<unk>", "<s>", "</s>"]  # pieces of the model that have other ids there
OTHERS = {"MBartTokenizer": "its language codes stand after the source ('text </s> de_DE'), as in mBART-cc25"}


def read_side(folder: ModelFolder) -> Side:
    """The vocabulary of both sides. Raises ConfigError naming the file that is missing or cannot be used."""
    tokenizer = tokenizer_class(folder)
    if tokenizer != "MBart50Tokenizer":
        why = OTHERS.get(str(tokenizer), "")
        raise ConfigError(
            f"{folder.path}: tokenizer_class={tokenizer} cannot be imported{f': {why}' if why else ''}; of mBART's "
            "tokenizers MBart50Tokenizer can (tokenizer_config.json)"
        )
    proto = _model(folder)
    if [piece.piece for piece in proto.pieces[: len(FIRST)]] != FIRST:
        raise ConfigError(f"{folder.path / MODEL} is not mBART's: its first pieces are not {', '.join(FIRST)}")
    codes = language_codes(folder)
    vocab = {piece.piece: index + 1 for index, piece in enumerate(proto.pieces) if index >= len(FIRST)}
    vocab |= {**SPECIAL, **codes, "<mask>": len(proto.pieces) + 1 + len(CODES)}
    return Pieces.of(vocab, folder.config["vocab_size"], _special(folder), codes).side(proto, coded=True)


def language_codes(folder: ModelFolder) -> dict[str, int]:
    """The codes and their ids there: the 52 of mBART-50, and those that tokenizer_config.json adds. Raises
    ConfigError."""
    first, size = len(_model(folder).pieces) + 1, folder.config["vocab_size"]
    codes = {code: first + number for number, code in enumerate(CODES)}
    added = folder.optional_json("tokenizer_config.json").get("added_tokens_decoder") or {}
    for index, entry in added.items():
        name = entry.get("content") if isinstance(entry, dict) else None
        if isinstance(name, str) and re.fullmatch(r"[a-z]{2,3}_[A-Za-z]{2,4}", name) and str(index).isdigit():
            codes[name] = int(index)
    return {code: row for code, row in codes.items() if row < size}


def tokenizer_class(folder: ModelFolder) -> str | None:
    """The class that reads the folder's tokenizer there, without Fast."""
    for name in ("tokenizer_config.json", "config.json"):
        if found := folder.optional_json(name).get("tokenizer_class"):
            return str(found).removesuffix("Fast")
    return None


def _special(folder: ModelFolder) -> Special:
    """Raises ConfigError where config.json has other ids than fairseq."""
    config = {**folder.config, **folder.optional_json("generation_config.json")}
    for key, name in (("pad_token_id", "<pad>"), ("eos_token_id", "</s>"), ("decoder_start_token_id", "</s>")):
        if config.get(key, SPECIAL[name]) != SPECIAL[name]:
            raise ConfigError(
                f"{folder.path / 'config.json'}: {key}={config[key]}: mBART-50 has {SPECIAL[name]} ({name}) there"
            )
    return Special(SPECIAL["<pad>"], SPECIAL["<unk>"], SPECIAL["</s>"], SPECIAL["</s>"])


def _model(folder: ModelFolder) -> ModelProto:
    return read_model(folder, MODEL, "copy it from the folder of the model that this one was trained from")
