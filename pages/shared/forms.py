"""Controls drawn from a settings model: one declaration, so no slider is written by hand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import streamlit as st

from engine.core.errors import KindredError
from engine.core.settings import Control, Settings, controls

Model = TypeVar("Model", bound=Settings)


def draw(
    model: type[Model],
    *,
    key: str,
    values: Mapping[str, Any] | None = None,
    skip: Collection[str] = (),
    only: Sequence[str] = (),
    titles: Mapping[str, str] | None = None,
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
    only : sequence of str, optional
        These settings alone, in this order, none folded away.
    titles : mapping, optional
        What choices of a list are called.
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
    if only:
        shown = sorted((one for one in shown if one.name in only), key=lambda one: only.index(one.name))
    chosen = {name: value for name, value in start.items() if name in skip}
    advanced = [control for control in shown if control.advanced and not only]
    chosen |= _rows([control for control in shown if control not in advanced], key, start, columns, titles or {})
    if advanced:
        with st.expander("More settings"):
            chosen |= _rows(advanced, key, start, columns, titles or {})
    return model.parse(chosen)


def draw_fitted(
    model: type[Model],
    fitted: Callable[[Model], Mapping[str, Any]],
    *,
    key: str,
    values: Mapping[str, Any] | None = None,
    skip: Collection[str] = (),
    titles: Mapping[str, str] | None = None,
    within: Mapping[str, tuple[float, float]] | None = None,
    columns: int = 2,
) -> Model:
    """Draw a model's controls, those that nobody touched at the values that will be used, and return what was given.

    Parameters
    ----------
    model, key, values, skip, titles, within, columns
        As in `draw`; `values` count as given.
    fitted : function
        From the settings that were given to the values of all that will be used.

    Raises
    ------
    InputError
        A combination that the model refuses.
    """
    touched = _collect(model, key)
    given = {**(values or {}), **touched}
    settings = model.parse(given)
    try:
        used = dict(fitted(settings))
    except KindredError:  # the caller learns of it, too, and says it; the controls stay so that it can be mended
        used = settings.model_dump()
    shown = [_narrow(control, within or {}) for control in controls(model) if control.name not in skip]
    _fitted_rows([control for control in shown if not control.advanced], key, used, columns, titles or {})
    advanced = [control for control in shown if control.advanced]
    if advanced:
        with st.expander("More settings"):
            _fitted_rows(advanced, key, used, columns, titles or {})
    if touched:
        st.button(
            "Back to what suits the data",
            key=f"{key}_back",
            icon=":material/undo:",
            type="tertiary",
            on_click=give,
            args=(key, {}),
        )
    return settings


def give(key: str, values: Mapping[str, Any]) -> None:
    """Let the controls of a form drawn by `draw_fitted` hold these values as a person's, and no others."""
    _touched(key).clear()
    for name, value in values.items():
        _touched(key)[name] = value
        st.session_state[f"{key}_{name}"] = value


def _touched(key: str) -> dict[str, Any]:
    """Return the values that a person gave in a form, by name."""
    found: dict[str, Any] = st.session_state.setdefault(f"{key}_given", {})
    return found


def _collect(model: type[Settings], form: str) -> dict[str, Any]:
    """Note what a person moved since the controls were drawn: what is no longer where the form had put it."""
    touched, shown = _touched(form), st.session_state.get(f"{form}_shown", {})
    for name in model.model_fields:
        key = f"{form}_{name}"
        if st.session_state.get(f"{key}_auto"):
            touched.pop(name, None)
        elif key in st.session_state and (name in touched or _plain(st.session_state[key]) != _plain(shown.get(name))):
            touched[name] = st.session_state[key]
    return touched


def _plain(value: Any) -> Any:  # noqa: ANN401 - any setting's value
    """Return a tuple as the list that a multiselect makes of it."""
    return list(value) if isinstance(value, tuple) else value


