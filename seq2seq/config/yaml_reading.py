"""YAML as data, read under limits: what is too large, too deep or no plain configuration is refused with its line."""

import re
from typing import Any

import yaml

LARGEST = 1_000_000  # bytes of a file
DEEPEST = 40  # collections inside one another
MOST_VALUES = 100_000  # of a file, every alias counted as what it stands for
LONGEST_NUMBER = 100  # characters of a whole number

# YAML 1.1 reads 1e-4 as text and Hydra as a number; we read as Hydra does and quote what would be taken for a number.
FLOAT = re.compile(r"[-+]?(\d[\d_]*\.?[\d_]*|\.\d[\d_]*)([eE][-+]?\d+)?$|[-+]?\.(inf|Inf|INF)$|\.(nan|NaN|NAN)$")
_STANDARD = "tag:yaml.org,2002:"
_TEXT, _MERGE, _INTEGER = f"{_STANDARD}str", f"{_STANDARD}merge", f"{_STANDARD}int"
# Everything else (dates, binary data, sets) is no value of a setting.
KINDS = {_TEXT, _MERGE, _INTEGER, *(f"{_STANDARD}{kind}" for kind in ("bool", "float", "map", "null", "seq"))}


class NotYaml(ValueError):
    """Why a file cannot be read as YAML: one line, with the place in it."""


# Halves of surrogate pairs, except those that stand for the bytes of a file's name that is not UTF-8.
HALF = re.compile("[\ud800-\udc7f\udd00-\udfff]")


class Loader(yaml.SafeLoader):
    """Safe YAML whose numbers are those of Hydra's, whose keys are text, each given once, and which has an end."""

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self._depth = 0
        self._sizes: dict[int, tuple[int, int]] = {}  # of each finished node: the values in it, its own depth

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node of the tree, aliases counted as what they stand for."""
        event = self.peek_event()
        self._depth += 1
        if self._depth > DEEPEST:
            raise _marked(f"lists and keys are nested more than {DEEPEST} deep", event.start_mark)
        node = super().compose_node(parent, index)
        self._depth -= 1
        if node is None:
            return None
        if node.tag not in KINDS:
            if node.tag == f"{_STANDARD}value":
                raise _marked("'=' is not read as text; put it in quotes", node.start_mark)
            kind = node.tag.replace(_STANDARD, "!!")
            raise _marked(f"a value of kind {kind!r}: expected text, a number, a list or keys", node.start_mark)
        if isinstance(node, yaml.ScalarNode) and HALF.search(node.value):
            raise _marked("half of a character (\\ud800 to \\udfff) in a text", node.start_mark)
        if node.tag == _INTEGER and len(node.value) > LONGEST_NUMBER:
            raise _marked(f"a whole number of {len(node.value):,} characters", node.start_mark)
        if id(node) not in self._sizes:
            if isinstance(event, yaml.AliasEvent):
                raise _marked(f"*{event.anchor} refers to itself", event.start_mark)
            self._sizes[id(node)] = self._measure(node)
        values, depth = self._sizes[id(node)]
        if values > MOST_VALUES:
            raise _marked(f"the file holds more than {MOST_VALUES:,} values", event.start_mark)
        if self._depth + depth > DEEPEST:
            raise _marked(f"lists and keys are nested more than {DEEPEST} deep", event.start_mark)
        return node

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Keys and values; raises where a key is not text or occurs twice."""
        node = super().compose_mapping_node(anchor)
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == _MERGE:
                continue
            if not isinstance(key, yaml.ScalarNode):
                raise _marked("a key must be a word", key.start_mark)
            if key.tag != _TEXT:
                hint = f"{key.value!r} is not read as text; put it in quotes"
                raise _marked(f"a key must be text: {hint}", key.start_mark)
            if key.value in seen:
                raise _marked(f"{key.value!r} occurs twice", key.start_mark)
            seen.add(key.value)
        return node

    def _measure(self, node: yaml.Node) -> tuple[int, int]:
        if isinstance(node, yaml.MappingNode):
            inner = [self._sizes[id(item)] for pair in node.value for item in pair]
        else:
            inner = [self._sizes[id(item)] for item in node.value] if isinstance(node, yaml.SequenceNode) else []
        return 1 + sum(size for size, _ in inner), 1 + max((depth for _, depth in inner), default=0)


# As OmegaConf reads it: a date without quotes is text.
Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != f"{_STANDARD}timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
Loader.add_implicit_resolver(f"{_STANDARD}float", FLOAT, list("-+0123456789."))


def parse_yaml(raw: bytes) -> Any:
    """The content of a YAML file; raises NotYaml."""
    if len(raw) > LARGEST:
        raise NotYaml(f"holds {len(raw):,} bytes; a configuration may have {LARGEST:,}")
    try:
        return yaml.load(raw.decode(), Loader=Loader)
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise NotYaml(f"line {line}: byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8") from error
    except yaml.YAMLError as error:
        raise NotYaml(describe_yaml_error(error)) from error
    except (
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        RecursionError,
    ) as error:  # text that is not of its kind: !!int x
        raise NotYaml(f"a value cannot be read: {error}") from error


def describe_yaml_error(error: yaml.YAMLError) -> str:
    """A YAML error in one line, with its line number."""
    mark = getattr(error, "problem_mark", None)
    text = getattr(error, "problem", None) or str(error).replace("\n", " ")
    return f"line {mark.line + 1}, column {mark.column + 1}: {text}" if mark else text


def _marked(text: str, mark: yaml.Mark) -> yaml.YAMLError:
    return yaml.MarkedYAMLError(problem=text, problem_mark=mark)
