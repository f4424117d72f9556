"""Embed: choose what turns images into vectors, see how it will see them, and what is cached already."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.embeddings.encoders import speed
from engine.embeddings.encoders.availability import Choice, choice, choices, why_offline
from engine.embeddings.encoders.registry import ENCODERS, default_encoder, encoder_of_vectors
from engine.images.decode import PreprocessSettings
from engine.jobs import job as jobs
from pages.embed.absent import absent_panel, forget, remember, remembered, why_not_now
from pages.embed.cards import Asked, cards, images_of
from pages.embed.preview import preview
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.frame import first_do, heading, next_step
from pages.shared.job_view import job_view
from pages.shared.state import Current, choose, current, describe, escape, show_error
from pages.shared.tasks import newest, start_embedding
from pages.shared.words import count

_WORDS = {"complete": "complete", "partial": "partly embedded", "stale": "out of date"}


def _in_use(now: Current) -> None:
    """Say which vectors are used, and what to know of them; the way on stands beside it."""
    item = now.configuration
    if item is None:
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"In use: **{escape(describe(item))}** :gray[{item.have:,} of {count(item.want, 'image')}]")
        next_step(now, "pages/cluster/page.py", "Cluster")
    if item.encoder not in ENCODERS:
        st.caption(f"{escape(item.reason)} Its vectors still serve; new images need another encoder.")
    elif item.reason:
        st.caption(escape(item.reason))


def _cached(now: Current) -> None:
    if not now.configurations:
        return
    st.markdown("##### Cached embeddings")
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
    """Do what a card's button asks for, or say before any job what is missing for it."""
    if asked.what == "use" and asked.configuration is not None:
        choose(embedding=asked.configuration.key, run=None)
        st.rerun()
    with st.spinner("Looking for the weights"):
        waits = why_not_now(asked.choice)
    if waits:
        remember(asked.choice)
        st.rerun()
    _start(now, asked.choice, preprocess, again=asked.what == "again")


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


def _vectors(now: Current, running: bool) -> None:
    """A data set of vectors has nothing to choose."""
    entry = encoder_of_vectors()
    st.markdown(f":gray[{entry.sentence}]")
    with st.container(horizontal=True):
        for label, again in (("Embed", False), ("Embed again", True)):
            if (now.configuration is not None or not again) and pressed(label, disabled=running):
                _start(now, choice(entry, entry.settings_class()), PreprocessSettings(), again=again)
    _in_use(now)


def _images(now: Current, running: bool) -> None:
    assert now.dataset is not None
    why_offline(wait=0)  # asked in the background, so that a click is answered at once
    found, reason = choices(holds=now.dataset.holds)
    _in_use(now)
    above, place = st.container(), st.container()
    with st.expander("Fitting images into a square", icon=":material/crop_free:"):
        preprocess = forms.draw(PreprocessSettings, key="preprocess")
        preview(now, preprocess)
    missing = remembered()
    if missing is not None:
        works = next(item for item in found if item.entry is default_encoder(now.dataset.holds))
        with above:
            if absent_panel(missing, works, count(images_of(now), "image")):
                _start(now, works, preprocess)
    with place:
        asked = cards(now, found, reason, preprocess, disabled=running)
    if asked is not None:
        _answer(now, asked, preprocess)
    _measure(now, found)


def page() -> None:
    """Draw the screen."""
    now = current()
    heading("Embed", "Turn each image into a vector. An image that was embedded once is never embedded again.")
    if now.dataset is None or now.images == 0:
        first_do(now, "Choose images first.", "pages/images/page.py", "Images")
        return
    job = newest(now.workspace, "embed", now.dataset)
    _follow(now, job)
    running = job_view(job)
    try:
        if now.dataset.kind == "vectors":
            _vectors(now, running)
        else:
            _images(now, running)
    except KindredError as error:
        show_error(error)
        return
    _cached(now)


page()
