"""Keys, values and words of the command line that are strange, for settings made at random."""

KEYS = ["seed", "run", "device", "precision", "tie", "data_root"]
KEYS += ["encoder", "decoder", "attention", "encoder.hidden_size", "encoder.mode", "encoder._target_"]
KEYS += [
    "encoder._partial_",
    "trainer",
    "trainer.max_updates",
    "trainer.clip_norm",
    "trainer.max_minutes",
    "optimizer.lr",
]
KEYS += [
    "optimizer.betas",
    "optimizer._target_",
    "search.max_length",
    "search.length_penalty",
    "metrics",
    "metrics.bleu",
]
KEYS += ["metrics.bleu.tokenize", "data", "data.files", "data.files.test", "data.locale", "schedule.horizon"]
KEYS += ["init_from", "init_fresh", "freeze", "embedding", "embedding.size", "length.overlong"]
KEYS += ["defaults", "hydra", "hydra.run.dir", "experiment", "normalizer"]
VALUES = [
    *[
        "5",
        "-1",
        "1e4",
        "1_000",
        "1e400",
        ".nan",
        ".inf",
        "-.inf",
        "nan",
        "inf",
        "9" * 30,
        "9" * 5000,
        "0x" + "f" * 5000,
    ],
    *["''", "x", "é", "null", "~", "true", "on", "-0.0", "0.5", "2020-06-31", "12:30:45", "a=b", "a,b", "a: b: c"],
    *[
        '"a\\0b"',
        '"\\ud800"',
        "\x00",
        "\udce9",
        "\u202e",
        "\x1b[31m",
        "\t",
        "`",
        "'",
        '"',
        "\\",
        "%x",
        "@x",
        "!x",
        "*x",
    ],
    *[
        "[]",
        "{}",
        "[1, 2]",
        "{a: 1}",
        "{1: 2}",
        "[" * 60 + "]" * 60,
        "[" * 3000 + "]" * 3000,
        "{a: " * 300 + "1" + "}" * 300,
    ],
    *[
        "&a [*a]",
        "&a {b: *a}",
        "!!binary aGk=",
        "!!set {a, b}",
        "!!timestamp 2020-01-01",
        "!!python/object:os.system x",
    ],
    *[
        "${decoder}",
        "${encoder}",
        "${seed}",
        "${nope}",
        "${",
        "${${seed}}",
        "\\${seed}",
        "${.seed}",
        "${..x}",
        "${oc.env:}",
    ],
    *["${oc.env:HOME}", "${oc.create:${seed}}", "${oc.decode:x}", "${hydra:runtime.cwd}", "???", "'${seed} '"],
    *["glob(*)", "choice(1,2)", "range(1,5)", "range(1,1000000000)", "sort(3,1)", "interval(0,1)", "tag(a,b)", "lstm"],
    *[
        "sample_parts.Plain",
        "sample_parts.Small",
        "sample_parts",
        "seq2seq.types.Component",
        "os.system",
        "torch.optim.SGD",
    ],
    *["{_target_: sample_parts.Plain}", "{_target_: 5}", "{_target_: ???}", "{_target_: '${seed}'}"],
]
DEFAULTS = [
    *["", "~", "x", "5", "[]", "[~]", "[{}]", "[{a: 1, b: 2}]", "[5]", "[[encoder]]", "{a: b}", "[true]", "[{on: x}]"],
    *[
        "[{encoder: [lstm, gru]}]",
        "[{encoder: 5}]",
        "[{encoder: ~}]",
        "[{override /encoder: 5}]",
        "[{'': x}]",
        "[{~: x}]",
    ],
    *["[{override /encoder: [lstm]}]", "[{override /encoder: {a: b}}]", "[{override /encoder: ~}]", "['']", "['/']"],
    *["[{override /nope: x}]", "[_self_, _self_]", "[{override /encoder: gru}, {override /encoder: lstm}]", "[nope]"],
    *[
        "[/nope]",
        "[{optional encoder: x}]",
        "[{override /encoder: '${decoder}'}]",
        "[{override /encoder: ../decoder/lstm}]",
    ],
    *["[{override /encoder@x: lstm}]", "[{encoder@decoder: lstm}]", "[{override /hydra/launcher: basic}]", "[train]"],
    *['[{override /encoder: "a\\0b"}]', '[{override /encoder: "\\ud800"}]', "[experiment/tiny/mine]", "['.']"],
    *["[{override /experiment: tiny/mine}]", "[{override /encoder: gru}]", "[{override /encoder: lstm.yaml}]"],
]
BYTES = [b"\x00", b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x1b[31m", b"\xef\xbb\xbf", b"\t", b"${", b"'", b'"', b"[", b"{"]
BYTES += [b": ", b"- ", b"\n---\n", b"&a ", b"*a ", b"!!x ", b"?\n", b"%YAML 9\n", b"\n", b"#"]
NAMES = ["on", "1", "1.5", "~", "'a.b'", "a b", "''", "?", "<<", '"\\ud800"', "\x00", "[1]", "{a: 1}", "2020-01-01"]
NAMES += ["${seed}", "-1", "é", "_target_", "_partial_", "_recursive_", "'[0]'", "defaults", "=", "__class__", "hydra"]
OPTIONS = ["--cfg", "job", "--config-name=x", "-cd", "--info", "--info=all", "-m", "--multirun", "--help", "--package"]
OPTIONS += ["--resolve", "--nope", "-", "--", "-x", "--version", "--experimental-rerun", "-p", "encoder", "--run"]
WORDS = ["", "=", "==", "a", "a=", "=a", "+", "++", "~", "~encoder", "~metrics.bleu", "~metrics", "+seed=1", "++seed=2"]
WORDS += ["encoder", "encoder@x=lstm", "hydra/launcher=x", "hydra.run.dir=/x", "hydra.nope=1", "hydra=x", "a\0b=c"]
WORDS += ["\ud800=1", "seed=\udcff", "run=\0", "run=a\nb", "x" * 10_000, "seed=" + "9" * 10_000, "[a]=1", "a[0]=1"]
WORDS += ["trainer.max_updates.x=1", "data.files.x=1", "metrics.a.b.c=1", "encoder.a.x=1", "._=1", "..=1", "a..b=1"]
