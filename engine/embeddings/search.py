"""Search in an embedding space: by words where the encoder reads text, by an image that need not be in the data set,
and by examples ("more like these, less like those"). Everything ends in one unit vector and one ranking.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError, WeightsError
from engine.core.vectors import blocks, unit
from engine.core.workspace import Workspace
from engine.embeddings.encoders.registry import Encoder, TextEncoder, find_encoder, text_encoders
from engine.embeddings.store import EmbeddingStore, Vectors
from engine.images.decode import PreprocessSettings, decode_square
from engine.images.depth import Ranges

AWAY = 0.5  # how much "less like those" weighs beside "more like these"


def encoder_of(workspace: Workspace, config_key: str, *, device: str = "auto") -> Encoder:
    """Build the encoder that made the vectors of a cached configuration.

    Raises
    ------
    InputError
        No such configuration, or vectors that no encoder made.
    WeightsError
        The weights are absent, or no longer the ones that made the vectors.
    """
    config = EmbeddingStore(workspace.embeddings(config_key)).settings
    if not config:
        raise InputError("These embeddings are not in the cache.", "Embed the data set again on Embed.")
    entry = find_encoder(config["encoder"])
    if entry.takes != "images":
        raise InputError("These vectors were made elsewhere, so new images and words cannot be turned into such.")
    encoder = entry.build(entry.settings_class.parse(config["settings"]), device=device)
    made_by = entry.revision(entry.settings_class.parse(config["settings"]), download=False)
    if made_by != config["revision"]:
        raise WeightsError(
            "The weights have changed since these vectors were made, so the two do not compare.",
            "Embed the data set again.",
        )
    return encoder


def text_query(encoder: Encoder, texts: Sequence[str]) -> Vectors:
    """Return the (d,) unit vector of words; several sentences are averaged.

    Raises
    ------
    InputError
        The encoder knows no words, or none were given.
    """
    if not isinstance(encoder, TextEncoder):
        raise InputError("This encoder does not know words.", f"To search by words, embed with {text_encoders()}.")
    given = [text.strip() for text in texts if text.strip()]
    if not given:
        raise InputError("There are no words to search for.")
    return unit(unit(encoder.encode_text(given)).mean(axis=0))


def image_query(
    encoder: Encoder, data: bytes, preprocess: PreprocessSettings | None = None, *, ranges: Ranges | None = None
) -> Vectors:
    """Return the (d,) unit vector of an encoded image file, such as a pasted one.

    Parameters
    ----------
    preprocess, ranges : optional
        How the images of the data set became squares, and the ranges that its deep ones are shown in.

    Raises
    ------
    ImageError
        The bytes are no image.
    """
    square = decode_square(data, encoder.side, preprocess or PreprocessSettings(), ranges=ranges)
    return unit(encoder.encode(square[None]))[0]


def example_query(more: Vectors, less: Vectors | None = None, *, start: Vectors | None = None) -> Vectors:
    """Return the (d,) unit vector that lies towards `more` and away from `less`.

    Parameters
    ----------
    more, less : (m, d) and (l, d) float
        Vectors of images; either may be empty, not both.
    start : (d,) float, optional
        A query that the examples refine, weighing as much as all of `more` together.

    References
    ----------
    Rocchio, "Relevance Feedback in Information Retrieval", 1971.
    """
    towards = [unit(unit(more).mean(axis=0))] if len(more) else []
    if start is not None:
        towards.append(unit(start))
    away = [unit(unit(less).mean(axis=0))] if less is not None and len(less) else []
    if not towards and not away:
        raise InputError("There are no examples to search by.", "Choose some images first.")
    wanted = np.mean(towards, axis=0) if towards else 0
    unwanted = np.mean(away, axis=0) if away else 0
    return unit(np.asarray(wanted - (AWAY if towards else 1.0) * unwanted, dtype=np.float32))


def rank(
    vectors: Vectors, query: Vectors, k: int, *, leave_out: NDArray[np.int64] | None = None
) -> tuple[NDArray[np.int64], Vectors]:
    """Return the k rows most similar to a query.

    Parameters
    ----------
    vectors : (n, d) float32
        Need not be unit length; read block by block, so a memory map serves.
    query : (d,) float32
    k : int
    leave_out : (m,) int64, optional
        Rows that never appear, such as the examples themselves.

    Returns
    -------
    rows : (min(k, n - m),) int64
        In falling similarity; equal ones in the order of the rows.
    similarities : float32
        Cosine, in [-1, 1].
    """
    direction = unit(query)
    scores = np.empty(len(vectors), dtype=np.float32)
    for part in blocks(len(vectors)):
        block = np.asarray(vectors[part], dtype=np.float32)
        length = np.sqrt(np.einsum("ij,ij->i", block, block))
        scores[part] = block @ direction / np.maximum(length, np.finfo(np.float32).tiny)
    allowed = np.ones(len(vectors), dtype=bool)
    if leave_out is not None:
        allowed[leave_out] = False
    rows = np.flatnonzero(allowed)
    k = min(k, len(rows))
    if k < len(rows):
        least = np.partition(scores[rows], len(rows) - k)[len(rows) - k] if k else np.inf
        rows = rows[scores[rows] >= least]
    rows = rows[np.argsort(-scores[rows], kind="stable")][:k]
    return rows, np.clip(scores[rows], -1, 1)
