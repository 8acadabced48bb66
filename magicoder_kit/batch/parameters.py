"""A notebook's parameters: read from its tagged cell, given by a profile or ``--set``, refused where wrong."""

import ast
import contextlib
import difflib
import io
import json
import tokenize
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from magicoder_kit.errors import ParameterError

_TYPES = (int, float, str, bool, list, dict)


class Parameter(NamedTuple):
    """One line of a notebook's parameters cell."""

    default: Any
    help: str
    type: type


def notebook_parameters(notebook: Path) -> dict[str, Parameter]:
    """Read a notebook's parameters from its cell tagged ``parameters``, without running it.

    Parameters
    ----------
    notebook : Path
        Its tagged cell holds plain assignments ``name = value  # help`` of literals.

    Returns
    -------
    dict
        Default value, help and type by name, in the cell's order.

    Raises
    ------
    ParameterError
        There is no such cell, or a line in it is anything but the assignment of a literal.
    """
    try:
        cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    except (ValueError, KeyError, TypeError) as error:
        raise ParameterError(f"{notebook} is not a notebook; check it out again") from error
    tagged = [cell for cell in cells if "parameters" in cell.get("metadata", {}).get("tags", [])]
    if not tagged:
        raise ParameterError(f"{notebook} has no cell tagged 'parameters'; add the tag to the cell with its settings")
    source = "".join(tagged[0]["source"])
    try:
        statements = ast.parse(source).body
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, tokenize.TokenError) as error:
        raise ParameterError(f"{notebook}: the parameters cell is not Python ({error})") from error
    comments = {token.start[0]: token.string.lstrip("# ") for token in tokens if token.type == tokenize.COMMENT}
    found: dict[str, Parameter] = {}
    for statement in statements:
        if isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant):
            continue
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=expression):
                pass
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as expression):
                pass
            case _:
                raise ParameterError(
                    f"{notebook}: line {statement.lineno} of the parameters cell is no assignment 'name = value'"
                )
        try:
            default = ast.literal_eval(expression)
        except ValueError:
            default = None
        if type(default) not in _TYPES:
            raise ParameterError(f"{notebook}: parameter {name} must be a plain int, float, str, bool, list or dict")
        found[name] = Parameter(default, comments.get(statement.end_lineno or 0, ""), type(default))
    return found


def parse_setting(text: str) -> tuple[str, Any]:
    """Split ``NB.name=value`` and read the value as YAML."""
    import yaml

    name, equals, value = text.partition("=")
    if not equals:
        raise ParameterError(f"--set {text}: write NOTEBOOK.NAME=VALUE, such as 03.concurrency=4")
    try:
        return name.strip(), yaml.safe_load(value) if value.strip() else ""
    except yaml.YAMLError:
        raise ParameterError(f"--set {text}: the value is not YAML; quote it, as in {name}='\"text\"'") from None


def accept(where: str, notebook: str, name: Any, value: Any, parameters: Mapping[str, Parameter]) -> Any:
    """Return a value as the notebook's parameter takes it, or refuse it."""
    if name not in parameters:
        nearest = nearest_first(str(name), parameters)
        raise ParameterError(
            f"{where}: {notebook} has no parameter {name!r}" + (f"; the nearest is {nearest[0]!r}" if nearest else "")
        )
    expected, given = parameters[name].type, type(value)
    if expected is float and given is int:
        return float(value)
    if given is expected:
        return value
    hint = ""
    if expected in (int, float) and given is str:
        # YAML 1.1 wants a point in a float: it reads 1e-5 as text.
        with contextlib.suppress(ValueError):
            hint = f"; write {float(value):.1e}" if expected is float else f"; write {int(value)} without quotes"
    elif expected is str:
        hint = "; put it in quotes" if value is not None else '; write "" for none'
    elif expected is list and value is not None:
        hint = f"; write [{value}]"
    shown = "nothing" if value is None else f"{given.__name__} {value!r}"
    raise ParameterError(f"{where}: parameter {name} of {notebook} is a {expected.__name__}, given {shown}{hint}")


def nearest_first(name: str, known: Iterable[str]) -> list[str]:
    return sorted(known, key=lambda one: -difflib.SequenceMatcher(None, name.lower(), one.lower()).ratio())
