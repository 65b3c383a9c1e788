"""A package imports only itself and lower layers; only `config` imports Hydra and OmegaConf."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from seq2seq.commands import COMMANDS

LAYERS = [
    ["plain_types", "files", "heartbeat"],
    ["types", "errors", "locks"],
    ["runtime", "streams", "interrupts", "huggingface"],
    ["config", "tokenizer", "position", "normalizer", "loss", "optimizer", "schedule", "metrics", "logger"],
    ["commands", "data", "layers"],
    ["attention", "self_attention", "feed_forward", "layer_norm", "pooling"],
    ["encoder", "decoder", "generator"],
    ["model"],
    ["search", "checkpoint", "reporting", "adapter"],
    ["objective", "inference"],
    ["training", "format"],
    ["analysis", "engine"],
    ["__main__", "api"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
ROOT = Path(__file__).resolve().parents[2]
FILES = sorted((ROOT / "seq2seq").rglob("*.py"))


def imported(path: Path) -> Iterator[tuple[int, str]]:
    """Every module that a file imports, late imports included, with its line; `from a import b` counts as a.b."""
    for node in ast.walk(ast.parse(path.read_bytes())):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def package_of(path: Path) -> str:
    return path.relative_to(ROOT / "seq2seq").with_suffix("").parts[0]


def is_forbidden(package: str, module: str) -> bool:
    """Whether a file of `package` may not import `module`."""
    words = module.split(".")
    if words[0] != "seq2seq" or len(words) == 1 or words[1] == package or words[1].startswith("__"):
        return False
    return words[1] not in RANK or RANK[words[1]] >= RANK[package]


@pytest.mark.parametrize(
    ("package", "module", "expected"),
    [
        ("decoder", "seq2seq.attention.base", False),
        ("decoder", "seq2seq.decoder.base", False),
        ("decoder", "seq2seq.encoder.base", True),
        ("data", "seq2seq.layers.rnn", True),
        ("config", "seq2seq.model.builder", True),
        ("config", "seq2seq.utils", True),
        ("types", "seq2seq.errors", True),
        ("config", "torch.nn", False),
    ],
)
def test_which_imports_are_forbidden(package: str, module: str, expected: bool) -> None:
    assert is_forbidden(package, module) is expected


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "seq2seq")))
def test_files_import_only_lower_layers(path: Path) -> None:
    package = package_of(path)
    if package == "__init__":
        return
    assert package in RANK, f"{package} is not in LAYERS"
    wrong = [f"line {line}: {module}" for line, module in imported(path) if is_forbidden(package, module)]
    assert wrong == []


def test_the_package_itself_imports_its_modules_for_type_checkers_only() -> None:
    for node in ast.parse((ROOT / "seq2seq" / "__init__.py").read_bytes()).body:
        for_checkers = isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        assert for_checkers or "from seq2seq" not in ast.unparse(node)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT / "seq2seq")))
def test_only_config_imports_hydra_and_omegaconf(path: Path) -> None:
    foreign = {module.split(".")[0] for _, module in imported(path)} & {"hydra", "omegaconf"}
    assert package_of(path) == "config" or not foreign
    assert path.name == "hydra_adapter.py" or "hydra" not in foreign


def test_scripts_are_thin() -> None:
    scripts = sorted((ROOT / "scripts").glob("*.py"))
    assert scripts
    for path in scripts:
        assert f'run("{path.stem}")' in path.read_text()
        assert len(path.read_text().split("\n")) <= 10, path.name
    assert {path.stem for path in scripts} == set(COMMANDS)
    assert {path.stem for path in (ROOT / "seq2seq" / "commands").glob("[!_]*.py")} == set(COMMANDS)
