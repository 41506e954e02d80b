"""Options that are fields of a settings record.

Their names, types, defaults and help stand in the record alone.
"""

import dataclasses
import inspect
import types
import typing
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import typer
from pydantic import BaseModel, ValidationError
from typing_extensions import Doc

from photoz_run.errors import ConfigError

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True)
class Shown:
    """How the option of a field is shown, as far as the field does not say it."""

    metavar: str | None = None
    panel: str | None = None
    option: str | None = None
    """Its name, if not that of the field."""
    comma: bool = False
    """Several values are one word, with commas between them."""


OF_SPECTRA = "The table of spec-z"
SPECTRA = {
    "ra": Shown("COLUMN", panel=OF_SPECTRA),
    "dec": Shown("COLUMN", panel=OF_SPECTRA),
    "z": Shown("COLUMN", panel=OF_SPECTRA),
    "quality": Shown("EXPR", panel=OF_SPECTRA),
}
"""What may be said of tables of spec-z, in commands that take one."""

VALUES = {str: "TEXT", Path: "PATH", int: "N", float: "NUMBER", bool: ""}
"""What stands for a value in the help; a flag has none."""


@dataclass(frozen=True)
class Setting:
    """A field of a record, whichever way the record is written."""

    name: str
    type: Any
    default: Any
    help: str
    least: float | None = None
    """The smallest value, where there is one."""


def settings(record: Any) -> dict[str, Setting]:
    """The fields of a pydantic model, or of a dataclass whose fields have a ``Doc``."""
    if hasattr(record, "model_fields"):
        return {
            name: Setting(
                name, field.annotation, field.default, field.description or "", _least(field)
            )
            for name, field in record.model_fields.items()
        }
    hints = typing.get_type_hints(record, include_extras=True)
    return {field.name: _dataclass_setting(field, hints) for field in dataclasses.fields(record)}


def from_record(record: Any, shown: Mapping[str, Shown]) -> Callable[[Any], Any]:
    """Decorate a command with an option for each field of ``record`` that ``shown`` names.

    The command takes them as ``**chosen``, under the names of the fields. What was not given is
    absent.
    """
    fields = settings(record)
    options = [_parameter(fields[name], how) for name, how in shown.items()]

    def decorate(command: Any) -> Any:
        def call(**values: Any) -> Any:
            return command(**_given(values, shown))

        call.__name__, call.__doc__ = command.__name__, command.__doc__
        parameters = inspect.signature(command).parameters.values()
        own = [
            _keyword(parameter)
            for parameter in parameters
            if parameter.kind is not parameter.VAR_KEYWORD
        ]
        needed = [parameter for parameter in own if parameter.default is parameter.empty]
        others = [parameter for parameter in own if parameter.default is not parameter.empty]
        call.__dict__["__signature__"] = inspect.Signature([*needed, *options, *others])
        return call

    return decorate


def checked(record: type[Model], **values: Any) -> Model:
    """The record of what was given; `ConfigError` names an option whose value does not fit."""
    try:
        return record(**values)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        option = str(first["loc"][0]).replace("_", "-")
        raise ConfigError(f"--{option}: {first['msg']} (got {first['input']!r})") from error


def _keyword(parameter: inspect.Parameter) -> inspect.Parameter:
    return parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)


def _dataclass_setting(field: "dataclasses.Field[Any]", hints: Mapping[str, Any]) -> Setting:
    hint = hints[field.name]
    helps = [
        part.documentation for part in getattr(hint, "__metadata__", ()) if isinstance(part, Doc)
    ]
    annotation = hint.__origin__ if helps else hint
    return Setting(field.name, annotation, field.default, "".join(helps))


def _least(field: Any) -> float | None:
    limits = (getattr(limit, "ge", None) for limit in field.metadata)
    return next((limit for limit in limits if limit is not None), None)


def _given(values: Mapping[str, Any], shown: Mapping[str, Shown]) -> dict[str, Any]:
    """The values as the record takes them, without the options that were not given."""
    kept = {}
    for name, value in values.items():
        how = shown.get(name)
        if how is None:
            kept[name] = value
        elif value is None or value == []:
            continue
        elif how.comma:
            kept[name] = tuple(part.strip() for part in value.split(","))
        else:
            kept[name] = tuple(value) if isinstance(value, list) else value
    return kept


def _parameter(setting: Setting, how: Shown) -> inspect.Parameter:
    """The option of a field: absent unless given, so that a settings file can say it instead."""
    annotation, metavar = _typed(setting.type, how.comma)
    names = [how.option or f"--{setting.name.replace('_', '-')}"]
    option = typer.Option(
        *names,
        help=_help(setting),
        metavar=how.metavar or metavar,
        rich_help_panel=how.panel,
        min=setting.least,
    )
    return inspect.Parameter(
        setting.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None,
        annotation=Annotated[annotation | None, option],
    )


def _typed(annotation: Any, comma: bool) -> tuple[Any, str | None]:
    """The type that typer parses, and what stands for a value of it.

    The record checks the value itself.
    """
    if typing.get_origin(annotation) in (types.UnionType, typing.Union):
        (annotation,) = (part for part in typing.get_args(annotation) if part is not types.NoneType)
    if typing.get_origin(annotation) is tuple:
        part = typing.get_args(annotation)[0]
        # What is no plain type the record makes of the text itself.
        part = part if part in VALUES else str
        return (str, None) if comma else (list[part], None)  # type: ignore[valid-type]
    if typing.get_origin(annotation) is Literal:
        return str, "|".join(typing.get_args(annotation))
    return annotation, VALUES.get(annotation)


def _help(setting: Setting) -> str:
    """The sentence of the field, with its default where that is worth a word."""
    text = setting.help
    first = text.split(maxsplit=1)[0]
    if not first.endswith(","):
        # A list of values starts with the first of them as it is.
        text = text[0].upper() + text[1:]
    default = setting.default
    if isinstance(default, tuple):
        default = ",".join(map(str, default))
    worth = isinstance(default, str | int | float) and not isinstance(default, bool)
    if worth and default != "":
        text += f" (default: {default})"
    return f"{text}."
