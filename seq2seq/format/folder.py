"""The folder of an export: written beside its place, then moved there, with a manifest that says what it is."""

import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import seq2seq
from seq2seq.checkpoint.read import label
from seq2seq.checkpoint.storage import discard, flush_file, sha256, storage_errors, write_file
from seq2seq.checkpoint.weights import weights_digest
from seq2seq.config.schema import TrainSettings
from seq2seq.data.stored import SIDES
from seq2seq.errors import ConfigError
from seq2seq.files import flush_folder, link_out_of, read_json
from seq2seq.inference.trained_model import TrainedModel, prefix_of
from seq2seq.types import Part

MANIFEST = "export.json"
VERSION = 1  # of the manifest


def describe(
    part: Part, run: str, checkpoint: str, trained: TrainedModel, settings: TrainSettings, versions: Mapping[str, str]
) -> dict[str, Any]:
    """The content of the manifest, without its files.

    `source_prefix` is what the model was trained to see before each source, `target_prefix` what its targets began
    with: who uses the export must put them there.
    """
    return {
        "version": VERSION,
        "format": part.name,
        "arguments": part.arguments,
        "run": run,
        "checkpoint": label(checkpoint, trained.step),
        "step": trained.step,
        "weights": weights_digest(trained.model),
        **{f"{side}_prefix": prefix_of(settings, side) for side in SIDES},
        "max_source": settings.length.max_source,
        "packages": {"seq2seq": seq2seq.__version__, **versions},
    }


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """The manifest of an export; None if the folder has none."""
    try:
        content = read_json(folder / MANIFEST)
    except (OSError, ValueError):
        return None
    known = isinstance(content, dict) and content.get("version") == VERSION and isinstance(content.get("files"), dict)
    return content if known else None


def is_current(folder: Path, content: Mapping[str, Any]) -> bool:
    """Whether the folder is an undamaged export of this format, of these weights, by the same versions."""
    manifest = read_manifest(folder)
    keys = ("format", "arguments", "weights", "packages")
    return (
        manifest is not None and all(manifest.get(key) == content[key] for key in keys) and is_intact(folder, manifest)
    )


def is_intact(folder: Path, manifest: Mapping[str, Any]) -> bool:
    """Whether all files are as they were written, each inside the folder."""
    try:
        if link_out_of(folder, manifest["files"]) or not all(_is_inside(name) for name in manifest["files"]):
            return False
        return all(_entry(folder / name) == entry for name, entry in manifest["files"].items())
    except (OSError, ValueError):
        return False


def _is_inside(name: str) -> bool:
    """Whether a name in a manifest is that of a file below its folder."""
    return not Path(name).is_absolute() and ".." not in Path(name).parts


def check_output(output: Path) -> None:
    """Raise ConfigError if something is there that is no export: it would be replaced."""
    if output.is_symlink() or (output.exists() and not output.is_dir()):
        raise ConfigError(f"output={output} is {'a link' if output.is_symlink() else 'a file'}: name a folder")
    if output.is_dir() and any(output.iterdir()) and read_manifest(output) is None:
        raise ConfigError(
            f"output={output} has files that are no export (its {MANIFEST} is missing or broken): move it away"
        )


@contextmanager
def replacing(output: Path) -> Iterator[Path]:
    """A new folder beside `output` to write into; it takes the place of `output` when the block ends, and is removed if
    the block raises. Raises StorageError."""
    temporary, old = (output.with_name(f".{kind}-{secrets.token_hex(6)}") for kind in ("tmp", "old"))
    with storage_errors(f"write {output}"):
        temporary.mkdir(parents=True)
        try:
            yield temporary
            if output.exists():
                output.rename(old)
            temporary.rename(output)
        except BaseException:
            discard(temporary)
            raise
        discard(old)
        flush_folder(output.parent)


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Write the manifest, with the SHA-256 and the size of each file, and wait until all of them are on the disk."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in paths:
        flush_file(path)
    files = {path.relative_to(folder).as_posix(): _entry(path) for path in paths}
    write_file(folder / MANIFEST, json.dumps({**content, "files": files}, ensure_ascii=False, indent=2) + "\n")
    flush_folder(folder)


def _entry(path: Path) -> dict[str, Any]:
    return {"sha256": sha256(path), "bytes": path.stat().st_size}
