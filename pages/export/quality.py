"""How sure the labels are that will be written: who said them, as one bar with words, and what an audit proves."""

from __future__ import annotations

from html import escape

import streamlit as st

from engine.labels.quality import LabelQuality

_GREEN, _BLUE, _AMBER = "light-dark(#1F8A5B,#4CC38A)", "light-dark(#2F6FED,#6EA0FF)", "light-dark(#B7791F,#E2B45A)"
_LOOK = {  # by shape and word, not by colour alone
    "by you": f"background:{_GREEN}",
    "accepted guess": f"background:repeating-linear-gradient(90deg,{_BLUE} 0 4px,transparent 4px 7px)",
    "cluster name": f"background:repeating-linear-gradient(135deg,{_AMBER} 0 5px,transparent 5px 8px)",
    "none": "box-shadow:inset 0 0 0 1px light-dark(#9AA0A8,#6B7078)",
}
_WORDS = {
    "by you": "by you",
    "accepted guess": "accepted guesses",
    "cluster name": "by the name of their cluster",
    "none": "without a label",
}
_STYLE = """<style>
.k-sure { display: flex; height: 12px; gap: 2px; }
.k-sure div { border-radius: 3px; min-width: 4px; }
.k-sources { display: flex; flex-wrap: wrap; gap: 2px 22px; margin-top: 6px; line-height: 1.5; }
.k-sources span { white-space: nowrap; }
.k-sources i { display: inline-block; width: 18px; height: 10px; border-radius: 3px; margin-right: 7px; }
.k-sources b { font-size: 18px; font-weight: 600; }
</style>"""


def show_quality(quality: LabelQuality) -> None:
    """Draw the bar, its words, and the sentence on the audit."""
    total = sum(quality.by_source.values())
    if not total:
        st.caption("No images.")
        return
    known = [(name, quality.by_source.get(name, 0)) for name in _WORDS if quality.by_source.get(name, 0)]
    bar = "".join(f'<div style="flex:{number};{_LOOK[name]}"></div>' for name, number in known)
    words = "".join(
        f'<span><i style="{_LOOK[name]}"></i><b>{number:,}</b> {escape(_WORDS[name])}</span>' for name, number in known
    )
    st.html(f'{_STYLE}<div class="k-sure" aria-hidden="true">{bar}</div><div class="k-sources">{words}</div>')
    for sentence in quality.sentences()[1:]:
        st.markdown(sentence)
