"""A page with one gallery, for tests and benchmarks: ``?n=`` ids, buttons that change the data, and what Python saw."""

from __future__ import annotations

import json
import time

import numpy as np
import streamlit as st

if __name__ == "__main__":
    from components.gallery.face import clear_gallery, gallery, gallery_order, gallery_viewing, select_in_gallery
    from tests.browser.harness_routes import broken

    st.set_page_config(page_title="gallery", layout="wide")
    n = int(st.query_params.get("n", 1000))

    def main() -> None:
        st.session_state.runs = st.session_state.get("runs", 0) + 1
        with st.container(horizontal=True):
            reverse = st.toggle("reverse")
            half = st.toggle("evens only")
            hidden = st.toggle("hide gallery")
            if st.button("select first ten"):
                select_in_gallery("g", np.arange(1, 11))
            if st.button("clear"):
                clear_gallery("g")
        if "slow" in st.query_params:
            time.sleep(1)  # a run that a newer click ends before it reaches the gallery
            st.caption("slow")
        ids = np.arange(1, n + 1, dtype=np.int32)
        if half:
            ids = ids[ids % 2 == 0]
        order = gallery_order("g", "id")
        if reverse or order == "down":
            ids = ids[::-1]
        version = f"{n}-{half}-{reverse or order == 'down'}"
        viewing = gallery_viewing("g")
        report: dict[str, object] = {"runs": st.session_state.runs}
        if not hidden:
            seen = gallery(
                "g",
                ids,
                version=version,
                captions=lambda rows: [f"<b>photo {ids[r]}</b>.jpg" for r in rows],
                badges=(ids % 7 == 0).astype(np.uint8),
                badges_version=version,
                badge_names=["locked"],
                reasons={int(i): "The file is cut short." for i in ids[:200] if broken(int(i))},
                orders={"id": "by number", "down": "from the end"},
                order=order,
                neighbours={viewing: [(viewing + k) % n + 1 for k in range(12)]} if viewing else {},
                height=int(st.query_params.get("height", 520)),
                empty="No images in this cluster.",
                empty_hint="Choose another cluster on the left.",
            )
            last = st.session_state.setdefault("events", [])
            last += [[a.action, a.key, a.id, len(a.ids)] for a in seen.actions if a.ids is not None]
            if seen.opened:
                st.session_state.opened = seen.opened
            report |= {
                "n": len(seen.ids),
                "count": seen.count,
                "first": int(seen.selected_ids[0]) if seen.count else None,
                "last": int(seen.selected_ids[-1]) if seen.count else None,
                "sum": int(seen.selected_ids.astype(np.int64).sum()),
                "events": last,
                "opened": st.session_state.get("opened"),
                "viewing": seen.viewing,
                "order": seen.order,
            }
        st.html(f"<pre id='report'>{json.dumps(report)}</pre>")

    main()
else:
    from tests.browser.harness_routes import ROUTES

    app = st.App(__file__, routes=ROUTES)