def _fitted_rows(
    wanted: list[Control], form: str, used: Mapping[str, Any], columns: int, titles: Mapping[str, str]
) -> None:
    touched, shown = _touched(form), st.session_state.setdefault(f"{form}_shown", {})
    for first in range(0, len(wanted), columns):
        cells = st.columns(columns)
        for control, cell in zip(wanted[first : first + columns], cells, strict=False):
            name = control.name
            key, value = f"{form}_{name}", touched.get(name, used[name])
            if control.optional and control.kind in ("int", "float"):
                with cell:
                    _optional(control, key, value)
                continue
            if name not in touched or key not in st.session_state:
                st.session_state[key] = _bounded(control, value) if control.kind in ("int", "float") else value
            shown[name] = st.session_state[key]
            with cell:
                _draw_one(control, key, None, held=True, titles=titles)
                if name not in touched and value != control.default:
                    st.caption(f"chosen for your data: {_told(value, titles)}")


def _told(value: Any, titles: Mapping[str, str]) -> str:  # noqa: ANN401 - any setting's value
    if isinstance(value, (tuple, list)):
        return ", ".join(titles.get(one, str(one)) for one in value)
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _narrow(control: Control, within: Mapping[str, tuple[float, float]]) -> Control:
    if control.name not in within:
        return control
    low, high = within[control.name]
    return replace(control, minimum=low, maximum=max(low + 1, high), log=False)


def _rows(
    wanted: list[Control], key: str, start: Mapping[str, Any], columns: int, titles: Mapping[str, str]
) -> dict[str, Any]:
    chosen = {}
    for first in range(0, len(wanted), columns):
        cells = st.columns(columns)
        for control, cell in zip(wanted[first : first + columns], cells, strict=False):
            with cell:
                chosen[control.name] = _draw_one(
                    control, f"{key}_{control.name}", start.get(control.name, control.default), titles=titles
                )
    return chosen


def _draw_one(
    control: Control,
    key: str,
    value: Any,  # noqa: ANN401 - any setting's value
    *,
    held: bool = False,
    titles: Mapping[str, str] | None = None,
) -> Any:  # noqa: ANN401
    """Draw a control that starts at `value`, or that stands where the session holds it."""
    if control.optional and control.kind in ("int", "float"):
        return _optional(control, key, value)
    common: dict[str, Any] = {"key": key, "help": control.help, "persist_state": "session"}
    if control.kind == "bool":
        return st.toggle(control.label, value=bool(value), **common)
    if control.kind == "choice":
        options = [None, *control.choices] if control.optional else list(control.choices)
        return st.selectbox(
            control.label,
            options,
            index=options.index(value) if value in options else 0,
            format_func=lambda option: "automatic" if option is None else str(option),
            **common,
        )
    if control.kind in ("int", "float"):
        return _number(control, key, value, held=held)
    if control.kind == "list" and control.choices:
        names = {choice: (titles or {}).get(choice, str(choice).replace("_", " ")) for choice in control.choices}
        return tuple(
            st.multiselect(
                control.label,
                list(names),
                default=None if held else list(value or ()),
                format_func=names.__getitem__,
                **common,
            )
        )
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
    text = st.text_input(control.label, value=value or "", **common)
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


def _bounded(control: Control, value: Any) -> Any:  # noqa: ANN401
    """Return a number within the control's bounds, of its kind."""
    kind = int if control.kind == "int" else float
    if control.minimum is None or control.maximum is None:
        return kind(value)
    return min(max(kind(value), kind(control.minimum)), kind(control.maximum))


def _number(control: Control, key: str, value: Any, *, held: bool = False) -> Any:  # noqa: ANN401
    kind = int if control.kind == "int" else float
    low: Any = None if control.minimum is None else kind(control.minimum)
    high: Any = None if control.maximum is None else kind(control.maximum)
    step = kind(control.step) if control.step else _step(control, low, high)
    common: dict[str, Any] = {"key": key, "help": control.help, "persist_state": "session"}
    if not held:
        common["value"] = _bounded(control, value)
    wide = low is None or high is None or control.log or (high - low) / step > 2000
    if wide:
        shape = "%d" if kind is int else "%g"
        return st.number_input(control.label, low, high, step=step, format=shape, **common)
    shape = "%d" if kind is int else "%g"
    return st.slider(control.label, low, high, step=step, format=shape, **common)


def _step(control: Control, low: float | None, high: float | None) -> Any:  # noqa: ANN401
    if control.kind == "int":
        return 1
    if low is None or high is None or control.log:
        return max(abs(float(control.default or 0.01)) / 10, 1e-6)
    return (high - low) / 100
