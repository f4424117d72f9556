"""What else a sweep found, as thumbnails of which one click makes one the clustering in use, and as a table."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from components.tiles.face import Tile, tiles
from engine.clustering.registry import method_title
from engine.runs.rows import Rows
from engine.selection.sweep.ranking import LeaderboardRow
from engine.selection.sweep.report import SweepResult
from pages.cluster.kept_runs import LOOKED_AT
from pages.cluster.winner import kept_as, use_rank
from pages.shared.metrics import METRICS
from pages.shared.mosaics import mosaic_of_rank
from pages.shared.run_names import settings_in_words
from pages.shared.state import Current
from pages.shared.words import count, figure


def alternatives(now: Current, rows: Rows, result: SweepResult, hero: int | None) -> None:
    """Draw the ranks but that which is shown large, `hero`."""
    others = [row for row in result.ranked if row.folder and row.rank != hero]
    if not others:
        return
    st.markdown("##### Also found")
    titles = [_title(row) for row in others]
    chosen = tiles(
        f"ranks_{result.folder.name}",
        [
            _tile(now, rows, result, row, _title(row, told_apart=titles.count(title) > 1))
            for row, title in zip(others, titles, strict=True)
        ],
        label="Other clusterings that were found",
        width=168,
    )
    if chosen is not None:
        row = next(row for row in others if str(row.rank) == chosen)
        run = use_rank(now, result, row)
        if run is not None:
            st.session_state[LOOKED_AT] = run.folder.name
            st.rerun()


def _title(row: LeaderboardRow, *, told_apart: bool = False) -> str:
    """Return method and clusters of a rank; with its settings where another has the same."""
    settings = settings_in_words(row.parameters) if told_apart else ""
    return ", ".join(filter(None, (method_title(row.algorithm), count(row.n_clusters, "cluster"), settings)))


def _tile(now: Current, rows: Rows, result: SweepResult, row: LeaderboardRow, title: str) -> Tile:
    run = kept_as(now, result.folder, row.rank)
    told: list[str] = [row.verdict.word] if row.verdict else []
    if row.evidence is not None:
        told.append(f"ranking score {figure(row.evidence)}")
    if not told:
        told.append(f"silhouette {figure(row.silhouette)}")
    return Tile(
        str(row.rank),
        "" if rows.dataset.kind == "vectors" else mosaic_of_rank(result.folder, row.rank),
        title,
        " · ".join(told),
        mark="" if run is None else "in use" if now.run is not None and run.folder == now.run.folder else "kept",
        hint=f"Show it large and use it on the other pages. {settings_in_words(row.parameters)}".strip(),
    )


def candidates_table(result: SweepResult) -> None:
    """Draw every candidate with its figures, and why some have no rank."""
    records = [
        {
            "rank": row.rank,
            "method": method_title(row.algorithm),
            "settings": settings_in_words(row.parameters),
            "clusters": row.n_clusters,
            "verdict": row.verdict.word if row.verdict else None,
            "ranking score": row.evidence,
            "stability": row.stability,
            "learnable": row.generalisation,
            "neighbours kept": row.neighbors,
            "other methods": row.agreement,
            "silhouette": row.silhouette,
            "balance": row.balance,
            "largest": row.largest_share,
            "noise": row.noise_share,
            "pairs kept": row.pairs_together,
            "sizes": list(row.sizes[:40]),
        }
        for row in result.ranked
    ]
    number = st.column_config.NumberColumn
    st.dataframe(
        pd.DataFrame(records).dropna(axis="columns", how="all"),
        hide_index=True,
        width="stretch",
        key=f"board_{result.folder.name}",
        column_config={
            "sizes": st.column_config.BarChartColumn("sizes", y_min=0, help="Cluster sizes, largest first"),
            "ranking score": number(
                format="%.2f", help="What ranks: stability x learnable x neighbours kept, for how much the clusters say"
            ),
            "neighbours kept": number(
                format="%.2f", help="How far images and their nearest are in one cluster; 0 is chance"
            ),
            "silhouette": number(format="%.3f", help=METRICS["silhouette"].meaning),
            "balance": number(format="%.2f", help=METRICS["balance"].meaning),
            "stability": number(
                format="%.2f", help="How alike two clusterings of different parts of the images are (ARI)"
            ),
            "learnable": number(
                format="%.2f",
                help="How well a classifier names the cluster of images that it has not seen; 0 is chance",
            ),
            "other methods": number(
                format="%.2f", help="How alike the clusters of other methods are, at about as many clusters (ARI)"
            ),
            "pairs kept": number(format="percent", help="Share of the pairs named on Images that are in one cluster"),
            "largest": number(format="percent", help=METRICS["largest_share"].meaning),
            "noise": number(format="percent", help=METRICS["noise_share"].meaning),
        },
    )
    reasons = [*result.unstructured, *result.failed, *result.set_aside]
    if reasons:
        st.caption(f"{count(len(reasons), 'candidate')} not ranked")
        st.dataframe(
            pd.DataFrame({"candidate": [row.title for row in reasons], "why": [row.reason for row in reasons]}),
            hide_index=True,
            width="stretch",
        )
