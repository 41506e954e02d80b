"""Selecting sources with an expression such as ``bright and MAG_AUTO_CALIB < 19.5``.

Expressions are Python syntax over columns: comparisons, ``and or not``, ``& | ~``, arithmetic, numbers, strings, and
the functions ``abs``, ``isfinite`` and ``log10``. They are interpreted, never executed as code.
"""

import ast
import operator
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from photoz_run.errors import ConfigError

_OPERATORS: dict[type[ast.AST], Callable[..., Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.Pow: operator.pow,
    ast.BitAnd: operator.and_,
    ast.BitOr: operator.or_,
    ast.And: np.logical_and,
    ast.Or: np.logical_or,
    ast.Not: np.logical_not,
    ast.Invert: operator.invert,
    ast.USub: operator.neg,
    ast.UAdd: operator.pos,
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
_UNDERSTOOD = (
    *(
        ast.Expression,
        ast.Constant,
        ast.Name,
        ast.Load,
        ast.UnaryOp,
        ast.BinOp,
        ast.BoolOp,
        ast.Compare,
        ast.Call,
    ),
    *_OPERATORS,
)


def names_in(expression: str) -> list[str]:
    """The column names an expression uses, sorted; `ConfigError` if it is not a valid expression."""
    nodes = list(ast.walk(_parse(expression)))
    return sorted(
        {node.id for node in nodes if isinstance(node, ast.Name) and node.id not in _FUNCTIONS}
    )


def select(expression: str, columns: Mapping[str, NDArray[Any]], n: int) -> NDArray[np.bool_]:
    """Which of ``n`` rows satisfy ``expression``; a comparison with NaN is false, except ``!=``.

    Raises
    ------
    ConfigError
        If the expression is not valid, uses an unknown name, or does not give true or false for each row.
    """
    tree = _parse(expression)
    with np.errstate(invalid="ignore", divide="ignore"):
        try:
            result = _evaluate(tree.body, columns)
        except (TypeError, ValueError) as error:
            raise ConfigError(f"expression {expression!r} cannot be evaluated: {error}") from error
    mask = np.asarray(result)
    if mask.dtype != bool or mask.shape not in ((), (n,)):
        raise ConfigError(f"expression {expression!r} does not give true or false for each source")
    return np.broadcast_to(mask, (n,)).copy()


def _parse(expression: str) -> ast.Expression:
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except SyntaxError as error:
        raise ConfigError(f"expression {expression!r} is not valid: {error.msg}") from error
    for node in ast.walk(tree):
        function = isinstance(node, ast.Call) and (
            not isinstance(node.func, ast.Name) or node.func.id not in _FUNCTIONS
        )
        if function or not isinstance(node, _UNDERSTOOD):
            what = ast.unparse(node) or type(node).__name__.lower()
            raise ConfigError(f"expression {expression!r}: {what!r} is not understood")
    return tree


def _evaluate(node: ast.AST, columns: Mapping[str, NDArray[Any]]) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str() as value):
            return value
        case ast.Name(id=name):
            return _column(name, columns)
        case ast.UnaryOp(op=op, operand=operand):
            return _OPERATORS[type(op)](_evaluate(operand, columns))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _OPERATORS:
            return _OPERATORS[type(op)](_evaluate(left, columns), _evaluate(right, columns))
        case ast.BoolOp(op=op, values=values):
            return _reduce(_OPERATORS[type(op)], [_evaluate(value, columns) for value in values])
        case ast.Compare(left=left, ops=ops, comparators=comparators) if all(
            type(op) in _OPERATORS for op in ops
        ):
            terms = [_evaluate(term, columns) for term in (left, *comparators)]
            pairs = [
                _OPERATORS[type(op)](a, b) for op, a, b in zip(ops, terms, terms[1:], strict=False)
            ]
            return _reduce(np.logical_and, pairs)
        case ast.Call(func=ast.Name(id=name), args=[argument], keywords=[]) if name in _FUNCTIONS:
            return _FUNCTIONS[name](_evaluate(argument, columns))
        case _:
            raise ConfigError(f"expression: {ast.unparse(node)!r} is not understood")


def _column(name: str, columns: Mapping[str, NDArray[Any]]) -> NDArray[Any]:
    try:
        return columns[name]
    except KeyError:
        raise ConfigError(f"expression: the catalogue has no column {name!r}") from None


def _reduce(function: Callable[..., Any], terms: list[Any]) -> Any:
    result = terms[0]
    for term in terms[1:]:
        result = function(result, term)
    return result
