"""Experiments: several models and resolutions on one sample, compared on what survives a change of embedding."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import streamlit as st

from engine.core.errors import KindredError
from engine.core.files import read_json
from engine.embeddings.encoders.registry import default_encoder, expand_grid, model_names
from engine.images.sampling import kept_sample
from engine.jobs.tasks.experiments import experiments_folder
from engine.selection.experiments import RESOLUTIONS, ExperimentRow, experiment_figure
from engine.selection.sweep.settings import SweepSettings
from pages.compare.charts import likeness_map
from pages.shared import forms
from pages.shared.actions import pressed
from pages.shared.charts import draw
from pages.shared.job_view import job_view
from pages.shared.state import Current, escape, show_error
from pages.shared.tasks import newest, start_job
from pages.shared.words import count

_SHOWN = ("target_cluster_size", "max_clusters", "mode")
_SAMPLE = 2_000
_SCORES = {
    "pair_recall": ("pair recall", "Share of your pairs with one image among the other's ten nearest"),
    "pairs_together": ("pairs together", "Share of your pairs in one cluster of the winner"),
    "neighbor_agreement": ("neighbours agree", "Share of what other models see near an image that lies in its cluster"),
    "stability": ("stability", "How alike two clusterings of different parts of the images are (ARI)"),
    "balance": ("balance", "1 where all clusters have the same size"),
    "silhouette": ("silhouette", "In its own space: shown, never ranked"),
    "accuracy": ("accuracy", "Of the winner, against the known classes"),
    "nmi": ("NMI", "Of the winner, against the known classes"),
    "ari": ("ARI", "Of the winner, against the known classes"),
}


def experiment_view(now: Current) -> None:
    """Draw the form, the running experiment and the newest result."""
    assert now.dataset is not None
    if now.dataset.kind == "vectors":
        st.info("An experiment compares embeddings of images; these are vectors. Open a folder of images on Images.")
        st.page_link("pages/images/page.py", label="Images", icon=":material/arrow_back:", query_params=now.parameters)
        return
    busy = job_view(newest(now.workspace, "experiment", now.dataset))
    if not busy:
        _form(now)
    folder = experiments_folder(now.workspace, now.dataset.id)
    done = [*folder.glob("experiment_summary.json"), *folder.glob("*/experiment_summary.json")]
    done.sort(key=lambda path: path.stat().st_mtime, reverse=True)
    if not done and not busy:
        st.caption(
            "No experiment yet. One model is enough to begin with; each further one shows what depends on the model."
        )
    if done:
        _result(done)


def _form(now: Current) -> None:
    """Choose models, resolutions and the sample; start the job."""
    assert now.dataset is not None
    known = model_names()
    with st.container(border=True):
        left, middle, right = st.columns([3, 2, 1.2])
        models = left.multiselect(
            "Models",
            known,
            default=[default_encoder(now.dataset.holds).name],
            accept_new_options=True,
            key="experiment_models",
            persist_state="session",
            help="CLIP architectures (name, or name:training), hub ids, DINO, or a built-in encoder. "
            "Weights that are not here are downloaded.",
        )
        sides = middle.multiselect(
            "Resolutions",
            [str(side) for side in RESOLUTIONS],
            default=["224"],
            accept_new_options=True,
            key="experiment_sides",
            persist_state="session",
            help="Pixels of the square; the descriptor has its own",
        )
        sample = kept_sample(now.workspace, now.dataset.id)
        size = right.number_input(
            "Images",
            10,
            max(10, now.images),
            len(sample) if sample else min(max(10, now.images), _SAMPLE),
            disabled=sample is not None,
            help="All models see the same ones: your sample where you chose one",
        )
        buttons = st.container(horizontal=True, vertical_alignment="center")
        resolutions = [int(side) for side in sides if side.isdecimal()]
        try:
            with buttons.popover("Settings", icon=":material/tune:"):
                settings = forms.draw(SweepSettings, key="experiment", columns=1, only=_SHOWN)
            asked = expand_grid(models, resolutions)
        except KindredError as error:
            show_error(error)
            return
        started = pressed(
            "Compare models",
            button=buttons.button,
            type="primary",
            icon=":material/science:",
            disabled=not asked,
            help="Embeds what is missing, clusters each with the same settings, compares the winners",
        )
        words = count(len(asked), "configuration") if asked else "Choose at least one model and one resolution."
        buttons.markdown(f":gray[{words}]")
        if started:
            start_job(
                now.workspace,
                "experiment",
                "Comparing models",
                now.dataset,
                models=models,
                resolutions=resolutions,
                sample=None if sample is not None else {"count": int(size)},
                settings=settings.model_dump(mode="json"),
            )
            st.rerun()


def _result(done: list[Path]) -> None:
    names = {str(path): f"{pd.Timestamp(path.stat().st_mtime, unit='s'):%d %b %Y, %H:%M}" for path in done}
    path = st.selectbox("Experiment", list(names), format_func=names.__getitem__, width=260)
    try:
        found = read_json(Path(path))
        known = {field.name for field in fields(ExperimentRow)}
        rows = [ExperimentRow(**{name: row[name] for name in row.keys() & known}) for row in found["configurations"]]
    except (KindredError, KeyError, TypeError, AttributeError):
        st.error("This experiment cannot be read: its summary was edited or cut short. Compare the models again.")
        return
    worked = [row for row in rows if not row.reason]
    for row in rows:
        if row.reason:
            st.warning(f"{escape(row.name)} was not compared: {escape(row.reason)}", icon=":material/error:")
    if worked:
        _table(worked)
        with st.container(key="stack_experiment"):
            left, right = st.columns([3, 2], gap="medium")
        with left:
            st.markdown(
                "##### What survives a change of model", help="Higher is better; the silhouette is paler: not ranked"
            )
            draw(experiment_figure(rows).update_layout(title=None), "Scores of each configuration", height=340)
        with right:
            _agreement(found)


def _table(rows: list[ExperimentRow]) -> None:
    records = [
        {
            "place": row.order,
            "model": row.model,
            "resolution": f"{row.resolution} px" if row.resolution else "its own",
            "winner": row.winner,
            "clusters": row.n_clusters,
            **{name: getattr(row, name) for name in _SCORES},
        }
        for row in rows
    ]
    table = pd.DataFrame(records).dropna(axis="columns", how="all")
    st.dataframe(
        table,
        hide_index=True,
        width="stretch",
        column_config={
            "place": st.column_config.NumberColumn(width=56, help="By the mean place over what is ranked"),
            "winner": st.column_config.TextColumn(help="The best clustering of the same grid"),
            **{
                name: st.column_config.NumberColumn(title, help=meaning, format="%.3f")
                for name, (title, meaning) in _SCORES.items()
            },
        },
    )


def _agreement(found: dict[str, Any]) -> None:
    agreement = found.get("agreement", {})
    names = agreement.get("names", [])
    if len(names) > 1:
        st.markdown("##### How alike the winners are", help="Adjusted Rand index: 1 the same clusters, 0 chance")
        likeness_map(np.asarray(agreement["ari"], np.float64), names)
