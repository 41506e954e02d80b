"""Selecting sources with an expression such as ``bright and MAG_AUTO_CALIB < 19.5``.

Expressions are Python syntax over columns: comparisons, ``and or not``, ``& | ~``, arithmetic,
numbers, strings, and the functions ``abs``, ``isfinite`` and ``log10``. They are interpreted, never
executed as code, and bounded in length, depth and numbers. A column whose name is none of Python's
stands in backquotes: ```R.A.` > 180``; ``class``, as SDSS has it, needs none.

A value is true, false, or missing, as in SQL: what is compared with a missing value is missing, so
is its denial, and a row is selected where the whole is true. ``isfinite`` alone tells of a missing
value that it is not there.
"""

import ast
import keyword
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import reduce
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import ConfigError

Columns: TypeAlias = Mapping[str, NDArray[Any]]
"""Columns by name; NaN, and in a masked array what is masked, is missing."""

LENGTH, DEPTH = 4000, 60
"""Bounds: characters of an expression, and operations within each other."""

_ARITHMETIC: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
}
_BITS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
}
_COMPARISONS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "abs": np.abs,
    "isfinite": np.isfinite,
    "log10": np.log10,
}
_QUOTED = re.compile(
    r"""(?P<text>'[^']*'|"[^"]*")|`(?P<quoted>[^`]+)`|(?<![\w.])(?P<keyword>class)(?!\w)"""
)
_UNDERSTOOD = (
    *(ast.Expression, ast.Constant, ast.Name, ast.Load, ast.UnaryOp, ast.BinOp, ast.BoolOp),
    *(ast.Compare, ast.Call, ast.And, ast.Or, ast.Not, ast.Invert, ast.USub, ast.UAdd),
    *_ARITHMETIC,
    *_BITS,
    *_COMPARISONS,
)


@dataclass(frozen=True)
class _Term:
    """Values of a part of an expression, one or one a row, and where they are missing."""

    values: NDArray[Any]
    missing: NDArray[np.bool_]

    @property
    def kind(self) -> str:
        """``truth``, ``integer``, ``float``, ``date`` or ``text``."""
        kinds = {"b": "truth", "i": "integer", "u": "integer", "f": "float", "M": "date"}
        return kinds.get(self.values.dtype.kind, "text")


def in_expression(name: str) -> str:
    """A column's name as it stands in an expression: in backquotes where Python has none such."""
    plain = name.isidentifier() and not keyword.iskeyword(name)
    return name if plain else f"`{name}`"


def names_in(expression: str) -> list[str]:
    """The columns an expression uses, sorted; `ConfigError` if it is no valid expression."""
    nodes = list(ast.walk(_parse(expression)))
    names = {node.id for node in nodes if isinstance(node, ast.Name)}
    return sorted(names - set(_FUNCTIONS))


def select(expression: str, columns: Columns, n: int) -> NDArray[np.bool_]:
    """Which of ``n`` rows satisfy ``expression``: those for which it is true, and not missing.

    Raises
    ------
    ConfigError
        If the expression is not valid, uses an unknown name, or is neither true nor false in a row.
    """
    tree = _parse(expression)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        try:
            result = _evaluate(tree.body, columns)
        except (TypeError, ValueError, ArithmeticError) as error:
            raise ConfigError(f"expression {expression!r} cannot be evaluated: {error}") from error
    if result.kind != "truth" or result.values.shape not in ((), (n,)):
        raise ConfigError(f"expression {expression!r} does not give true or false for each source")
    return np.broadcast_to(result.values & ~result.missing, (n,)).copy()


def _parse(expression: str) -> ast.Expression:
    if len(expression) > LENGTH:
        raise ConfigError(f"expression of {len(expression):,} characters: at most {LENGTH:,}")
    plain, names = _without_quotes(expression.strip())
    try:
        tree = ast.parse(plain, mode="eval")
    except (SyntaxError, ValueError) as error:
        reason = getattr(error, "msg", str(error))
        raise ConfigError(f"expression {expression!r} is not valid: {reason}") from error
    except (RecursionError, MemoryError) as error:
        raise ConfigError(f"expression {expression[:40]!r} ...: too deep") from error
    if _depth(tree) > DEPTH:
        raise ConfigError(f"expression {expression[:40]!r} ...: more than {DEPTH} levels deep")
    for node in ast.walk(tree):
        if not _is_understood(node):
            what = ast.unparse(node) or type(node).__name__.lower()
            raise ConfigError(f"expression {expression!r}: {what!r} is not understood")
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return tree


