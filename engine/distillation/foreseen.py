"""The times of several distillations, foreseen in a process of its own: a screen that asks does not wait for torch.

`python -m engine.distillation.foreseen` reads JSON from its input, a list of [settings, images, columns, classes], and
prints a line for each: the seconds, or null where they could not be foreseen.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence

from engine.core.workspace import PROGRAM
from engine.distillation.settings import DistilSettings

Asked = tuple[str, int, int, int]
"""Settings as JSON with what was given, images to train on, numbers of a vector, classes."""


def foresee(asked: Sequence[Asked]) -> Iterator[float | None]:
    """Yield the seconds of each as they come, None where they could not be foreseen; waits for a process."""
    process = subprocess.Popen(
        [sys.executable, "-m", "engine.distillation.foreseen"],
        cwd=PROGRAM,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    with process:
        process.stdin.write(json.dumps(list(asked)))
        process.stdin.close()
        come = 0
        for line in process.stdout:
            come += 1
            yield json.loads(line)
    yield from [None] * (len(asked) - come)


def main() -> None:
    """Foresee what standard input names."""
    from engine.distillation.forecast import seconds_needed

    for settings, n, columns, classes in json.load(sys.stdin):
        try:
            seconds = seconds_needed(DistilSettings.model_validate_json(settings), n, columns, classes)
        except Exception:  # whatever it is, the distillation itself will say it
            seconds = None
        sys.stdout.write(f"{json.dumps(seconds)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
