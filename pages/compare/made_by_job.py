"""What a view needs of the rows and takes long is made once, by a job."""

from __future__ import annotations

from typing import Any

import streamlit as st

from engine.jobs.job import JobStatus
from engine.runs.rows import Rows
from pages.shared.state import Current
from pages.shared.tasks import newest, start_job


def made_by_job(now: Current, task: str, title: str, rows: Rows, **config: Any) -> JobStatus:  # noqa: ANN401
    """Have something made of the rows, once, by a job that starts now unless it did before; return its status."""
    wanted = {"config_key": rows.embedding.config_key, "rows": rows.embedding.key, **config}
    job = newest(now.workspace, task, rows.dataset, **wanted)
    if job is None:
        job = start_job(now.workspace, task, title, rows.dataset, **wanted)
        st.rerun()
    return job
