"""What a click is: how many presses of the mouse or of a key each action takes on the workbench.

Every press counts one, a key as much as a button, a drag of a slider too; scrolling, the pointer's way and looking
count nothing. The letters of a label that is new are counted apart, because every way of labelling types them once. The
table stands in `CLICKS`, with what is pressed.
"""

from __future__ import annotations

from types import MappingProxyType

DIGITS = 9  # labels that have a key of their own

CLICKS = MappingProxyType(
    {
        "go": 1,  # to another cluster: its card in the list
        "name": 2,  # choose the name or type it, Enter; the next cluster without a name follows by itself
        "tick": 1,  # one image selected or not
        "range": 2,  # the first image, Shift and the last one
        "all": 1,  # Ctrl+A
        "digit": 1,  # a label with a key of its own
        "label_as": 3,  # any other label: Label as, choose or type, Enter
        "aside": 1,  # x
        "confirm": 1,
        "split": 4,  # Ctrl+A, the menu, how many parts, Split
        "merge": 1,  # m
        "apart": 1,  # d
        "take": 1,  # g
        "halve": 1,  # h
        "audit": 2,  # Check a random sample, Keep; each wrong image is a tick
        "review": 1,  # the view; and back
        "card": 1,  # one proposed label
        "agree": 1,  # y
        "accept": 2,  # the slider, Label so many images
    }
)


def label_clicks(place: int) -> int:
    """Return the presses that label what is selected with the label of a place (0 for the first one ever given)."""
    return CLICKS["digit"] if place < DIGITS else CLICKS["label_as"]
