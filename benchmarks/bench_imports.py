"""A million labels in: reading the CSV, finding the images, planning and writing the one event, beside Python's csv.

Processor seconds. The list names every image by its path, in another order, with 1,000 classes and quoted cells.

    python -m benchmarks.bench_imports [--images 1000000]
"""

from __future__ import annotations

import argparse
import csv
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.clustered_vectors import timed
from engine.core.ids import pack
from engine.core.workspace import Workspace
from engine.images.datasets import add_folder
from engine.labels.events import LabelHistory
from engine.labels.importing.match import match
from engine.labels.importing.plan import carry_out, plan_import
from engine.labels.importing.read import read_labels
from engine.labels.importing.settings import ImportSettings


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", type=int, default=1_000_000)
    n = parser.parse_args().images
    rng = np.random.default_rng(0)
    paths = [f"folder {at // 1000:04}/image, {at:07}.jpg".encode() for at in range(n)]
    contents = pack(rng.bytes(16 * n))
    with tempfile.TemporaryDirectory() as root:
        listed = Path(root) / "labels.csv"
        with listed.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "label"])
            writer.writerows((paths[at].decode(), f"class {at % 1000}") for at in rng.permutation(n).tolist())
        with listed.open(newline="", encoding="utf-8") as file:
            plain, _ = timed(lambda: list(csv.reader(file)))
        settings = ImportSettings()
        reading, found = timed(lambda: read_labels(listed, settings))
        matching, matched = timed(lambda: match(found, paths, np.arange(n), contents))
        workspace = Workspace.open(Path(root) / "workspace")
        (Path(root) / "photos").mkdir()
        history = LabelHistory(workspace, add_folder(workspace, Path(root) / "photos").id)
        state = history.state(contents, np.full(n, -1, np.int32), run="")
        planning, planned = timed(lambda: plan_import(found, matched, state, settings, name="labels.csv"))
        writing, _ = timed(lambda: carry_out(history, planned, found, state))
        replaying, after = timed(lambda: history.state(contents, np.full(n, -1, np.int32), run=""))
    assert after.source_counts["imported"] == n
    total = reading + matching + planning + writing
    print(f"{n:,} lines: csv alone {plain:.1f} s; read {reading:.1f} s, {reading / plain:.1f} times that")
    print(f"found {matching:.1f} s, planned {planning:.1f} s, written {writing:.1f} s, together {total:.1f} s")
    print(f"labels as they stand after it {replaying:.1f} s")


if __name__ == "__main__":
    main()
