"""Encoders as cards: what each is good for, whether it is on this disk, how long it takes; a click chooses one.

The chosen card is returned with what is embedded already; the page draws the one button and starts the job, because it
knows how images become squares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
_CHOSEN = "encoder_chosen"
_STYLE = """<style>
.st-key-encoder_cards { display: grid !important; gap: 10px; align-items: stretch !important;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 300px), 1fr)); }
.st-key-encoder_cards > div { width: auto !important; max-width: none !important; min-width: 0; height: auto !important;
  display: flex; }
.st-key-encoder_cards > div > [class*="st-key-encoder_card_"] { flex: 1; gap: 6px; position: relative; padding: 12px; }
[class*="st-key-encoder_card_"]:hover {
  border-color: color-mix(in srgb, light-dark(#2F6FED, #6EA0FF) 60%, transparent); }
[class*="st-key-encoder_card_"]:has(> * [class*="st-key-pick_"] button:focus-visible),
[class*="st-key-encoder_card_"]:has(> [class*="st-key-pick_"] button:focus-visible) {
  outline: 2px solid light-dark(#2F6FED, #6EA0FF); outline-offset: 2px; }
[class*="st-key-pick_"] { position: absolute !important; inset: 0; width: 100% !important; height: 100% !important; }
[class*="st-key-pick_"] div, [class*="st-key-pick_"] button {
  width: 100% !important; height: 100% !important; opacity: 0; cursor: pointer; }
[class*="st-key-encoder_actions_"] { position: relative; z-index: 1; width: fit-content !important; margin-top: auto; }
.st-key-encoder_card_CHOSEN { border-color: ACCENT !important; box-shadow: inset 0 0 0 1px ACCENT; }
</style>"""


@dataclass(frozen=True)
class Picked:
    """The encoder that a person chose.

    Attributes
    ----------
    choice : Choice
        With its model and settings; not usable where its availability says so.
    configuration : Configuration or None
        The cached one of this choice.
    in_use : bool
        Whether the pages work on it.
    missing : int
        Images that it has no vector of yet.
    seconds : float or None
        That embedding them takes, where the speed is known.
    """

    choice: Choice
    configuration: Configuration | None
    in_use: bool
    missing: int
    seconds: float | None

    @property
    def usable(self) -> bool:
        """Whether it can embed anything."""
        return self.choice.availability.state != "unusable"


def cards(now: Current, found: Sequence[Choice], reason: str, preprocess: PreprocessSettings) -> Picked | None:
    """Draw a card for each encoder, the recommended one first; return the chosen one.

    None while the model of the chosen card is still to be named.

    Parameters
    ----------
    found : list of Choice
        The recommended one first.
    reason : str
        Why it is recommended.
    preprocess : PreprocessSettings
        How images become squares: part of what counts as embedded already.
    """
    names = [item.entry.name for item in found]
    usual = now.configuration.encoder if now.configuration is not None else names[0]
    name = str(st.session_state.get(_CHOSEN, usual))
    name = name if name in names else names[0]
    accent = "light-dark(#2F6FED, #6EA0FF)"
    st.html(_STYLE.replace("CHOSEN", name).replace("ACCENT", accent))
    picked = None
    measured = [(item.entry, item.settings) for item in found]
    with st.container(key="encoder_cards"):
        for item in found:
            own = item.entry.name
            with st.container(border=True, key=f"encoder_card_{own}"):
                one = _card(now, item, reason if item is found[0] else "", measured, preprocess)
                label = f"Choose {item.entry.title}"
                if pressed(label, key=f"pick_{own}") and own != name:
                    st.session_state[_CHOSEN] = own
                    st.rerun()
            picked = one if own == name else picked
    return picked


def choose_card(name: str) -> None:
    """Let the next run stand on an encoder's card."""
    st.session_state[_CHOSEN] = name


def _card(
    now: Current, item: Choice, reason: str, measured: Sequence[speed.Pair], preprocess: PreprocessSettings
) -> Picked | None:
    top, facts = st.container(gap="xsmall"), st.container()
    bottom = st.container(horizontal=True, vertical_alignment="center", key=f"encoder_actions_{item.entry.name}")
    try:
        chosen = _choose(now, item, bottom)
    except KindredError as error:
        chosen = replace(item, availability=Availability("unusable", sentence=error.sentence, hint=error.hint))
    if chosen is None:
        _head(top, item, None, False, reason)
        return None
    kept = _kept(now, chosen, preprocess)
    in_use = kept is not None and now.configuration is not None and kept.key == now.configuration.key
    missing = _missing(now, kept)
    rate = speed.speed(now.workspace, chosen.entry, chosen.settings, measured)
    seconds = missing / rate.images_per_second if rate is not None and rate.images_per_second > 0 else None
    _head(top, item, chosen, in_use, reason)
    with facts:
        st.markdown(_facts(now, chosen, kept, rate, missing, seconds))
        if chosen.availability.state == "unusable":
            st.caption(f":orange[{escape(chosen.availability.sentence)}] {escape(chosen.availability.hint)}")
    return Picked(chosen, kept, in_use, missing, seconds)


def _head(top: DeltaGenerator, item: Choice, chosen: Choice | None, used: bool, reason: str) -> None:
    """Draw title, badges and what the encoder is good for."""
    badges = []
    if used:
        badges.append(":blue-badge[:material/check: in use]")
    if reason:
        badges.append(":green-badge[recommended]")
    if item.entry.reads_text:
        badges.append(":violet-badge[search by words]")
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


def _choose(now: Current, item: Choice, place: DeltaGenerator) -> Choice | None:
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
    with place.popover("Settings", icon=":material/tune:", type="tertiary"):
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
        if (
            same
            and not item.removed
            and item.state != "stale"
            and _key(chosen.entry, item.settings) == chosen.settings.key()
        ):
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


def _facts(
    now: Current,
    chosen: Choice,
    kept: Configuration | None,
    rate: speed.Speed | None,
    missing: int,
    seconds: float | None,
) -> str:
    """Return the time for this data set, then the rate on this machine and the length of a vector, in Markdown."""
    dimension = kept.dimension if kept is not None else chosen.model.dimension if chosen.model is not None else None
    first, parts = "", []
    if not missing and kept is not None:
        first = f"all {count(images_of(now), 'image')} embedded"
    elif seconds is not None:
        first = f"{duration(seconds)} for {count(missing, 'image')}"
    elif chosen.availability.state == "here":
        first = "speed not measured yet"
    if rate is not None and rate.images_per_second > 0:
        per = f"{rate.images_per_second:,.0f}" if rate.images_per_second >= 10 else f"{rate.images_per_second:.1f}"
        source = f"estimated from {rate.estimated_from}" if rate.estimated_from else "measured here"
        parts.append(f"{per} images a second ({source})")
    if dimension:
        parts.append(f"{dimension:,} numbers an image")
    told = f":gray[{escape(' · '.join(parts))}]" if parts else ""
    strong = f"**{escape(first)}**" if seconds is not None or not missing else f":gray[{escape(first)}]"
    return f":small[{' '.join(part for part in (strong if first else '', told) if part)}]"
