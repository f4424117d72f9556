"""What a screen says of itself: its title, its address, its icon and how far the person is with it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pages.shared.state import Current

State = Literal["done", "doing", "out of date", "not yet"]


@dataclass(frozen=True)
class Step:
    """How far the person is with a screen.

    Attributes
    ----------
    state : State
    figure : str
        The one number that tells it, such as "12,480"; empty where none does.
    """

    state: State
    figure: str = ""


NOT_YET = Step("not yet")


@dataclass(frozen=True)
class Screen:
    """One screen; it lives in the folder `pages/<path>`, which holds `page.py`.

    Attributes
    ----------
    path : str
        Its folder and its place in the address.
    title : str
    icon : str
        A Material symbol, such as ":material/label:".
    step : function
        Of the current choice, which has a data set; cheap, because the rail asks at every run.
    tasks : tuple of str
        The kinds of jobs that are this screen's work: while one runs, the rail shows how far it is.
    on_run : bool
        Whether it works on one clustering and its labels: the header then lets a person switch between the kept ones,
        and undo and redo.
    """

    path: str
    title: str
    icon: str
    step: Callable[[Current], Step]
    tasks: tuple[str, ...] = ()
    on_run: bool = False

    @property
    def file(self) -> str:
        """The script of the screen, as Streamlit names it."""
        return f"pages/{self.path}/page.py"
