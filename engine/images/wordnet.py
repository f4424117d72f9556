"""WordNet ids in words: "n01440764" is "tench", wherever ImageNet's ids name classes.

Words that lie beside the images count first; for all others there is the list that comes with timm.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

_ID = re.compile(r"n\d{8}")


def is_wordnet_id(name: str) -> bool:
    """Return whether a class is named by the id of a noun of WordNet."""
    return _ID.fullmatch(name) is not None


def class_words(names: Sequence[str], known: Mapping[str, str] | None = None) -> list[str]:
    """Return class names with ids replaced by their first word, made distinct; other names stay as they are.

    Parameters
    ----------
    names : sequence of str
        Each class once.
    known : mapping, optional
        Id -> words, from lists beside the images.
    """
    if not any(is_wordnet_id(name) for name in names):
        return distinct(names)
    words = {**_lemmas(), **(known or {})}
    return distinct([words.get(name, name).split(",")[0].strip() if is_wordnet_id(name) else name for name in names])


def distinct(names: Sequence[str]) -> list[str]:
    """Return class names made distinct: ImageNet has two cranes and two maillots."""
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name} ({at})" for at, name in enumerate(names)]


def parse_words(lines: Iterable[str]) -> dict[str, str]:
    """Return id -> words of a list such as words.txt or LOC_synset_mapping.txt: an id, a space or tab, the words."""
    found = {}
    for line in lines:
        name, _, words = line.strip().replace("\t", " ", 1).partition(" ")
        if is_wordnet_id(name) and words:
            found[name] = words.strip()
    return found


@cache
def _lemmas() -> dict[str, str]:
    """Return the words of timm's list; read as a file, for importing timm would import torch."""
    spec = find_spec("timm")
    for place in (spec.submodule_search_locations or []) if spec else []:
        path = Path(place) / "data" / "_info" / "imagenet_synset_to_lemma.txt"
        if path.is_file():
            return parse_words(path.read_text("utf-8").splitlines())
    return {}
