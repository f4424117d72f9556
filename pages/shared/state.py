"""What the person is looking at: data set, embedding configuration, run. It lives in the URL.

A refresh is a new session, so nothing that matters is kept in session_state alone: `current()` reads
the query parameters (falling back to the session's last choice, then to the newest), `choose(...)` changes them.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from engine.core.errors import KindredError
from engine.core.workspace import Workspace
from engine.embeddings.configurations import Configuration, list_configurations
from engine.embeddings.encoders.registry import ENCODERS
from engine.images.datasets import Dataset, find_dataset, list_datasets
from engine.images.sampling import Sample, kept_sample
from engine.images.tables import count_images
from engine.labels.state import SOURCE_NAMES
from engine.runs.run import Run, find_run, list_runs

_LOG = logging.getLogger(__name__)
# What actions lead from one value to the next of. A message that the browser sent before it heard of such a step still
# names a value that was left; only the browser's own way back means it.
_STEPS = ("cluster", "source", "drawn", "found")
_LEFT = 8
Value = TypeVar("Value")


@dataclass(frozen=True)
class Current:
    """The choice that every page works on; parts are None until they exist."""

    workspace: Workspace
    dataset: Dataset | None
    configurations: list[Configuration]
    configuration: Configuration | None
    runs: list[Run]
    run: Run | None

    @property
    def images(self) -> int:
        """How many distinct readable images the data set has."""
        return count_images(self.workspace, self.dataset.id) if self.dataset else 0

    @property
    def sample(self) -> Sample | None:
        """The sample that the person works on; None where it is the whole data set."""
        if self.dataset is None:
            return None
        path = self.workspace.sample(self.dataset.id)
        return _sample(self.workspace, self.dataset.id, path.stat().st_mtime_ns) if path.exists() else None

    @property
    def parameters(self) -> dict[str, str]:
        """The choice as query parameters, for links."""
        chosen = {
            "data": self.dataset.id if self.dataset else "",
            "embedding": self.configuration.key if self.configuration else "",
            "run": self.run.folder.name if self.run else "",
        }
        return {name: value for name, value in chosen.items() if value}


def describe(item: Configuration) -> str:
    """Return a configuration in a few words: encoder, model, a resolution other than its own, what was taken out."""
    title = ENCODERS[item.encoder].title if item.encoder in ENCODERS else item.encoder
    model, side = str(item.settings.get("model") or ""), item.settings.get("resolution")
    without = f" without {item.removed}" if item.removed else ""
    return f"{title} {model}".strip() + (f" at {side} px" if side else "") + without


def names_of(items: Sequence[Configuration]) -> dict[str, str]:
    """Return a name for each configuration by its key, no two the same: a menu tells its options by their names."""
    names: dict[str, str] = {}
    for item in items:
        name = describe(item)
        if sum(describe(other) == name for other in items) > 1:
            name = " ".join([name, *(str(value) for value in item.preprocess.values())])
        names[item.key] = f"{name} ({item.key[:4]})" if name in names.values() else name
    return names


@st.cache_resource(show_spinner=False, max_entries=4)
def _sample(_workspace: Workspace, dataset: str, changed: int) -> Sample | None:
    return kept_sample(_workspace, dataset)


@st.cache_resource(show_spinner=False)
def open_workspace() -> Workspace:
    """Open the workspace once for the server."""
    return Workspace.open()


def _asked(name: str) -> str:
    """Return a parameter from the URL, else from this session's last choice."""
    told, chosen = str(st.query_params.get(name, "")), str(st.session_state.get(f"current_{name}", ""))
    left: list[str] = st.session_state.get(f"left_{name}", [])
    if told in left:
        context = get_script_run_ctx()
        if context is not None and context.is_history_navigation:
            left.remove(told)
            st.session_state[f"current_{name}"] = told
        else:  # the browser spoke before it had heard of the choice that Python made
            _address(name, chosen)
            return chosen
    return told or chosen


def settle(step: Callable[[], Value]) -> Value:
    """Look into the session or change it although a message of the browser would end the run here.

    Meanwhile Streamlit's queue gives out nothing, so that `step` is done once and messages keep their order: one that
    was taken out and handed back would overrule the newer ones that came in between.
    """
    context = get_script_run_ctx()
    requests = context.script_requests if context is not None else None
    if requests is None or "on_scriptrunner_yield" in vars(requests):
        return step()
    requests.on_scriptrunner_yield = _nothing_asked  # type: ignore[method-assign]
    try:
        return step()
    finally:
        del requests.on_scriptrunner_yield


def _nothing_asked() -> None:
    """Answer Streamlit's question for the next message; what has come waits for the next chance."""


