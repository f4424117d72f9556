"""What a clustering is worth in one word and one sentence, from scores that need no truth.

Flows in: the silhouette beside that of shuffled labels, the stability, how well a classifier learns the clusters and
how far other methods agree. Flows out: good, usable with checking, or weak, with what to do next; or not judged, with
what is missing. The thresholds are measured on sets whose truth is known: benchmarks/verdict_quality.py and
docs/figures.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Word = Literal["good", "usable with checking", "weak", "not judged"]

GOOD, USABLE = 0.75, 0.45
"""Least stability x generalisation of the two better verdicts."""
GOOD_AGREEMENT, USABLE_AGREEMENT = 0.5, 0.3
"""Least agreement between methods of the two."""


@dataclass(frozen=True)
class Verdict:
    """What a clustering is worth.

    Attributes
    ----------
    word : "good" | "usable with checking" | "weak" | "not judged"
    sentence : str
        Why, in plain words.
    next_step : str
        What to do about it.
    """

    word: Word
    sentence: str
    next_step: str

    @property
    def line(self) -> str:
        """Word, sentence and next step as one line of text."""
        return f"{self.word.capitalize()}: {self.sentence} {self.next_step}"

    def as_dict(self) -> dict[str, str]:
        """Return plain values, for a file."""
        return asdict(self)


_NAMED = 12  # clusters that a sentence names
_ANOTHER = "Another encoder would help: embed the images with one on Embed and find good clusters again."


def verdict(
    *,
    structured: bool,
    stability: float | None,
    generalisation: float | None,
    agreement: float | None,
) -> Verdict | None:
    """Judge a clustering; None where stability or generalisation was not measured.

    Parameters
    ----------
    structured : bool
        Its silhouette is above that of its own labels shuffled.
    stability : float, optional
        ARI of clusterings of two overlapping subsamples.
    generalisation : float, optional
        `Generalisation.score`.
    agreement : float, optional
        Mean ARI with what other ways to cluster found, another method or another reduction before it; left out of the
        judgement and its sentence where unknown.
    """
    if not structured:
        return Verdict("weak", "the groups are no more alike inside than groups drawn at random.", _ANOTHER)
    if stability is None or generalisation is None:
        return None
    sure = max(stability, 0.0) * max(generalisation, 0.0)
    if sure < USABLE or (agreement is not None and agreement < USABLE_AGREEMENT):
        return Verdict("weak", "the groups are hardly more alike inside than outside.", _ANOTHER)
    if sure >= GOOD and (agreement is None or agreement >= GOOD_AGREEMENT):
        confirmed = "" if agreement is None else ", and other ways to cluster find nearly the same"
        return Verdict(
            "good",
            f"the same groups come back on other parts of the images{confirmed}. "
            "That they hold together does not tell whether each holds only one kind.",
            "Name them on Label; an audit there proves how pure they are.",
        )
    why = (
        "other ways to cluster draw some of the groups differently."
        if agreement is not None and agreement < GOOD_AGREEMENT
        else "some of the groups change with the images that are looked at."
    )
    return Verdict(
        "usable with checking", why, "Look through each group on Label before you name it, the border images first."
    )


def with_missing(found: Verdict | None, missing: Sequence[str]) -> Verdict:
    """Return a verdict that says what was not measured: beside the word, or in its place where there is none.

    Parameters
    ----------
    found : Verdict, optional
        What `verdict` made of the figures that are known.
    missing : sequence of str
        Whole sentences.
    """
    if found is None:
        return Verdict(
            "not judged",
            " ".join(missing) or "it was not measured how surely the groups come back.",
            "Find good clusters on Cluster judges each clustering that it tries.",
        )
    return replace(found, sentence=" ".join((found.sentence, *missing)))


def with_two_kinds(found: Verdict, clusters: Sequence[int], n_clusters: int) -> Verdict:
    """Return a verdict that names the clusters that look like two kinds; the same where there are none."""
    if not clusters:
        return found
    shown = ", ".join(str(cluster) for cluster in clusters[:_NAMED]) + (", ..." if len(clusters) > _NAMED else "")
    looks = "looks" if len(clusters) == 1 else "look"
    told = f"{len(clusters)} of {n_clusters} clusters {looks} like two kinds: {shown}."
    return replace(found, sentence=f"{found.sentence} {told}")


def verdict_of(results: Mapping[str, Any]) -> Verdict | None:
    """Return the verdict that a run's results.json or a board's summary holds; None where none was kept."""
    kept = results.get("verdict")
    if not isinstance(kept, Mapping) or not all(isinstance(kept.get(name), str) for name in Verdict.__annotations__):
        return None
    return Verdict(kept["word"], kept["sentence"], kept["next_step"])
