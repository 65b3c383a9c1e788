"""The functions, methods and classes of a Python file with their docstrings, found by parsing: nothing is imported."""

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Definition:
    """'name(a, *b)', 'Class.name(a)' or 'class Name(a)', without annotations and defaults, and the docstring as is."""

    signature: str
    docstring: str


def definitions(code: bytes) -> Iterator[Definition]:
    """Definitions with a docstring, in the file's order; nested functions are left out.

    Raises ValueError for what this Python cannot parse.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # invalid escapes in strings of the packages
            tree = ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise ValueError(f"not valid for this version of Python: {error}") from error
    return _defined_in(tree.body, "")


def _defined_in(statements: list[ast.stmt], owner: str) -> Iterator[Definition]:
    for statement in statements:
        if isinstance(statement, ast.ClassDef):
            if docstring := ast.get_docstring(statement, clean=False):
                yield Definition(_class_signature(statement), docstring)
            yield from _defined_in(statement.body, statement.name)
        elif isinstance(statement, Function):
            if docstring := ast.get_docstring(statement, clean=False):
                name = f"{owner}.{statement.name}" if owner else statement.name
                yield Definition(f"{name}({_arguments(statement, bound=bool(owner))})", docstring)
        else:  # definitions can be in branches too: if sys.platform == ..., try: import ...
            for block in ("body", "orelse", "finalbody"):
                yield from _defined_in(getattr(statement, block, []), owner)


def _class_signature(node: ast.ClassDef) -> str:
    """With the arguments of __init__, if the class has its own."""
    for statement in node.body:
        if isinstance(statement, Function) and statement.name == "__init__":
            return f"class {node.name}({_arguments(statement, bound=True)})"
    return f"class {node.name}"


def _arguments(node: Function, *, bound: bool) -> str:
    """'a, b, *rest, key, **others'; of a bound method without its self or cls."""
    given = node.args
    names = [argument.arg for argument in (*given.posonlyargs, *given.args)]
    if bound and names and names[0] in ("self", "cls", "mcs", "mcls", "metacls"):
        del names[0]
    names += [f"*{given.vararg.arg}"] if given.vararg else []
    names += [argument.arg for argument in given.kwonlyargs]
    names += [f"**{given.kwarg.arg}"] if given.kwarg else []
    return ", ".join(names)
