"""What a running sweep has found is read from its working folder, whatever lies half written beside it."""

import numpy as np

from engine.core.files import save_array, write_json
from engine.selection.sweep.found import found_so_far

SCORES = {
    "algorithm": "kmeans",
    "parameters": {"n_clusters": 2},
    "silhouette": 0.4,
    "floor": 0.1,
    "balance": 1.0,
    "noise_share": 0.0,
    "largest_share": 0.5,
    "n_clusters": 2,
    "neighbors": 0.5,
    "generalisation": 0.9,
    "seconds": 1.0,
}


def put(folder, key, count, **values):
    candidates = folder / "work" / "candidates"
    candidates.mkdir(parents=True, exist_ok=True)
    save_array(candidates / f"{key}.npy", np.arange(count, dtype=np.int32) % 2)
    write_json(candidates / f"{key}.json", SCORES | values)


def test_candidates_of_all_images_with_structure_come_most_promising_first(tmp_path):
    assert found_so_far(tmp_path, 10) == []
    put(tmp_path, "a" * 32, 10)
    put(tmp_path, "b" * 32, 10, neighbors=0.8)
    put(tmp_path, "c" * 32, 6)  # of the sample
    put(tmp_path, "d" * 32, 10, silhouette=0.05)  # below its floor
    put(tmp_path, "e" * 32, 10)
    (tmp_path / "work" / "candidates" / f"{'e' * 32}.json").write_text("{")
    write_json(tmp_path / "work" / "candidates" / f"{'f' * 32}.json", {"algorithm": "kmeans", "reason": "No memory."})
    found = found_so_far(tmp_path, 10)
    assert [key[0] for key, _ in found] == ["b", "a"]
    assert found[0][1].n_clusters == 2 and found[0][1].promise > found[1][1].promise