def choose(**values: str | None) -> None:
    """Change the choice, in the URL and in the session; choosing a data set forgets what hung on the old one."""
    if "data" in values:
        values = {"embedding": None, "run": None, **dict.fromkeys(_STEPS), **values}
    elif "run" in values:
        values = {"cluster": None, **values}
    settle(lambda: _write(values))


def _write(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if name in _STEPS:
            was = str(st.query_params.get(name, ""))
            left = [other for other in st.session_state.get(f"left_{name}", []) if other not in (was, value or "")]
            st.session_state[f"left_{name}"] = [*left, *([was] if was != (value or "") else [])][-_LEFT:]
        st.session_state[f"current_{name}"] = value or ""
        _address(name, value or "")


def _address(name: str, value: str) -> None:
    """Write a parameter into the URL, or take it out."""
    if value:
        st.query_params[name] = value
    elif name in st.query_params:
        del st.query_params[name]


def chosen_clusters() -> list[int]:
    """Return the clusters that the address names, else those that this session looked at last."""
    found = (part.strip() for part in _asked("cluster").split(","))
    return [int(part) for part in found if part.removeprefix("-").isdigit()]


def chosen_source() -> str:
    """Return the source of labels that is looked at, empty for any."""
    asked = _asked("source")
    if asked not in SOURCE_NAMES:
        return ""
    if st.query_params.get("source") != asked:
        st.query_params["source"] = asked
    return asked


def chosen_selection(kind: str) -> str:
    """Return the name of what is "drawn" or was "found", empty for nothing, and let the address say it."""
    asked = _asked(kind)
    if asked and st.query_params.get(kind) != asked:
        st.query_params[kind] = asked
    return asked


def current() -> Current:
    """Read the choice; what no longer exists falls back to the newest that does."""
    workspace = open_workspace()
    dataset = _dataset(workspace)
    if dataset is None:
        return Current(workspace, None, [], None, [], None)
    configurations = list_configurations(workspace, dataset.id)
    wanted = _asked("embedding")
    usable = [item for item in configurations if item.have]
    configuration = next((item for item in usable if item.key == wanted), usable[0] if usable else None)
    runs = list_runs(workspace, dataset.id)
    run = _run(workspace, runs, configuration.key if configuration is not None and wanted else "")
    if run is not None:
        made_with = run.config.get("embedding", {}).get("config_key")
        configuration = next((item for item in usable if item.key == made_with), configuration)
    found = Current(workspace, dataset, configurations, configuration, runs, run)
    _remember(found)
    return found


def _remember(found: Current) -> None:
    """Keep the choice in the session and in the address, so that a reload or a copied link restores it."""
    for name, value in found.parameters.items():
        st.session_state[f"current_{name}"] = value
        if st.query_params.get(name) != value:
            st.query_params[name] = value


def _dataset(workspace: Workspace) -> Dataset | None:
    wanted = _asked("data")
    if wanted:
        try:
            return find_dataset(workspace, wanted)
        except KindredError:
            choose(data=None)
    known = list_datasets(workspace)
    return known[0] if known else None


def _run(workspace: Workspace, runs: list[Run], embedding: str) -> Run | None:
    """Return the run that was asked for, else the newest: of the embedding that was asked for, where one was."""
    wanted = _asked("run")
    if not wanted and embedding:
        return next((run for run in runs if run.config.get("embedding", {}).get("config_key") == embedding), None)
    for run in runs:
        if run.folder.name == wanted:
            return run
    if wanted:
        try:
            run = find_run(workspace, wanted)
        except KindredError:
            return runs[0] if runs else None
        if run.finished and run.dataset == _asked("data"):
            return run
    return runs[0] if runs else None


def show_error(error: KindredError, *, detail: str = "") -> None:
    """Show one sentence, the next step, and the technical detail folded away."""
    text = escape(error.sentence) + (f"  \n{escape(error.hint)}" if error.hint else "")
    st.error(text, icon=":material/error:")
    if detail:
        with st.expander("Technical detail"):
            st.code(detail, language=None)


@contextmanager
def guarded() -> Iterator[None]:
    """Show an error where it happens in one sentence, technical detail folded; the rest of the page is left out."""
    try:
        yield
    except KindredError as error:
        show_error(error)
    except Exception as error:
        _LOG.exception("a page failed")
        unforeseen = KindredError(
            "Kindred itself failed here; your images and labels are as they were.",
            "Load the page again. If it fails again, report the technical detail below.",
        )
        show_error(unforeseen, detail="".join(traceback.format_exception(error)))


_MARKDOWN = str.maketrans({character: f"\\{character}" for character in "\\`*_{}[]()<>#+-.!|~$:@^="})


def escape(text: Any) -> str:  # noqa: ANN401 - anything with a str
    """Return text that Markdown shows as it is: no file name becomes formatting, HTML, maths or an icon."""
    return " ".join(str(text).split()).translate(_MARKDOWN)
