"""The presets as cards, each with what it does and the time that it takes here; the other settings are folded away."""

from __future__ import annotations

import streamlit as st

from components.tiles.face import Tile, tiles
from engine.clustering.deep.forecast import human_time
from engine.distillation.settings import DistilSettings, Preset
from engine.jobs.tasks.results import LearnedLabels
from engine.runs.rows import Rows
from pages.shared import forms

_WHAT: dict[Preset, str] = {
    "quick": "The real images that a classifier learns best from.",
    "balanced": "The matching methods, too, with few passes; the best of all is kept.",
    "thorough": "The matching methods with all their passes.",
}
_USUAL: Preset = "balanced"
_CHOSEN = "distil_chosen_preset"
_TIMES = "distil_times"  # seconds that are known, by what was asked


def choose_settings() -> DistilSettings:
    """Return the settings that stand in the cards and the form; draws the form, folded.

    Raises
    ------
    InputError
        A combination that the settings refuse.
    """
    with st.expander("Settings", icon=":material/tune:"):
        return forms.draw_fitted(
            DistilSettings,
            lambda given: given.resolved().model_dump(),
            key="distil",
            values={"preset": st.session_state.get(_CHOSEN, _USUAL)},
            skip={"preset", "device"},
            columns=4,
        )


def preset_cards(settings: DistilSettings, rows: Rows, learned: LearnedLabels) -> None:
    """Draw the cards; their times stand there as soon as they are measured."""
    known = st.session_state.get(_TIMES, {})
    shown = []
    for name in DistilSettings.presets:
        seconds = known.get(_asked(settings, name, rows, learned))
        time = "measuring how long it takes" if seconds is None else f"about {human_time(seconds)} on this machine"
        shown.append(Tile(name, "", name.capitalize(), f"{time}. {_WHAT[name]}"))
    chosen = tiles("distil_presets", shown, label="How thoroughly", width=260, chosen=settings.preset)
    if chosen is not None and chosen != settings.preset:
        st.session_state[_CHOSEN] = chosen
        st.rerun()


def time_of(settings: DistilSettings, rows: Rows, learned: LearnedLabels) -> str:
    """Return the time of the chosen preset in words; empty while it is not known."""
    seconds = st.session_state.get(_TIMES, {}).get(_asked(settings, settings.preset, rows, learned))
    return "" if seconds is None else f"about {human_time(seconds)}"


def measure(settings: DistilSettings, rows: Rows, learned: LearnedLabels) -> None:
    """Measure what is not known yet, at the end of a run, when the page is there to be read; then draw it again."""
    from engine.distillation.forecast import seconds_needed

    known: dict[tuple[str, int, int, int], float] = st.session_state.setdefault(_TIMES, {})
    asked = [_asked(settings, name, rows, learned) for name in DistilSettings.presets]
    missing = [one for one in asked if one not in known]
    for given, n, columns, classes in missing:
        known[given, n, columns, classes] = seconds_needed(
            DistilSettings.model_validate_json(given), n, columns, classes
        )
    if missing:
        st.rerun()


def _asked(settings: DistilSettings, preset: Preset, rows: Rows, learned: LearnedLabels) -> tuple[str, int, int, int]:
    """Return what a time depends on: the settings as JSON, images to train on, numbers of a vector, classes."""
    n = len(rows.train) if len(rows.test) else round(len(rows) * (1 - settings.test_fraction))
    given = settings.changed(preset=preset).model_dump_json(exclude_unset=True)
    return given, n, rows.vectors.shape[1], learned.n_classes
