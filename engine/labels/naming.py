"""Names for clusters from an image-and-text encoder: vectors in, proposals out, which a person accepts or not.

Every image votes for the few words its vector is closest to; the cluster's name is the word with the most votes.
Where a random group of the same size would score as well, there is no reliable name and none is given. The module
knows no encoder: it is handed image vectors, text vectors and the words they belong to.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from engine.core.errors import InputError
from engine.core.progress import SILENT, Progress
from engine.core.vectors import unit

NO_NAME = "no reliable name"
PROMPT = "a photo of a {word}"
BLOCK = 8192


@dataclass(frozen=True)
class NameProposal:
    """What a cluster might be called.

    Attributes
    ----------
    cluster : int
        The label that was named.
    size : int
        Its images.
    word : str
        The word with the most votes, also when it is not reliable.
    score : float
        Its mean vote over the cluster's images, in [0, 1].
    alternates : tuple of (str, float)
        The next three words and their scores.
    chance : float
        The share of random groups of this size, this cluster counted in, whose best word scores at least as high.
    reliable : bool
        `chance` is at most the rate asked for.
    """

    cluster: int
    size: int
    word: str
    score: float
    alternates: tuple[tuple[str, float], ...]
    chance: float
    reliable: bool

    @property
    def name(self) -> str:
        """The word, or "no reliable name"."""
        return self.word if self.reliable else NO_NAME


def common_nouns() -> list[str]:
    """Return the bundled vocabulary: common concrete nouns, in order of the alphabet."""
    return parse_vocabulary(files("engine.labels").joinpath("nouns.txt").read_text("utf-8"))


def parse_vocabulary(text: str) -> list[str]:
    """Return the words of a person's list: one a line, or separated by commas; each once, in the given order.

    Raises
    ------
    InputError
        Fewer than two words.
    """
    first: dict[str, str] = {}
    for line in text.splitlines():
        for part in line.split(","):
            word = " ".join(part.split())
            if word:
                first.setdefault(word.casefold(), word)
    words = list(first.values())
    if len(words) < 2:
        raise InputError("The list of words needs at least two different words.", "Write one word on each line.")
    return words


def prompts(words: Iterable[str], template: str = PROMPT) -> list[str]:
    """Return the sentences whose text vectors stand for `words`."""
    return [template.format(word=word) for word in words]


def word_votes(
    images: NDArray[np.float32], texts: NDArray[np.float32], *, sharpness: float = 100.0, top: int = 5
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return each image's `top` words and votes: the largest of softmax(sharpness * cosine) over the vocabulary.

    Parameters
    ----------
    images : (n, d) float32
    texts : (w, d) float32
        Of the same encoder.
    sharpness : float
        Inverse temperature; 100 in CLIP.
    top : int
        Votes kept per image.

    Returns
    -------
    words : (n, top) int32
    votes : (n, top) float32
        Rows sum to at most 1.

    Raises
    ------
    InputError
        The two kinds of vectors differ in length.
    """
    if images.ndim != 2 or texts.ndim != 2 or images.shape[1] != texts.shape[1]:
        raise InputError(
            f"Image vectors of shape {images.shape} and text vectors of shape {texts.shape} do not belong together.",
            "Use one encoder that has both images and text, such as CLIP.",
        )
    top = min(top, len(texts))
    unit_texts = unit(texts)
    chosen = np.empty((len(images), top), dtype=np.int32)
    votes = np.empty((len(images), top), dtype=np.float32)
    for start in range(0, len(images), BLOCK):
        logits = sharpness * unit(images[start : start + BLOCK]) @ unit_texts.T
        best = np.argpartition(-logits, top - 1, axis=1)[:, :top].astype(np.int32)
        highest = logits.max(axis=1, keepdims=True)
        total = np.exp(logits - highest).sum(axis=1, keepdims=True)
        chosen[start : start + len(best)] = best
        votes[start : start + len(best)] = np.exp(np.take_along_axis(logits, best, axis=1) - highest) / total
    return chosen, votes


def _scores(
    words: NDArray[np.int32], votes: NDArray[np.float32], groups: NDArray[np.int64], n_words: int
) -> NDArray[np.float64]:
    """Return the mean vote for each word in each of (g, m) groups of rows, (g, n_words)."""
    offset = np.arange(len(groups))[:, None, None] * n_words
    flat = (words[groups] + offset).ravel()
    total = np.bincount(flat, weights=votes[groups].ravel(), minlength=len(groups) * n_words)
    return total.reshape(len(groups), n_words) / groups.shape[1]


def name_clusters(
    images: NDArray[np.float32],
    texts: NDArray[np.float32],
    words: Sequence[str],
    labels: NDArray[np.integer],
    *,
    rate: float = 0.05,
    n_random: int = 199,
    sharpness: float = 100.0,
    random_state: int = 0,
    progress: Progress = SILENT,
) -> list[NameProposal]:
    """Propose a name for each cluster, or say that there is no reliable one.

    Parameters
    ----------
    images : (n, d) float32
        Image vectors of an encoder with text.
    texts : (w, d) float32
        Text vectors of `prompts(words)`.
    words : sequence of str
        The vocabulary.
    labels : (n,) int
        Clusters; negative ones are noise and get no name.
    rate : float
        The share of random groups that may get a name.
    n_random : int
        Random groups drawn from all images for each cluster.
    sharpness : float
        Inverse temperature of the votes; 100 in CLIP.
    random_state : int
        Seed of the random groups.
    progress : Progress
        Who listens.

    Returns
    -------
    list of NameProposal, by cluster number.

    Raises
    ------
    InputError
        Lengths that do not fit, or fewer than two words.

    References
    ----------
    The votes follow "Self-labelling" of Chu et al., ICLR 2024, arXiv:2306.05272.
    """
    if len(words) != len(texts) or len(words) < 2:
        raise InputError(f"{len(words):,} words with {len(texts):,} text vectors: each word needs one, two at least.")
    if len(labels) != len(images):
        raise InputError(f"{len(labels):,} labels for {len(images):,} images.")
    chosen, votes = word_votes(images, texts, sharpness=sharpness)
    rng = np.random.default_rng(random_state)
    clusters = np.unique(labels[labels >= 0])
    proposals = []
    for done, cluster in enumerate(clusters.tolist()):
        members = np.flatnonzero(labels == cluster)
        scores = _scores(chosen, votes, members[None], len(words))[0]
        order = np.argsort(-scores, kind="stable")[:4]
        chance = _chance(chosen, votes, len(members), float(scores[order[0]]), len(words), n_random, rng)
        proposals.append(
            NameProposal(
                cluster,
                len(members),
                words[order[0]],
                float(scores[order[0]]),
                tuple((words[i], float(scores[i])) for i in order[1:]),
                chance,
                chance <= rate,
            )
        )
        progress.update(done + 1, len(clusters), phase="naming", unit="clusters")
    return proposals


def _chance(
    chosen: NDArray[np.int32],
    votes: NDArray[np.float32],
    size: int,
    score: float,
    n_words: int,
    n_random: int,
    rng: np.random.Generator,
) -> float:
    """Return the share of random groups of `size` rows whose best word scores at least `score`."""
    as_good = 1
    at_once = max(1, 2_000_000 // max(size * chosen.shape[1], n_words))
    for start in range(0, n_random, at_once):
        count = min(at_once, n_random - start)
        groups = np.stack([rng.choice(len(chosen), size, replace=False, shuffle=False) for _ in range(count)])
        best = _scores(chosen, votes, groups, n_words).max(axis=1)
        as_good += int((best >= score - 1e-12).sum())
    return as_good / (n_random + 1)
