"""The audit of all labels on Review: a few images of each label or cluster; what is wrong is selected."""

from __future__ import annotations

from functools import partial

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from components.gallery.face import clear_gallery, gallery
from engine.core.errors import KindredError
from engine.images.sources import shown as readable
from engine.labels.set_audit import PARTS, SetAudit, draw_audit, keep_set_audit
from engine.labels.stratified import most_wrong
from pages.shared.actions import carry_out, pressed
from pages.shared.board import Board
from pages.shared.state import show_error
from pages.shared.words import count

GALLERY = "set_audit"
_CHECKS = 120


def set_audit(board: Board) -> None:
    """Draw the sample and what it proves."""
    left, right = st.columns(2, gap="medium", width=520)
    checks = int(left.number_input("Images to look at", 1, 5000, _CHECKS, key="audit_checks"))
    by = right.selectbox("A part of each", PARTS, key="audit_by")
    try:
        audit = draw_audit(board.state, checks, by=str(by), events=board.history.effective()[0])
    except KindredError as error:
        show_error(error)
        return
    sample = np.random.default_rng(0).permutation(audit.sample)  # no part after the other
    version = f"{board.version}-{board.members}-{checks}-{by}"

    def captions(at: NDArray[np.int64]) -> list[str]:
        return [f"{readable(board.rows.paths[row])} · {board.state.label_of(row)}" for row in sample[at].tolist()]

    places = st.container(horizontal=True, vertical_alignment="center")
    names = sorted({str(board.state.label_of(row)) for row in sample.tolist()})
    codes = {name: code for code, name in enumerate(names, start=1)}
    chosen = gallery(
        GALLERY,
        board.rows.ids[sample],
        version=version,
        captions=captions,
        badges=np.array([codes[str(board.state.label_of(row))] for row in sample.tolist()], np.uint16),
        badge_names=names,
        keys={},
        buttons={},
        hints={"Click": "this label is wrong", "Enter": "look closer"},
        ticking=True,
        want_seen=True,
        height=620,
        label="Images of the sample",
        heading="Which labels are wrong?",
    )
    wrong = sample[chosen.selected]
    with places:
        st.markdown(_proves(audit, wrong), width="content")
        asked = pressed(
            "Keep the answers",
            icon=":material/verified:",
            type="primary",
            disabled=not chosen.all_seen,
            help="The bound goes with every label, also in exports" if chosen.all_seen else "Look at every image first",
        )
    if asked and carry_out(partial(keep_set_audit, board.history, board.state, audit, wrong)):
        clear_gallery(GALLERY)
        st.rerun()


def _proves(audit: SetAudit, wrong: NDArray[np.int64]) -> str:
    """Say what the answers so far would prove, where all others are right."""
    sizes, checked, found = audit.sizes, audit.counts(audit.sample), audit.counts(wrong)
    least = 1 - most_wrong(sizes, checked, found) / len(audit.rows)
    return (
        f"{count(len(audit.sample), 'image')} of {len(audit.rows):,} labels that nobody gave one by one, from "
        f"{count(len(audit.names), 'part')}. With {len(wrong):,} wrong: at least "
        f"**{np.floor(1000 * least + 1e-6) / 10:g}%** of them are right, with 95% confidence."
    )
