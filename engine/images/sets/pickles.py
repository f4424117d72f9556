"""Opening the pickles in which CIFAR is published, and nothing else that a pickle can be.

A pickle is a program. The caller compares the file with its published checksum first; even then only what the
format holds is admitted: dictionaries, lists, texts, numbers and NumPy arrays.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from engine.core.errors import InputError

_ADMITTED: dict[tuple[str, str], Any] = {
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
}


class _Restricted(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 - one of three
        """Return one of the three names that CIFAR's arrays need."""
        try:
            return _ADMITTED[module, name]
        except KeyError:
            raise InputError(
                f"The archive asks for {module}.{name}, which image data never needs; it is not opened.",
                "Delete the file and download it from its source.",
            ) from None

    def persistent_load(self, pid: object) -> object:
        """Refuse: the format has no outside objects."""
        raise InputError("The archive refers to objects outside of it; it is not opened.")


def load_arrays(data: bytes) -> dict[str, Any]:
    """Return the dictionary of a CIFAR file, written by Python 2, keys as text.

    Raises
    ------
    InputError
        The pickle is damaged, or asks for anything but arrays.
    """
    try:
        found = _Restricted(io.BytesIO(data), encoding="latin1").load()  # noqa: S301
    except InputError:
        raise
    except Exception as error:  # a damaged pickle raises anything
        raise InputError("The archive is damaged: its pickled data cannot be read.") from error
    if not isinstance(found, dict):
        raise InputError("The archive does not hold what CIFAR's files hold.")
    return {str(key): value for key, value in found.items()}
