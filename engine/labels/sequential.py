"""When enough images were looked at: sequential tests in place of a page of a fixed length.

Whether a cluster is one thing is decided by Wald's sequential probability ratio test; whether growing goes on, by what
a beta-binomial forecast says of the next page.
"""

from __future__ import annotations

import math

PURE, MIXED = 0.97, 0.85  # the two purities that are told apart
ALPHA = 0.05  # chance of either mistake
FORGET = 0.5  # weight of the pages before the last one: what lies farther is less often right


def one_thing(right: int, wrong: int, *, pure: float = PURE, mixed: float = MIXED, alpha: float = ALPHA) -> bool | None:
    """Return whether a cluster is one thing, from images of it that were looked at in any order; None: look at more.

    Parameters
    ----------
    right, wrong : int
        Images so far that belong and that do not.
    pure, mixed : float
        Purities in (0, 1) that are told apart, `mixed` the lower.
    alpha : float
        Chance of calling a pure cluster mixed, and of calling a mixed one pure, in (0, 0.5).

    References
    ----------
    Wald, Sequential tests of statistical hypotheses, 1945.
    """
    evidence = right * math.log(pure / mixed) + wrong * math.log((1 - pure) / (1 - mixed))
    bound = math.log((1 - alpha) / alpha)
    if evidence >= bound:
        return True
    return False if evidence <= -bound else None


def all_right(right: float, wrong: float, page: int) -> float:
    """Return the chance that each of the next `page` images is right: beta-binomial with a uniform prior.

    Parameters
    ----------
    right, wrong : float
        Images seen so far, those of earlier pages with less weight.
    page : int
    """
    a, b = right + 1.0, wrong + 1.0
    return math.exp(math.lgamma(a + page) - math.lgamma(a) + math.lgamma(a + b) - math.lgamma(a + b + page))


def best_page(right: float, wrong: float, most: int) -> tuple[int, float]:
    """Return the page that promises most right images for one press, and how many it promises.

    A page is taken whole or, where one image of it is wrong, not at all.

    Parameters
    ----------
    right, wrong : float
        As in `all_right`.
    most : int
        Images that are left.
    """
    pages = range(1, most + 1)
    promised = [page * all_right(right, wrong, page) for page in pages]
    at = max(range(len(promised)), key=promised.__getitem__, default=-1)
    return (pages[at], promised[at]) if at >= 0 else (0, 0.0)
