"""Encoders as cards: what each is good for, whether it is on this disk, how long it takes, and one click to embed.

A card returns what its button asks for; the page starts the job, because it knows how images become squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from engine.core.errors import KindredError
from engine.embeddings.configurations import Configuration
from engine.embeddings.encoders import speed
from engine.embeddings.encoders.availability import Availability, Choice, availability, choice, repositories_here
from engine.embeddings.encoders.registry import EncoderEntry, KnownModel
from engine.images.decode import PreprocessSettings
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.state import Current, escape
from pages.shared.words import count, duration

OTHER = "another model"
_STYLE = """<style>
.st-key-encoder_cards { display: grid !important; gap: 0.75rem;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); }
.st-key-encoder_cards > div { width: auto !important; max-width: none !important; min-width: 0; height: auto !important;
  display: flex; }
.st-key-encoder_cards > div > [class*="st-key-encoder_card_"] { flex: 1; gap: 0.5rem; }
[class*="st-key-encoder_card_"] > :has([class*="st-key-encoder_actions_"]) { margin-top: auto; }
</style>"""


@dataclass(frozen=True)
class Asked:
    """What a button of a card asks for.

    Attributes
    ----------
    choice : Choice
    what : "embed" | "again" | "use"
        Embed what is missing, embed everything again, or use vectors that are complete.
    configuration : Configuration or None
        The cached one of this choice.
    """

    choice: Choice
    what: Literal["embed", "again", "use"]
    configuration: Configuration | None


def cards(
    now: Current, found: Sequence[Choice], reason: str, preprocess: PreprocessSettings, *, disabled: bool
) -> Asked | None:
    """Draw a card for each encoder, the recommended one first; return what was asked for, once.

    Parameters
    ----------
    found : list of Choice
        The recommended one first.
    reason : str
        Why it is recommended.
    preprocess : PreprocessSettings
        How images become squares: part of what counts as embedded already.
    disabled : bool
        An embedding is at work.
    """
    st.html(_STYLE)
    asked = None
    measured = [(item.entry, item.settings) for item in found]
    with st.container(key="encoder_cards"):
        for item in found:
            with st.container(border=True, key=f"encoder_card_{item.entry.name}"):
                pressed_here = _card(now, item, reason if item is found[0] else "", measured, preprocess, disabled)
            asked = asked or pressed_here
    return asked


def _card(
    now: Current,
    item: Choice,
    reason: str,
    measured: Sequence[speed.Pair],
    preprocess: PreprocessSettings,
    disabled: bool,
) -> Asked | None:
    entry = item.entry
    top, middle, facts = st.container(gap="xsmall"), st.container(), st.container()
    bottom = st.container(horizontal=True, vertical_alignment="center", key=f"encoder_actions_{entry.name}")
    left, right = bottom.container(width="stretch"), bottom.container(width="content")
    try:
        chosen = _choose(now, item, middle, right)
    except KindredError as error:
        chosen = replace(item, availability=Availability("unusable", sentence=error.sentence, hint=error.hint))
    if chosen is None:
        _head(top, item, None, False, reason)
        return None
    kept = _kept(now, chosen, preprocess)
    in_use = kept is not None and now.configuration is not None and kept.key == now.configuration.key
    _head(top, item, chosen, in_use, reason)
    unusable = chosen.availability.state == "unusable"
    with facts:
        st.caption(_facts(now, chosen, kept, measured))
        if unusable:
            st.caption(f":orange[{escape(chosen.availability.sentence)}] {escape(chosen.availability.hint)}")
    with left:
        return _button(now, chosen, kept, in_use, bool(reason), disabled or unusable)


def _head(top: DeltaGenerator, item: Choice, chosen: Choice | None, used: bool, reason: str) -> None:
    """Draw title, badges and what the encoder is good for."""
    badges = []
    if used:
        badges.append(":blue-badge[:material/check: in use]")
    if reason:
        badges.append(":green-badge[recommended]")
    if item.entry.reads_text:
        badges.append(":violet-badge[knows words]")
    if chosen is not None:
        badges.append(_where(chosen))
    with top:
        st.markdown(f"**{escape(item.entry.title)}** {' '.join(badges)}")
        st.markdown(f":small[{escape(item.entry.sentence)}]")
        if reason:
            st.markdown(f":small[:green[{escape(reason)}]]")


def _where(chosen: Choice) -> str:
    found = chosen.availability
    size = f" {found.megabytes:,} MB" if found.megabytes else ""
    return {
        "here": ":gray-badge[on this disk]",
        "download": f":gray-badge[:material/download: downloads{size}]",
        "gated": f":orange-badge[:material/lock: gated, needs a token{',' + size if size else ''}]",
        "unusable": ":orange-badge[:material/error: cannot be used]",
    }[found.state]


def _choose(now: Current, item: Choice, place: DeltaGenerator, aside: DeltaGenerator) -> Choice | None:
    """Draw the model and the settings; None while another model is still to be named.

    Raises
    ------
    KindredError
        A combination that the settings refuse, or a name that nobody knows.
    """
    entry = item.entry
    start = item.settings.model_dump()
    key = f"encoder_{entry.name}"
    if entry.models:
        with place:
            model = _model(item)
        if model is None:
            return None
        start = entry.settings_for(model).model_dump()
        key = f"{key}_{model}"
    elif entry.needs == "file":
        with place:
            checkpoint = _trained(now)
        if checkpoint is None:
            return None
        start["checkpoint"] = checkpoint
        key = f"{key}_{checkpoint}"
    with aside.popover("Settings", icon=":material/tune:", type="tertiary"):
        skip = ("model", "checkpoint") if entry.needs == "file" else ("model",)
        settings = forms.draw(entry.settings_class, key=key, values=start, skip=skip, columns=1)
    return item if settings == item.settings else choice(entry, settings)


def _model(item: Choice) -> str | None:
    """Let the person choose among the known models, or name another."""
    entry = item.entry
    states = {model.name: availability(entry, entry.settings_for(model.name)) for model in entry.models}

    def words(name: str) -> str:
        model = next((model for model in entry.models if model.name == name), None)
        if model is None:
            return "Another model"
        state = {"here": "on this disk", "gated": "gated"}.get(states[name].state, "")
        return " · ".join(part for part in (model.title, f"{model.megabytes:,} MB", state) if part)

    names = [model.name for model in entry.models]
    first = str(getattr(item.settings, "model", ""))
    chosen = st.selectbox(
        f"Model of {entry.title}",
        [*names, OTHER],
        index=names.index(first) if first in names else 0,
        format_func=words,
        key=f"model_of_{entry.name}",
        label_visibility="collapsed",
        persist_state="session",
    )
    return _another(entry) if chosen == OTHER else str(chosen)


@st.cache_resource(show_spinner="Reading the list of models")
def _list_of(name: str, _entry: EncoderEntry) -> dict[str, KnownModel]:
    found: list[KnownModel] = _entry.encoder_class.list_models()
    return {model.name: model for model in found}


def _another(entry: EncoderEntry) -> str | None:
    """Let the person search the library's own list, or type an id of the hub or a folder."""
    known = _list_of(entry.name, entry)
    key = f"another_model_of_{entry.name}"
    if not known:
        typed = st.text_input(
            "Another model", key=key, placeholder="org/name on the hub, or a folder", persist_state="session"
        ).strip()
        return typed or None
    here = repositories_here()

    def words(name: str) -> str:
        model = known.get(name)
        if model is None:
            return name
        size = f"{model.megabytes:,} MB" if model.megabytes else ""
        state = "on this disk" if (model.repository or name) in here else ""
        return " · ".join(part for part in (name, size, state) if part)

    chosen = st.selectbox(
        "Another model",
        list(known),
        index=None,
        format_func=words,
        key=key,
        placeholder=f"Search {len(known):,} models, or type org/name or a folder",
        accept_new_options=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    return str(chosen).strip() if chosen else None


def _trained(now: Current) -> str | None:
    """Let the person choose a network that was trained here, or name its file."""
    known = {str(path): run.name for run in now.runs for path in sorted(run.folder.glob("backbone.pt"))}
    chosen = st.selectbox(
        "Trained network",
        list(known),
        index=0 if known else None,
        format_func=lambda path: known.get(path, path),
        key="trained_network",
        placeholder="Train one on Cluster, or type the path of a backbone.pt",
        accept_new_options=True,
        label_visibility="collapsed",
        persist_state="session",
    )
    return str(chosen) if chosen else None


def _kept(now: Current, chosen: Choice, preprocess: PreprocessSettings) -> Configuration | None:
    """Return the cached configuration that embedding with this choice would go on with."""
    fit = preprocess.model_dump(mode="json")
    for item in now.configurations:
        same = item.encoder == chosen.entry.name and all(item.preprocess.get(name) == fit[name] for name in fit)
        if same and item.state != "stale" and _key(chosen.entry, item.settings) == chosen.settings.key():
            return item
    return None


def _key(entry: EncoderEntry, settings: dict[str, object]) -> str:
    try:
        return entry.settings_class.parse(settings).key()
    except KindredError:
        return ""


def images_of(now: Current) -> int:
    """Return how many images would be embedded: the sample's, where the person works on one."""
    return len(now.sample) if now.sample is not None else now.images


def _missing(now: Current, kept: Configuration | None) -> int:
    """Return how many images have no vector yet."""
    done = 0 if kept is None else kept.have + kept.failed
    return 0 if kept is not None and kept.state == "complete" else max(0, images_of(now) - done)


def _facts(now: Current, chosen: Choice, kept: Configuration | None, measured: Sequence[speed.Pair]) -> str:
    """Return the length of a vector, the rate on this machine and the time for this data set."""
    dimension = kept.dimension if kept is not None else chosen.model.dimension if chosen.model is not None else None
    parts = [f"{dimension:,} numbers an image"] if dimension else []
    rate = speed.speed(now.workspace, chosen.entry, chosen.settings, measured)
    if rate is not None and rate.images_per_second > 0:
        per = f"{rate.images_per_second:,.0f}" if rate.images_per_second >= 10 else f"{rate.images_per_second:.1f}"
        source = f"estimated from {rate.estimated_from}" if rate.estimated_from else "measured here"
        parts.append(f"{per} images a second ({source})")
        missing = _missing(now, kept)
        if missing:
            parts.append(f"{duration(missing / rate.images_per_second)} for {count(missing, 'image')}")
    elif chosen.availability.state == "here":
        parts.append("speed not measured yet")
    return escape(" · ".join(parts))


def _button(
    now: Current,
    chosen: Choice,
    kept: Configuration | None,
    used: bool,
    recommended: bool,
    disabled: bool,
) -> Asked | None:
    entry = chosen.entry
    missing = _missing(now, kept)
    kind: Literal["primary", "secondary"] = "primary" if recommended and now.configuration is None else "secondary"
    if used and not missing:
        if pressed(
            "Embed again",
            type="tertiary",
            icon=":material/refresh:",
            disabled=disabled,
            help="Makes every vector anew; the old ones serve until the new ones are complete",
        ):
            return Asked(chosen, "again", kept)
    elif kept is not None and not missing:
        if pressed(f"Use {entry.title}", key=f"use_{entry.name}", icon=":material/check:", width="stretch"):
            return Asked(chosen, "use", kept)
    else:
        words = "the remaining " if kept is not None else ""
        label = f"Embed {words}{count(missing, 'image')} with {entry.title}"
        key = f"embed_with_{entry.name}"
        if pressed(label, key=key, type=kind, icon=":material/play_arrow:", disabled=disabled, width="stretch"):
            return Asked(chosen, "embed", kept)
    return None
