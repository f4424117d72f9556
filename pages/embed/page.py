"""Embed: choose what turns images into vectors, see how it will see them, and what is cached already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.embeddings.encoders import speed
from engine.embeddings.encoders.availability import Choice, choice, choices, why_offline
from engine.embeddings.encoders.registry import ENCODERS, default_encoder, encoder_of_vectors
from engine.images.decode import PreprocessSettings
from engine.jobs import job as jobs
from pages.embed.absent import absent_panel, forget, remember, remembered, why_not_now
from pages.embed.cards import Picked, cards, choose_card, images_of
from pages.embed.preview import preview
from pages.shared import forms
from pages.shared.action_bar import action_bar
from pages.shared.actions import pressed
from pages.shared.frame import first_do, heading, next_step
from pages.shared.job_view import job_view
from pages.shared.state import Current, choose, current, describe, escape, show_error
from pages.shared.tasks import newest, start_embedding
from pages.shared.words import count, duration


@dataclass(frozen=True)
class Asked:
    """What the button asks for: embed what is missing, embed everything again, or use vectors that are complete."""

    picked: Picked
    what: Literal["embed", "again", "use"]


_WORDS = {"complete": "complete", "partial": "partly embedded", "stale": "out of date"}


def _in_use(now: Current) -> str:
    """Return which vectors are used, in Markdown; empty where there are none."""
    item = now.configuration
    if item is None:
        return ""
    return f"In use: **{escape(describe(item))}** :gray[{item.have:,} of {count(item.want, 'image')}]"


def _remarks(now: Current) -> None:
    """Say what to know of the vectors in use."""
    item = now.configuration
    if item is not None and item.encoder not in ENCODERS:
        st.caption(f"{escape(item.reason)} Its vectors still serve; new images need another encoder.")
    elif item is not None and item.reason:
        st.caption(escape(item.reason))


def _bar(now: Current, picked: Picked | None, job: jobs.JobStatus | None, *, quiet: bool) -> Asked | None:
    """Draw the bar that stays in view: what is in use, and the one button; return what was asked for, once.

    `quiet` says that another button of the page is the one to press.
    """
    with action_bar("embed"):
        if job is not None and job.active:
            job_view(job)
            return None
        with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
            st.markdown(_in_use(now) or ":gray[Not embedded yet]", width="content")
            with st.container(horizontal=True, vertical_alignment="center", width="content"):
                return _button(now, picked, quiet=quiet)


def _button(now: Current, picked: Picked | None, *, quiet: bool) -> Asked | None:
    if picked is None:
        st.caption("Name a model on the chosen card.")
        return None
    entry, kind = picked.choice.entry, "secondary" if quiet else "primary"
    if picked.in_use and not picked.missing:
        again = pressed(
            "Embed again",
            type="tertiary",
            icon=":material/refresh:",
            help="Makes every vector anew; the old ones serve until the new ones are complete",
        )
        next_step(now, "pages/cluster/page.py", "Cluster")
        return Asked(picked, "again") if again else None
    if picked.configuration is not None and not picked.missing:
        used = pressed(f"Use {entry.title}", key=f"use_{entry.name}", type=kind, icon=":material/check:")
        return Asked(picked, "use") if used else None
    rest = "the remaining " if picked.configuration is not None else ""
    time = "" if picked.seconds is None else f" · {duration(picked.seconds)}"
    asked = pressed(
        f"Embed {rest}{count(picked.missing, 'image')}{time}",
        key=f"embed_with_{entry.name}",
        type=kind,
        icon=":material/play_arrow:",
        disabled=not picked.usable,
        help=f"With {entry.title}",
    )
    return Asked(picked, "embed") if asked else None


def _cached(now: Current) -> None:
    if len(now.configurations) < 2:
        return
    box = st.expander(
        "Embeddings that are kept", icon=":material/inventory_2:", key="kept_embeddings", on_change="rerun"
    )
    if box.open:
        with box:
            _table(now)


def _table(now: Current) -> None:
    table = pd.DataFrame(
        [
            {
                "in use": now.configuration is not None and item.key == now.configuration.key,
                "embedding": describe(item),
                "images": f"{item.have:,} of {item.want:,}",
                "state": _WORDS[item.state],
                "why": item.reason,
                "length": item.dimension,
                "made": pd.Timestamp(item.made, unit="s") if item.made else None,
            }
            for item in now.configurations
        ]
    )
    event = st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        on_select="rerun",
        selection_mode="single-row",
        key="cached",
        column_config={"made": st.column_config.DatetimeColumn(format="distance")},
    )
    chosen = event["selection"]["rows"]
    if chosen:
        item = now.configurations[chosen[0]]
        if now.configuration is None or item.key != now.configuration.key:
            choose(embedding=item.key, run=None)
            st.rerun()


def _follow(now: Current, job: jobs.JobStatus | None) -> None:
    """Use what was just embedded: a person who chose an encoder means to go on with it."""
    if job is None or job.folder.name != st.session_state.get("embedding_started") or job.state != "done":
        return
    del st.session_state["embedding_started"]
    key = job.result.get("config_key")
    if key and (now.configuration is None or now.configuration.key != key):
        choose(embedding=str(key), run=None)
        st.rerun()


def _start(now: Current, chosen: Choice, preprocess: PreprocessSettings, *, again: bool = False) -> None:
    """Start the job."""
    assert now.dataset is not None
    forget()
    job = start_embedding(now.workspace, now.dataset, chosen.entry, chosen.settings, preprocess, force=again)
    st.session_state["embedding_started"] = job.folder.name
    st.rerun()


def _answer(now: Current, asked: Asked, preprocess: PreprocessSettings) -> None:
    """Do what the button asks for, or say before any job what is missing for it."""
    chosen, kept = asked.picked.choice, asked.picked.configuration
    if asked.what == "use" and kept is not None:
        choose(embedding=kept.key, run=None)
        st.rerun()
    with st.spinner("Looking for the weights"):
        waits = why_not_now(chosen)
    if waits:
        remember(chosen)
        st.rerun()
    _start(now, chosen, preprocess, again=asked.what == "again")


def _measure(now: Current, found: list[Choice]) -> None:
    """Measure in the background what is on this disk and was not measured yet, while nothing else computes."""
    pairs = [(item.entry, item.settings) for item in found if item.availability.state == "here"]
    missing = speed.unmeasured(now.workspace, pairs)
    if not missing or any(job.active for job in jobs.list_jobs(now.workspace)):
        return
    if not speed.measuring(now.workspace):
        speed.start_measuring(now.workspace, missing)

    @st.fragment(run_every=2.0)
    def wait() -> None:
        if len(speed.unmeasured(now.workspace, pairs)) < len(missing):
            st.rerun()

    wait()


def _vectors(now: Current, job: jobs.JobStatus | None) -> None:
    """A data set of vectors has nothing to choose."""
    entry = encoder_of_vectors()
    st.markdown(f":gray[{entry.sentence}]")
    if job is not None and job.active:
        job_view(job)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(_in_use(now) or ":gray[Not embedded yet]", width="content")
        for label, again in (("Embed", False), ("Embed again", True)):
            kind = "primary" if now.configuration is None else "tertiary"
            if (now.configuration is not None) == again and pressed(label, type=kind):
                _start(now, choice(entry, entry.settings_class()), PreprocessSettings(), again=again)
        if now.configuration is not None:
            next_step(now, "pages/cluster/page.py", "Cluster")
    _remarks(now)


def _images(now: Current, job: jobs.JobStatus | None) -> None:
    assert now.dataset is not None
    why_offline(wait=0)  # asked in the background, so that a click is answered at once
    found, reason = choices(holds=now.dataset.holds)
    above, place = st.container(), st.container()
    _remarks(now)
    fitting = st.expander(
        "Fitting images into a square", icon=":material/crop_free:", key="fitting_images", on_change="rerun"
    )
    with fitting:
        preprocess = forms.draw(PreprocessSettings, key="preprocess")
        if fitting.open:
            preview(now, preprocess)
    missing = remembered()
    if missing is not None:
        works = next(item for item in found if item.entry is default_encoder(now.dataset.holds))
        with above:
            if absent_panel(missing, works, count(images_of(now), "image")):
                choose_card(works.entry.name)
                _start(now, works, preprocess)
    with place:
        picked = cards(now, found, reason, preprocess)
    _cached(now)
    asked = _bar(now, picked, job, quiet=missing is not None)
    if asked is not None:
        _answer(now, asked, preprocess)
    _measure(now, found)


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Embed", "What turns an image into numbers. An image that was embedded once is never embedded again.")
    if now.dataset is None or now.images == 0:
        first_do(now, "Choose images first.", "pages/images/page.py", "Images")
        return
    job = newest(now.workspace, "embed", now.dataset)
    _follow(now, job)
    if job is not None and not job.active:
        job_view(job)
    try:
        if now.dataset.kind == "vectors":
            _vectors(now, job)
        else:
            _images(now, job)
    except KindredError as error:
        show_error(error)


page()
