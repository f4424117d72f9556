"""Setting duplicates aside: one event of the label history on all clusterings; the files stay where they are."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.ids import Ids
from engine.labels.events import LabelHistory
from engine.labels.log import Event
from engine.labels.state import REJECTED, UNSORTED, LabelState

RUN = "images"  # what events on the images themselves, of no clustering, name as theirs


def labels_of_images(history: LabelHistory, contents: Ids) -> LabelState:
    """Return the labels of images apart from any clustering: those given to the very image, every image unsorted."""
    return history.state(contents, np.full(len(contents), UNSORTED, np.int32), run=RUN)


def set_aside(history: LabelHistory, state: LabelState, rows: NDArray[np.int64]) -> Event:
    """Set images aside on every clustering, by one event; what a person labelled keeps its label and place.

    Parameters
    ----------
    history : LabelHistory
    state : LabelState
        From `labels_of_images`.
    rows : (m,) int
        Those that are set aside already are left out.

    Raises
    ------
    InputError
        None is left, or all of them are locked or labelled by a person.
    """
    open_now = rows[state.status[rows] != REJECTED]
    if not len(open_now):
        raise InputError("Nothing is set aside: these images are aside already.", "Choose other groups.")
    return history.reject(state, open_now, as_group=True)


def labels_within(state: LabelState, rows: NDArray[np.int64]) -> list[str]:
    """Return the labels that some images have, each once, in the order of their names."""
    return sorted({state.label_names[code] for code in state.codes[rows].tolist() if code >= 0})
