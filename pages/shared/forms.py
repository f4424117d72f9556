"""Controls drawn from a settings model: one declaration, so no slider is written by hand."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any, TypeVar

import streamlit as st

from engine.core.settings import Control, Settings, controls

Model = TypeVar("Model", bound=Settings)


def draw(
    model: type[Model],
    *,
    key: str,
    values: Mapping[str, Any] | None = None,
    skip: Collection[str] = (),
    within: Mapping[str, tuple[float, float]] | None = None,
    columns: int = 2,
) -> Model:
    """Draw a model's controls and return the settings they hold.

    Parameters
    ----------
    model : type of Settings
    key : str
        Prefix of the widgets' keys.
    values : mapping, optional
        Starting values other than the model's defaults.
    skip : collection of str
        Settings that the page decides itself.
    within : mapping of str to (low, high), optional
        Narrower bounds that suit the data at hand; they make a slider of what would be a number field.
    columns : int
        How many controls stand side by side.

    Raises
    ------
    InputError
        A combination that the model refuses.
    """
    start = dict(values or {})
    shown = [_narrow(control, within or {}) for control in controls(model) if control.name not in skip]
    chosen = {name: value for name, value in start.items() if name in skip}
    chosen |= _rows([control for control in shown if not control.advanced], key, start, columns)
    advanced = [control for control in shown if control.advanced]
    if advanced:
        with st.expander("More settings"):
            chosen |= _rows(advanced, key, start, columns)
    return model.parse(chosen)


def _narrow(control: Control, within: Mapping[str, tuple[float, float]]) -> Control:
    if control.name not in within:
        return control
    low, high = within[control.name]
    return replace(control, minimum=low, maximum=max(low + 1, high), log=False)


def _rows(wanted: list[Control], key: str, start: Mapping[str, Any], columns: int) -> dict[str, Any]:
    chosen = {}
    for first in range(0, len(wanted), columns):
        cells = st.columns(columns)
        for control, cell in zip(wanted[first : first + columns], cells, strict=False):
            with cell:
                chosen[control.name] = _draw_one(
                    control, f"{key}_{control.name}", start.get(control.name, control.default)
                )
    return chosen


def _draw_one(control: Control, key: str, value: Any) -> Any:  # noqa: ANN401 - any setting's value
    if control.optional and control.kind in ("int", "float"):
        return _optional(control, key, value)
    if control.kind == "bool":
        return st.toggle(control.label, value=bool(value), key=key, help=control.help, persist_state="session")
    if control.kind == "choice":
        options = [None, *control.choices] if control.optional else list(control.choices)
        return st.selectbox(
            control.label,
            options,
            index=options.index(value) if value in options else 0,
            format_func=lambda option: "automatic" if option is None else str(option),
            key=key,
            help=control.help,
            persist_state="session",
        )
    if control.kind in ("int", "float"):
        return _number(control, key, value)
    if control.kind == "list":
        text = st.text_input(
            control.label,
            value=", ".join(str(item) for item in value or ()),
            key=key,
            help=control.help,
            persist_state="session",
        )
        return tuple(part.strip() for part in text.split(",") if part.strip())
    if isinstance(control.search, list):
        suggested = list(dict.fromkeys([*control.search, value])) if value else list(control.search)
        picked = st.selectbox(
            control.label,
            suggested,
            index=suggested.index(value) if value else None,
            key=key,
            help=control.help,
            accept_new_options=True,
            persist_state="session",
        )
        return picked or (None if control.optional else "")
    text = st.text_input(control.label, value=value or "", key=key, help=control.help, persist_state="session")
    return text or (None if control.optional else "")


def _optional(control: Control, key: str, value: Any) -> Any:  # noqa: ANN401
    automatic = st.toggle(
        f"{control.label}: automatic",
        value=value is None,
        key=f"{key}_auto",
        help=control.help,
        persist_state="session",
    )
    if automatic:
        return None
    fallback = control.minimum if control.minimum is not None else 1
    return _number(control, key, fallback if value is None else value)


def _number(control: Control, key: str, value: Any) -> Any:  # noqa: ANN401
    kind = int if control.kind == "int" else float
    low: Any = None if control.minimum is None else kind(control.minimum)
    high: Any = None if control.maximum is None else kind(control.maximum)
    value = kind(value) if low is None or high is None else min(max(kind(value), low), high)
    step = kind(control.step) if control.step else _step(control, low, high)
    common: dict[str, Any] = {"key": key, "help": control.help, "persist_state": "session"}
    wide = low is None or high is None or control.log or (high - low) / step > 2000
    if wide:
        shape = "%d" if kind is int else "%g"
        return st.number_input(control.label, low, high, value, step=step, format=shape, **common)
    shape = "%d" if kind is int else "%g"
    return st.slider(control.label, low, high, value, step=step, format=shape, **common)


def _step(control: Control, low: float | None, high: float | None) -> Any:  # noqa: ANN401
    if control.kind == "int":
        return 1
    if low is None or high is None or control.log:
        return max(abs(float(control.default or 0.01)) / 10, 1e-6)
    return (high - low) / 100
