"""A nuisance taken out of vectors: the directions in which its groups differ are projected out into another store.

Flows in: the vectors of a configuration and a group number for each image. Flows out: a configuration beside it whose
vectors are the same without those directions. The one it was made of stays, and images that come to it later come to
the other one as well.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.files import load_array, save_array
from engine.core.ids import Ids
from engine.core.progress import SILENT, Progress
from engine.core.vectors import Vectors, blocks, unit
from engine.core.workspace import Workspace
from engine.embeddings.configurations import key_of, stores
from engine.embeddings.store import EmbeddingStore

DIRECTIONS = "directions.npy"
_FAINT = 0.3  # of the strongest direction; what is weaker is mostly chance, or the classes
_NOTHING = 1e-5  # difference of means of unit vectors that is rounding


def nuisance_directions(vectors: Vectors, groups: NDArray[np.integer[Any]], *, rounds: int | None = None) -> Vectors:
    """Return the orthonormal directions in which the means of groups differ.

    Parameters
    ----------
    vectors : (n, d) float32
        Unit length.
    groups : (n,) int
        Negative where the group is not known; such images say nothing.
    rounds : int
        How often directions are looked for: what is left is scaled to unit length, after which the means of the groups
        may differ a little again. By default twice for two groups, once for more.

    Returns
    -------
    (r, d) float32
        At most `rounds` times one less than the number of groups.

    Raises
    ------
    InputError
        Fewer than two groups have images, or so many directions would leave nothing.

    Notes
    -----
    With equal group means no linear map tells the groups better than by chance (Ravfogel et al., "Linear Adversarial
    Concept Erasure", ICML 2022; Belrose et al., "LEACE", NeurIPS 2023).
    Chosen by measurement (docs/figures.md): on photographs of clothes with bars planted on half of them two rounds of
    mean differences brought the adjusted mutual information of k-means and bars from .08 to 0 and the normalised one
    with the classes from .48 to .52; LEACE .48, a ridge regression left .015 of the bars, four rounds of iterated
    nullspace projection (Ravfogel et al., ACL 2020) lowered the classes to .41. Of ten groups as few directions as do
    it are taken, because a measure that goes with the classes takes some of them along: sharpness of sign language
    digits, weak directions or a second round included, .54 to .39, the strong ones alone .48.
    """
    known = groups >= 0
    names, codes = np.unique(np.asarray(groups)[known], return_inverse=True)
    if len(names) < 2:
        raise InputError("There is only one group of images, so nothing can be taken out.", "Choose another measure.")
    left = np.asarray(vectors, np.float32)[known]
    found = np.empty((0, left.shape[1]), np.float64)
    for _ in range(rounds or (2 if len(names) == 2 else 1)):
        means = _means(left, codes.reshape(-1), len(names))
        weights = np.sqrt(np.bincount(codes.reshape(-1)) / len(left))[:, None]
        spread = weights * (means - (weights**2 * means).sum(axis=0))
        _, strengths, directions = np.linalg.svd(spread, full_matrices=False)
        new = directions[strengths > max(_NOTHING, strengths[0] * _FAINT)]
        if not len(new):
            break
        found = np.linalg.qr(np.concatenate([found, new]).T)[0].T
        if len(found) >= left.shape[1] - 1:
            raise InputError(
                f"{len(found):,} directions would leave nothing of vectors of {left.shape[1]:,} numbers.",
                "Choose a measure with fewer groups.",
            )
        left = without_directions(np.asarray(vectors, np.float32)[known], found.astype(np.float32))
    directions32: Vectors = found.astype(np.float32)
    return directions32


def _means(vectors: Vectors, codes: NDArray[np.int64], count: int) -> NDArray[np.float64]:
    sums = np.zeros((count, vectors.shape[1]))
    for code in range(count):
        sums[code] = vectors[codes == code].mean(axis=0, dtype=np.float64)
    return sums


def without_directions(vectors: Vectors, directions: Vectors) -> Vectors:
    """Return (n, d) unit vectors without what lies in (r, d) orthonormal directions."""
    result = np.empty(vectors.shape, np.float32)
    for rows in blocks(len(vectors)):
        part = np.asarray(vectors[rows], np.float32)
        result[rows] = unit(part - (part @ directions.T) @ directions)
    return result


def derived_store(workspace: Workspace, source_key: str, what: str, directions: Vectors) -> EmbeddingStore:
    """Return the store of a configuration without some directions, made where it is not there yet.

    Parameters
    ----------
    what : str
        What the directions stand for, such as "aspect ratio"; shown to the person.
    """
    source = EmbeddingStore(workspace.embeddings(source_key))
    if not source.settings:
        raise InputError("These embeddings are not in the cache.", "Embed the data set again on Embed.")
    digest = hashlib.blake2b(np.ascontiguousarray(directions, np.float32).tobytes(), digest_size=8).hexdigest()
    removed = {"from": source_key, "what": what, "directions": digest}
    config = source.settings | {"removed": removed, "made": time.time()}
    store = EmbeddingStore(workspace.embeddings(key_of(config)), config)
    if not (store.folder / DIRECTIONS).exists():
        store.folder.mkdir(parents=True, exist_ok=True)
        save_array(store.folder / DIRECTIONS, np.ascontiguousarray(directions, np.float32))
    return store


def extend_derived(store: EmbeddingStore, source: EmbeddingStore, keys: Ids, *, progress: Progress = SILENT) -> int:
    """Bring the vectors of images from a store into the one that was derived from it; return how many were new."""
    if not (~store.holds(keys) & source.holds(keys)).any():
        return 0
    directions = load_array(store.folder / DIRECTIONS)
    with store.writing(progress):
        todo = keys[~store.holds(keys) & source.holds(keys)]
        for rows in blocks(len(todo)):
            store.append(todo[rows], without_directions(source.load(todo[rows]), directions))
            progress.update(rows.stop, len(todo), phase="Taking it out", unit="images")
    return len(todo)


def derived_of(workspace: Workspace, source_key: str) -> list[EmbeddingStore]:
    """Return the stores that were derived from a configuration."""
    return [store for store in stores(workspace) if removed_of(store.settings).get("from") == source_key]


def removed_of(config: Mapping[str, Any]) -> dict[str, str]:
    """Return what was taken out of a configuration's vectors, and of which; empty where nothing was."""
    found = config.get("removed")
    return dict(found) if isinstance(found, Mapping) else {}
