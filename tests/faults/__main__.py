"""`python -m tests.faults [KILLS] [SEED]`: kill that often, shared out over the activities, and say what was found."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from tests.faults.rounds import Rounds

SHARES = {
    "scan": 26,
    "embed": 26,
    "sweep": 14,
    "train": 26,
    "label": 30,
    "export": 24,
    "import": 16,
    "carry-over": 24,
    "restore": 14,
}  # of 200


def main() -> int:
    """Return 0 when no fault was found."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else int(time.time())
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kindred-faults-") as folder, Rounds(Path(folder), seed) as rounds:
        for activity, share in SHARES.items():
            rounds.play(activity, max(1, round(share * kills / 200)))
            count, seconds = rounds.tally.killed.get(activity, 0), time.monotonic() - began
            sys.stderr.write(f"{seconds:6.1f} s  {activity}: {count} kills\n")
        tally = rounds.tally
    for fault in tally.faults:
        sys.stdout.write(f"FAULT {fault}\n")
    sys.stdout.write(
        f"{tally.kills} kills ({tally.late} more came too late), {len(tally.faults)} faults, seed {seed}, "
        f"{time.monotonic() - began:.0f} s\n"
    )
    return 1 if tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
