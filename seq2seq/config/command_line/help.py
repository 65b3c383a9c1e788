"""What --help prints: the script's own text, its choices, its keys with their values, and the options."""

import textwrap
from collections.abc import Sequence
from string import Template

from omegaconf import OmegaConf

from seq2seq.config.command_line.choice_files import Library
from seq2seq.config.command_line.program import program
from seq2seq.config.hydra_adapter import compose_config
from seq2seq.config.paths import shorten

OPTIONS = """\
--multirun, -m              run every combination of the values given (seed=1,2), one after the other
--config-dir DIR, -cd DIR   your own choices in addition to these, in the same layout: DIR/attention/NAME.yaml
--cfg job, -c job           print the composed configuration instead of running
                            (--package KEY, -p KEY: a part of it; --resolve: with its interpolations resolved)
--help, -h                  this help; --hydra-help: Hydra's own
--version                   the version of seq2seq
"""


def help_text(library: Library, words: Sequence[str]) -> str:
    """The help of a script with these words; raises Mistakes where they cannot be composed."""
    config = compose_config(library.folder, library.name, [*library.search_path, *words])
    template = Template(str(config.hydra.help.template))
    keys = OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"])
    return template.safe_substitute(
        COMMAND=program(library.name),
        EVALUATE=program("evaluate"),
        CHOICES=_choices(library),
        CONFIG=OmegaConf.to_yaml(keys),
        OPTIONS=OPTIONS.rstrip("\n"),
    )


def _choices(library: Library) -> str:
    """A paragraph a group: its name and what can be chosen."""
    lines = [f"{group}: {', '.join(library.choices(group))}" for group in library.groups]
    own = {group: library.own_choices(group) for group in library.groups}
    if library.own:
        named = "; ".join(f"{group}: {', '.join(names)}" for group, names in own.items() if names)
        lines.append(f"Of these, yours in {shorten(library.own)}: {named or 'none of this command'}")
    return "\n".join(textwrap.fill(line, width=120, subsequent_indent="    ", break_on_hyphens=False) for line in lines)