def _without_quotes(expression: str) -> tuple[str, dict[str, str]]:
    """An expression with names of Python for those in backquotes, and for ``class``."""
    names: dict[str, str] = {}

    def plain(found: re.Match[str]) -> str:
        if found["text"]:
            return found[0]
        name = found["quoted"] or found["keyword"]
        stand_in = f"_quoted_{len(names)}_"
        names[stand_in] = name
        return stand_in

    return _QUOTED.sub(plain, expression), names


def _is_understood(node: ast.AST) -> bool:
    match node:
        case ast.Call(func=ast.Name(id=name), args=[_], keywords=[]):
            return name in _FUNCTIONS
        case ast.Call():
            return False
        case ast.Constant(value=bool() | float() | str()):
            return True
        case ast.Constant(value=int() as value):
            return abs(value) < 2**64
        case ast.Constant():
            return False
    return isinstance(node, _UNDERSTOOD)


def _depth(tree: ast.AST) -> int:
    """The levels of a tree, counted without recursion."""
    deepest, level = 0, [tree]
    while level:
        deepest += 1
        level = [child for node in level for child in ast.iter_child_nodes(node)]
    return deepest


def _evaluate(node: ast.AST, columns: Columns) -> _Term:
    match node:
        case ast.Constant(value=value):
            return _constant(value)
        case ast.Name(id=name):
            return _column(name, columns)
        case ast.UnaryOp(op=op, operand=operand):
            return _unary(op, _evaluate(operand, columns))
        case ast.BinOp(left=left, op=op, right=right):
            first, second = _evaluate(left, columns), _evaluate(right, columns)
            return _bits(op, first, second) if type(op) in _BITS else _compute(op, first, second)
        case ast.BoolOp(op=op, values=values):
            join = _both if isinstance(op, ast.And) else _either
            return reduce(join, (_evaluate(value, columns) for value in values))
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            terms = [_evaluate(term, columns) for term in (left, *comparators)]
            pairs = zip(ops, terms, terms[1:], strict=False)
            return reduce(_both, (_compare(op, first, second) for op, first, second in pairs))
        case ast.Call(func=ast.Name(id=name), args=[argument]):
            return _call(name, _evaluate(argument, columns))
    raise ConfigError(f"expression: {ast.unparse(node)!r} is not understood")


def _constant(value: Any) -> _Term:
    """A number or a text; whole numbers as Python's, so that they take the type of a column."""
    return _Term(np.asarray(value), np.asarray(False))


def _column(name: str, columns: Columns) -> _Term:
    if name not in columns:
        close = get_close_matches(name, columns, n=3)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        raise ConfigError(f"expression: the catalogue has no column {name!r}{hint}")
    values = _signed(np.ma.getdata(columns[name]))
    missing = _undefined(values) | np.ma.getmaskarray(columns[name])
    plain = values.dtype.kind in "biufMU"
    if not plain and not all(isinstance(value, str) for value in values[~missing][:1]):
        raise TypeError(f"column {name} holds neither numbers nor texts nor dates")
    return _Term(values, missing)


def _signed(values: NDArray[Any]) -> NDArray[Any]:
    """Whole numbers as int64, if it holds them: what comes of them may be large, or negative."""
    if values.dtype.kind not in "iu":
        return values
    if values.dtype == np.uint64 and values.max(initial=0) >= 2**63:
        return values
    return values.astype(np.int64, copy=False)


def _undefined(values: NDArray[Any]) -> NDArray[np.bool_]:
    if values.dtype.kind == "f":
        return np.asarray(np.isnan(values))
    return np.asarray(values == "") if values.dtype.kind in "OU" else np.zeros(values.shape, bool)


def _operands(first: _Term, second: _Term) -> tuple[Any, Any]:
    """Values of both; a constant as a Python number, which leaves a column's type as it is."""
    return _operand(first), _operand(second)


def _operand(term: _Term) -> Any:
    constant = term.values.ndim == 0 and term.kind != "date"
    return term.values.item() if constant else term.values


