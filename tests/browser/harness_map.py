"""A page with one map and a gallery of what is selected on it: ``?n=`` points in ten blobs, and what Python saw."""

from __future__ import annotations

import json

import numpy as np
import streamlit as st

if __name__ == "__main__":
    from components.gallery.face import gallery
    from components.map.events import LegendEntry
    from components.map.face import clear_map, focus_on_map, scatter_map

    st.set_page_config(page_title="map", layout="wide")
    n = int(st.query_params.get("n", 5000))

    @st.cache_resource
    def points(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        rng = np.random.default_rng(0)
        codes = rng.integers(0, 10, count)
        angle = codes * 2 * np.pi / 10
        centers = 20 + 30 * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        xy = (centers + rng.normal(scale=2.5, size=(count, 2))).astype(np.float32)
        return xy, codes, np.arange(1, count + 1, dtype=np.int32)

    def main() -> None:
        st.session_state.runs = st.session_state.get("runs", 0) + 1
        xy, codes, ids = points(n)
        with st.container(horizontal=True):
            kind = st.segmented_control("colour by", ["cluster", "confidence", "nothing"], default="cluster")
            marked = st.toggle("highlight cluster 3")
            hidden = st.toggle("hide map")
            st.button("rerun")
            if st.button("focus on 7"):
                focus_on_map("m", 7)
            if st.button("clear map"):
                clear_map("m")
        report: dict[str, object] = {"runs": st.session_state.runs}
        left, right = st.columns(2)
        event = None
        if not hidden:
            with left:
                event = scatter_map(
                    "m",
                    xy,
                    version=f"xy{n}",
                    ids=ids,
                    colors={"cluster": codes, "confidence": (xy[:, 0] - 20) / 40, "nothing": None}[kind or "cluster"],
                    colors_version=f"{kind}{n}",
                    color_label="" if kind == "nothing" else str(kind),
                    legend=[LegendEntry(f"<i>cluster {c}</i>", noise=c == 9) for c in range(10)],
                    highlight=codes == 3 if marked else None,
                    highlight_version=f"3of{n}",
                    height=int(st.query_params.get("height", 480)),
                )
            report |= {
                "count": event.count,
                "regions": [[r.kind, r.operation, len(r.polygon)] for r in event.regions],
                "polygon": None if event.polygon is None else event.polygon.round(3).tolist(),
                "pinned": event.pinned,
                "clicked": event.clicked,
                "activated": event.activated and event.activated.action,
                "webgl": event.webgl,
            }
            for name in ("clicked", "opened", "category"):
                if getattr(event, name) is not None:
                    st.session_state.setdefault("seen", {})[name] = getattr(event, name)
            if event.cleared:
                st.session_state.setdefault("seen", {})["cleared"] = True
            report["seen"] = st.session_state.get("seen", {})
        with right:
            shown = ids if event is None or event.mask is None else ids[event.mask]
            name = (
                "all" if event is None or event.mask is None else f"{event.polygon.tobytes()[:64].hex()}{event.count}"
            )
            seen = gallery("g", shown, version=f"{n}-{name}", height=420)
            report["gallery"] = len(seen.ids)
        st.html(f"<pre id='report'>{json.dumps(report)}</pre>")

    main()
else:
    from tests.browser.harness_routes import ROUTES

    app = st.App(__file__, routes=ROUTES)
