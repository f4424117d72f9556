"""What requests are about: a data set, one configuration's embeddings of it, a sample of them, or a finished run.

A request is a settings model: the page fills it from its controls, the command line from its flags, and a job's
config.json holds it under the same names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from pydantic import field_validator

from engine.core.errors import InputError
from engine.core.ids import Ids
from engine.core.settings import Settings, setting
from engine.core.workspace import Workspace
from engine.images.sampling import Sample, SampleSettings, draw_sample, kept_sample
from engine.images.tables import load_images
from engine.runs.rows import Rows, load_rows, train_and_test
from engine.runs.run import Run, find_run, open_run


class Request(Settings):
    """What one verb is asked to do."""

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the request that a job's config.json holds; what else stands there is left out.

        Raises
        ------
        InputError
            Something that the verb needs is missing or out of bounds.
        """
        return cls.parse({name: config[name] for name in cls.model_fields if name in config})

    def for_job(self, workspace: Workspace, folder: Path) -> Self:
        """Return the request with the job's folder as the place of its result, where it has one and names none."""
        if "folder" in type(self).model_fields and not getattr(self, "folder", ""):
            return self.changed(folder=str(folder))
        return self

    @property
    def wanted_device(self) -> str:
        """Return the device that the verb computes on: its own setting or that of the settings in it."""
        settings = getattr(self, "settings", None)
        nested = settings.get("device") if isinstance(settings, Mapping) else getattr(settings, "device", None)
        return str(getattr(self, "device", None) or nested or "auto")


class DatasetRequest(Request):
    """A request about a data set."""

    dataset: str = setting(..., "Id of the data set.")

    @field_validator("dataset", mode="before")
    @classmethod
    def _id(cls, value: Any) -> Any:  # noqa: ANN401 - as config.json has it
        """Take {"id": ..., "name": ...}, as config.json names a data set, for its id."""
        return value.get("id") if isinstance(value, Mapping) else value


class EmbeddedRequest(DatasetRequest):
    """A request about the embeddings of a data set in one configuration."""

    config_key: str = setting(..., "Which embeddings: the configuration's key.")

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Read the request; a run made on the command line names its embeddings in another place."""
        named = config.get("embedding")
        key = named.get("config_key") if isinstance(named, Mapping) else None
        return super().from_config(({"config_key": key} if key else {}) | dict(config))


class SampledRequest(DatasetRequest):
    """A request that may be about a sample, with images to watch and pairs that belong together.

    Where it names neither size nor images, the sample that the person keeps of the data set is taken, else everything.
    """

    sample: SampleSettings | None = setting(None, "How large a sample to take; the kept one or everything when empty.")
    target_image: tuple[str, ...] = setting((), "Images whose cluster is reported for each rank.")
    validation_pairs: tuple[tuple[str, str], ...] = setting((), "Pairs of images that belong into one cluster.")

    def chosen_sample(self, workspace: Workspace) -> Sample | None:
        """Return the sample that the request is about; None where it is everything.

        Raises
        ------
        InputError
            An image is named that fits several, or the sample is empty.
        """
        if self.sample is None and not self.target_image and not self.validation_pairs:
            return kept_sample(workspace, self.dataset)
        return draw_sample(
            workspace,
            self.dataset,
            self.sample or SampleSettings(),
            targets=self.target_image,
            pairs=self.validation_pairs,
        )


class RunRequest(Request):
    """A request about a finished run."""

    run: str = setting(..., "The run's folder, or its name in the library.")

    def opened(self, workspace: Workspace) -> Run:
        """Open the run.

        Raises
        ------
        InputError
            There is none.
        """
        return named_run(workspace, self.run)


def named_run(workspace: Workspace, name: str) -> Run:
    """Open a run by its folder, or by its name in the library."""
    if Path(name).name == name and not Path(name).exists() and (workspace.runs / name).is_dir():
        return find_run(workspace, name)
    return open_run(Path(name))


def training_contents(workspace: Workspace, dataset: str, sample: Sample | None) -> Ids:
    """Return the content ids of a sample, or of everything, that are for training; before anything is embedded."""
    table = load_images(workspace, dataset)
    here = np.arange(len(table)) if sample is None else sample.rows(table.contents)
    train, _ = train_and_test([table.split[row] for row in here.tolist()])
    return table.contents[here[train]]


def training_rows(workspace: Workspace, dataset: str, config_key: str, only: Ids | None = None) -> Rows:
    """Return the training part of the embedded rows: what settings and methods are chosen on.

    Parameters
    ----------
    only : (m,) S16, optional
        Take just these content ids.

    Raises
    ------
    InputError
        No image is embedded so.
    """
    rows = load_rows(workspace, dataset, config_key, only=only).training()
    if not len(rows):
        raise InputError("None of these images is embedded.", "Embed the data set first.")
    return rows


def row_names(rows: Rows) -> Sequence[str]:
    """Return what a table calls the rows: their paths as text."""
    from engine.core.csv import path_text

    return [path_text(path) for path in rows.paths]
