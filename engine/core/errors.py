"""The engine's own small family of errors: one sentence for the person, one hint for the next step.

Pages show `sentence` and `hint` and fold the technical detail away; the command line prints both
on stderr and exits with status 2.
"""

from __future__ import annotations


class KindredError(Exception):
    """Something the person can understand and act on.

    Parameters
    ----------
    sentence : str
        What happened, in one plain sentence.
    hint : str
        The next step, in one plain sentence; empty when there is none.
    """

    def __init__(self, sentence: str, hint: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.sentence} {self.hint}".strip()


class InputError(KindredError):
    """What was given cannot be used: a path, a file, a setting, a shape."""


class WeightsError(KindredError):
    """Model weights are absent, gated or of another model."""


class CheckpointError(KindredError):
    """A checkpoint is damaged or belongs to another configuration."""


class StorageError(KindredError):
    """The disk is full, a file is locked, or a stored file is damaged."""


class TrainingError(KindredError):
    """A method ran but did not produce a clustering: not trained, collapsed, NaN."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or a request to end arrived, and what the work wanted to keep is on disk.

    Attributes
    ----------
    signal : int
        SIGINT or SIGTERM; a command ends with the status 128 + `signal`.
    """

    def __init__(self, signal: int) -> None:
        super().__init__(signal)
        self.signal = signal