def _compute(op: ast.operator, first: _Term, second: _Term) -> _Term:
    for term in (first, second):
        if term.kind in ("text", "date"):
            raise TypeError(f"arithmetic with {term.kind}")
    compute = _ARITHMETIC[type(op)]
    values = np.asarray(compute(*_operands(_as_float(first), _as_float(second))))
    if values.dtype.kind != "f":
        raise ArithmeticError("a number that is not real")
    signed = first.values.dtype == second.values.dtype == np.int64
    if signed and not isinstance(op, ast.Div | ast.Pow) and (np.abs(values) < 2**63).all():
        # Whole numbers keep every digit where they do not run over.
        values = np.asarray(compute(*_operands(first, second)))
    return _Term(values, first.missing | second.missing | _undefined(values))


def _as_float(term: _Term) -> _Term:
    values = term.values
    return _Term(values if term.kind == "float" else values.astype(np.float64), term.missing)


def _as_date(term: _Term) -> _Term:
    if term.kind == "text" and term.values.ndim == 0:
        return _Term(np.asarray(np.datetime64(str(term.values))), term.missing)
    if term.kind != "date":
        raise TypeError(f"a date is compared with something else: {term.kind}")
    return term


def _compare(op: ast.cmpop, first: _Term, second: _Term) -> _Term:
    if "date" in (first.kind, second.kind):
        first, second = _as_date(first), _as_date(second)
    if (first.kind == "text") != (second.kind == "text"):
        raise TypeError("a text is compared with a number")
    values = np.asarray(_COMPARISONS[type(op)](*_operands(first, second)), dtype=bool)
    return _Term(values, first.missing | second.missing)


def _bits(op: ast.operator, first: _Term, second: _Term) -> _Term:
    if first.kind == second.kind == "truth":
        return _both(first, second) if isinstance(op, ast.BitAnd) else _either(first, second)
    whole = [_whole(term) for term in (first, second)]
    if any(term.values.dtype == np.uint64 for term in whole):
        # The same bits, whatever sign they stand for.
        whole = [_Term(term.values.astype(np.uint64), term.missing) for term in whole]
    values = np.asarray(_BITS[type(op)](*_operands(*whole)))
    return _Term(values, first.missing | second.missing)


def _whole(term: _Term) -> _Term:
    """Integers for an operation on bits, also where nulls have made them floats."""
    if term.kind == "integer":
        return term
    present = np.where(term.missing, 0, term.values) if term.kind == "float" else None
    if present is None or not (present == np.floor(present)).all() or (abs(present) > 2**53).any():
        raise TypeError("bits of what are no whole numbers")
    return _Term(present.astype(np.int64), term.missing)


def _unary(op: ast.unaryop, term: _Term) -> _Term:
    if isinstance(op, ast.Not) or (isinstance(op, ast.Invert) and term.kind == "truth"):
        return _Term(~_truth(term), term.missing)
    if isinstance(op, ast.Invert) and term.kind == "float":
        raise TypeError("bits of what are no whole numbers")
    if isinstance(op, ast.Invert):
        return _Term(np.asarray(~_whole(term).values), term.missing)
    if term.kind not in ("integer", "float"):
        raise TypeError(f"the negative of a {term.kind}")
    return _compute(ast.Sub(), _constant(0), term) if isinstance(op, ast.USub) else term


def _both(first: _Term, second: _Term) -> _Term:
    """And: false if one is false, whatever the other is."""
    a, b = _truth(first), _truth(second)
    false = (~a & ~first.missing) | (~b & ~second.missing)
    return _Term(np.asarray(a & b & ~false), ~false & (first.missing | second.missing))


def _either(first: _Term, second: _Term) -> _Term:
    """Or: true if one is true, whatever the other is."""
    true = (_truth(first) & ~first.missing) | (_truth(second) & ~second.missing)
    return _Term(np.asarray(true), ~true & (first.missing | second.missing))


def _truth(term: _Term) -> NDArray[np.bool_]:
    if term.kind in ("text", "date"):
        raise TypeError(f"a {term.kind} is neither true nor false")
    return np.asarray(term.values, dtype=bool)


def _call(name: str, term: _Term) -> _Term:
    if term.kind == "text":
        raise TypeError(f"{name} of text")
    values = np.asarray(_FUNCTIONS[name](term.values))
    if name == "isfinite":
        return _Term(values & ~term.missing, np.zeros(values.shape, bool))
    return _Term(values, term.missing | _undefined(values))
