"""The folder that --config-dir names: choices of a user's own, laid out like configs/, that join those of seq2seq."""

from pathlib import Path

from seq2seq.config.paths import expanded, shorten
from seq2seq.config.problems import Mistakes, did_you_mean, listed

SHOWN = 3  # of many names, in a message


def own_folder(typed: str, ours: Path) -> Path:
    """The folder named by --config-dir, `ours` being that of seq2seq.

    Raises Mistakes where there is none, where it holds no choices, and where it holds one that seq2seq has too: a name
    means one thing, on the command line and in the config.yaml of a run.
    """
    folder = Path(expanded(typed).replace("\0", "\ufffd")).absolute()  # no name holds NUL
    if not folder.is_dir():
        near = [path.name for path in folder.parent.glob("*/")] if folder.parent.is_dir() else []
        raise Mistakes([f"--config-dir={typed}: there is no such folder{did_you_mean(folder.name, near)}"])
    groups = sorted(path.name for path in ours.iterdir() if path.is_dir())
    lines = [
        f"{shorten(path)}: there is no group {path.name!r}{guess}"
        for path in sorted(folder.iterdir())
        if path.is_dir() and path.name not in groups
        if (guess := did_you_mean(path.name, groups)) and any(path.rglob("*.yaml"))
    ]
    files = [path.relative_to(folder) for group in groups for path in sorted((folder / group).rglob("*.yaml"))]
    of_scripts = [path.relative_to(folder) for path in sorted(folder.glob("*.yaml"))]
    twice = [path for path in (*of_scripts, *files) if (ours / path).is_file()]
    if twice:
        names = ", ".join(map(str, twice[:SHOWN])) + (f" and {len(twice) - SHOWN} more" if len(twice) > SHOWN else "")
        lines.append(
            f"--config-dir={typed}: seq2seq itself has files with these names: {names}. Rename yours; to change a "
            "script's defaults, write an experiment/GROUP/NAME.yaml"
        )
    if not files and not lines:
        lines.append(
            f"--config-dir={typed}: contains no choices. Name its folders like those of seq2seq: attention/NAME.yaml, "
            f"experiment/GROUP/NAME.yaml; the groups are {listed(groups)}"
        )
    if lines:
        raise Mistakes(lines)
    return folder
