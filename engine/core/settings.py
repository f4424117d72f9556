"""One declaration, three faces: a step's settings are one frozen Pydantic model.

The page draws its controls from `controls(Model)`, the command line its flags from `add_flags`,
and the cache its key from `Settings.key()`. No parameter is written twice: name, default, bounds,
help and search range stand in the model's field, made by `setting(...)`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import types
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.fields import FieldInfo

from engine.core.errors import InputError


def setting(
    default: Any,  # noqa: ANN401 - a default is any value
    help: str,
    *,
    ge: float | None = None,
    le: float | None = None,
    step: float | None = None,
    log: bool = False,
    search: Sequence[Any] | tuple[float, float] | None = None,
    choices: Collection[str] = (),
    label: str = "",
    advanced: bool = False,
    runtime: bool = False,
    aliases: tuple[str, ...] = (),
) -> Any:  # noqa: ANN401 - Pydantic's Field is Any by design
    """Declare one setting.

    Parameters
    ----------
    default : value
        The default; its type and the annotation decide the control.
    help : str
        One sentence shown on hover and in `--help`.
    ge, le : float, optional
        Inclusive bounds; a slider needs both.
    step : float, optional
        The slider's step.
    log : bool
        The range is searched and drawn on a logarithmic scale.
    search : list or (low, high), optional
        What hyper-parameter search tries: a list is choices, a tuple a range.
    choices : collection of str
        The values that a text, or each of a list, may take, such as the names of a registry; looked up whenever they
        are needed.
    label : str
        What the control is called; from the name when empty.
    advanced : bool
        Shown under "more settings".
    runtime : bool
        Changes where or how fast, never what: left out of the cache key.
    aliases : tuple of str
        Further command-line flags, without dashes.
    """
    extra: dict[str, Any] = {
        "step": step,
        "log": log,
        "search": search,
        "choices": choices,
        "label": label,
        "advanced": advanced,
        "runtime": runtime,
        "aliases": list(aliases),
    }
    return Field(default, description=help, ge=ge, le=le, json_schema_extra={"kindred": extra})


class Settings(BaseModel):
    """A step's settings: immutable, closed to unknown names, with a key."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def key(self) -> str:
        """Return 32 hex digits that name this configuration: blake2b of canonical JSON, without runtime fields."""
        values = {"": type(self).__name__}
        values |= {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if not _extra(type(self).model_fields[name]).get("runtime")
        }
        text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()

    @model_validator(mode="after")
    def _known_choices(self) -> Self:
        for name, field in type(self).model_fields.items():
            choices, value = _extra(field).get("choices"), getattr(self, name)
            if choices and any(one not in choices for one in (value if isinstance(value, tuple) else (value,))):
                raise ValueError(f"{name} is {'some' if isinstance(value, tuple) else 'one'} of {', '.join(choices)}")
        return self

    @classmethod
    def parse(cls, values: Mapping[str, Any]) -> Self:
        """Build from plain values; a bad one becomes one sentence that names the field.

        Raises
        ------
        InputError
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or cls.__name__
            raise InputError(
                f"{field}: {first['msg'].removeprefix('Value error, ')} (given: {first.get('input')!r}).",
                f"Known settings: {', '.join(cls.model_fields)}." if first["type"] == "extra_forbidden" else "",
            ) from error

    def changed(self, **values: Any) -> Self:  # noqa: ANN401 - any field's value
        """Return a validated copy with some fields changed; these and those given before count as given."""
        return type(self).parse(self.model_dump(exclude_unset=True) | values)

    def given(self) -> dict[str, Any]:
        """Return what was given, as JSON has it, also where it equals the default: a preset fits only the rest."""
        return self.model_dump(mode="json", exclude_unset=True)


Kind = Literal["int", "float", "bool", "choice", "text", "list"]


@dataclass(frozen=True)
class Control:
    """One setting as a page or a command line sees it."""

    name: str
    label: str
    help: str
    kind: Kind
    default: Any
    optional: bool
    minimum: float | None
    maximum: float | None
    step: float | None
    choices: tuple[Any, ...]
    log: bool
    search: Sequence[Any] | tuple[float, float] | None
    advanced: bool
    runtime: bool
    aliases: tuple[str, ...]


def _extra(field: FieldInfo) -> dict[str, Any]:
    extra = field.json_schema_extra
    found = extra.get("kindred") if isinstance(extra, dict) else None
    return found if isinstance(found, dict) else {}


def _shape(annotation: Any) -> tuple[Kind, tuple[Any, ...], bool]:  # noqa: ANN401 - an annotation
    """Return (kind, choices, optional) of a field's annotation."""
    optional = False
    if get_origin(annotation) in (Union, types.UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        optional = len(members) < len(get_args(annotation))
        annotation = members[0]
    if get_origin(annotation) is Literal:
        return "choice", get_args(annotation), optional
    if get_origin(annotation) in (tuple, list):
        inner = get_args(annotation)[0] if get_args(annotation) else None
        return "list", get_args(inner) if get_origin(inner) is Literal else (), optional
    kinds: dict[Any, Kind] = {bool: "bool", int: "int", float: "float"}
    return kinds.get(annotation, "text"), (), optional


_SPOKEN = {
    "n": "number of",
    "lr": "learning rate",
    "dim": "dimension",
    "ema": "EMA",
    "pcl": "PCL",
    "ce": "CE",
    "gpu": "GPU",
    "mb": "MiB",
    "iter": "iterations",
    "init": "starts",
    "tol": "tolerance",
    "val": "validation",
    "dist": "distance",
    "eps": "epsilon",
    "epsilon2": "epsilon squared",
    "viz": "shown",
}


def _label(name: str) -> str:
    """Return a setting's name in words: "n_heads" is "Number of heads"."""
    if name == "random_state":
        return "Seed"
    text = " ".join(_SPOKEN.get(word, word) for word in name.split("_"))
    return text[:1].upper() + text[1:]


def controls(model: type[Settings]) -> list[Control]:
    """Return the model's settings in the order of their declaration."""
    found = []
    for name, field in model.model_fields.items():
        extra = _extra(field)
        kind, choices, optional = _shape(field.annotation)
        if extra.get("choices"):
            kind, choices = kind if kind == "list" else "choice", tuple(extra["choices"])
        bounds = {type(item).__name__: item for item in field.metadata}
        found.append(
            Control(
                name=name,
                label=extra.get("label") or _label(name),
                help=field.description or "",
                kind=kind,
                default=field.get_default(call_default_factory=True),
                optional=optional,
                minimum=getattr(bounds.get("Ge"), "ge", None),
                maximum=getattr(bounds.get("Le"), "le", None),
                step=extra.get("step"),
                choices=choices,
                log=bool(extra.get("log")),
                search=extra.get("search"),
                advanced=bool(extra.get("advanced")),
                runtime=bool(extra.get("runtime")),
                aliases=tuple(extra.get("aliases", ())),
            )
        )
    return found


_ALIASES = {"n_clusters": ("num-clusters",), "random_state": ("seed",), "n_epochs": ("num-epochs",)}
_PARSERS: dict[Kind, Any] = {"int": int, "float": float, "text": str}


class _Switch(argparse.Action):
    """A flag that switches on, with one that switches off: --x and --no-x, or --no-x and --x for a setting `no_x`.

    argparse's BooleanOptionalAction takes every flag that begins with --no- for one that switches off.
    """

    def __init__(self, option_strings: Sequence[str], dest: str, default: Any = None, help: str | None = None) -> None:  # noqa: ANN401
        self.off = {_opposite(flag) for flag in option_strings}
        flags = [*option_strings, *sorted(self.off)]
        super().__init__(flags, dest, nargs=0, default=default, help=help)

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        setattr(namespace, self.dest, option_string not in self.off)


def _opposite(flag: str) -> str:
    return f"--{flag.removeprefix('--no-')}" if flag.startswith("--no-") else f"--no-{flag.removeprefix('--')}"


def add_flags(
    parser: argparse.ArgumentParser, model: type[Settings], *, prefix: str = "", skip: Collection[str] = ()
) -> None:
    """Add one flag for each setting of `model` but those in `skip`; a flag that is not given leaves the default."""
    group = parser.add_argument_group(f"{model.__name__}")
    for control in controls(model):
        if control.name in skip:
            continue
        names = [control.name.replace("_", "-"), *control.aliases]
        names += [alias for alias in _ALIASES.get(control.name, ()) if alias not in names]
        flags = [f"--{prefix}{name}" for name in names]
        options: dict[str, Any] = {
            "dest": f"{prefix}{control.name}",
            "default": argparse.SUPPRESS,
            "help": f"{control.help} (default: {control.default})".replace("%", "%%"),
        }
        if control.kind == "bool":
            group.add_argument(*flags, action=_Switch, **options)
        elif control.kind == "choice":
            group.add_argument(*flags, type=type(control.choices[0]), choices=control.choices, **options)
        elif control.kind == "list":
            group.add_argument(*flags, nargs="+", **options)
        else:
            group.add_argument(*flags, type=_PARSERS[control.kind], metavar=control.kind.upper(), **options)


def from_flags(arguments: argparse.Namespace, model: type[Settings], *, prefix: str = "") -> dict[str, Any]:
    """Return the values of `model`'s flags that were given."""
    given = vars(arguments)
    return {name: given[prefix + name] for name in model.model_fields if prefix + name in given}
