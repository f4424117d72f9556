"""What the sweep's ranking and its verdict say on sets whose truth is known, beside the truth.

    python -m benchmarks.verdict_quality --data FOLDER [--kept FOLDER]

The candidates of the fast mode, each fitted on all rows and on two halves in this one process, ranked as the sweep
ranks them (by composite, near ties by evidence), with stability in near ties, and by single scores. Prints for each set
the number of clusters of the winner beside the number of classes, the ARI of the winner and of the best candidate,
what the verdict is made of and its word; then a table of the rankings. `--kept` keeps the scores of finished sets.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.known_sets import known_sets
from engine.clustering.registry import find_method
from engine.core.errors import KindredError
from engine.core.files import save_array, write_json
from engine.core.progress import SILENT
from engine.evaluation.agreement import ari
from engine.evaluation.scores import CompositeSettings, composite
from engine.evaluation.stability import common_ari
from engine.selection.sweep.data import ALL, HALVES, SweepData, part_rows
from engine.selection.sweep.grid import candidates
from engine.selection.sweep.ranking import (
    LeaderboardRow,
    agreement_of,
    final_order,
    first_order,
    leaderboard_row,
    rival_number,
    with_evidence,
    without_repeats,
)
from engine.selection.sweep.runner import WEIGHED
from engine.selection.sweep.settings import Ranking, SweepSettings
from engine.selection.sweep.worker import WorkingFolder, score

SETTINGS = SweepSettings()
Board = list[tuple[LeaderboardRow, float]]


def candidates_of(vectors: np.ndarray, folder: Path) -> None:
    """Fit and score the fast grid; leave <number>.npy (labels) and <number>.json (scores and stability) in `folder`."""
    with tempfile.TemporaryDirectory() as name:
        work = Path(name)
        data = SweepData(work, vectors, None, sample=50_000, random_state=0, device="cpu", progress=SILENT)
        data.prepare(ALL)
        data.prepare_halves()
        fits, labels = WorkingFolder(work), {}
        grid = [one for one in candidates(len(vectors), "fast") if find_method(one.algorithm).kind == "fast"]
        for part in (*HALVES, ALL):
            for candidate in grid:
                try:
                    labels[part, candidate] = fits.fit(candidate, part).labels_.copy()
                except KindredError as error:
                    print(f"  {candidate.algorithm} {candidate.parameters}: {error}")
        rows = [part_rows(work, half) for half in HALVES]
        for number, candidate in enumerate(grid):
            if any((part, candidate) not in labels for part in (*HALVES, ALL)):
                continue
            own = labels[ALL, candidate]
            space, graph = fits.data(ALL)
            found = score(space, own, neighbors=graph.indices, shuffles=SETTINGS.shuffles, probe=fits.probe(ALL))
            found |= {"algorithm": candidate.algorithm, "parameters": dict(candidate.parameters), "seconds": 0.0}
            found["stability"] = common_ari(rows, [labels[half, candidate] for half in HALVES])
            save_array(folder / f"{number:02d}.npy", own)
            write_json(folder / f"{number:02d}.json", found)


def load(folder: Path, truth: np.ndarray | None) -> Board:
    """Return the candidates in composite order, each with its ARI to the truth."""
    rows = []
    for path in sorted(folder.glob("*.json")):
        found = json.loads(path.read_text())
        made = leaderboard_row(found, path.with_suffix(".npy"), SETTINGS)
        rows.append(replace(made, stability=found["stability"]))
    ranked = first_order(without_repeats(rows), "composite", SETTINGS.max_largest_share)
    return [(row, float("nan") if truth is None else ari(truth, np.load(row.labels))) for row in ranked if row.labels]


def by_board(rows: list[LeaderboardRow], ranking: Ranking = "evidence", most: float = 0.0) -> list[LeaderboardRow]:
    """Rank as the sweep does: only the most promising are tried on subsamples; `most` is another largest share."""
    largest = most or SETTINGS.max_largest_share
    first = first_order(rows, ranking, largest)
    tried = [row if at < WEIGHED else replace(row, stability=None) for at, row in enumerate(first)]
    return final_order(tried, ranking, near_tie=SETTINGS.near_tie, max_largest_share=largest)


def weighed(rows: list[LeaderboardRow], balance_weight: float) -> list[LeaderboardRow]:
    """Return the rows with another weight of balance in their composite."""
    weights = CompositeSettings(balance_weight=balance_weight)
    return [
        replace(row, composite=composite(row.silhouette, row.balance, row.noise_share, settings=weights))
        for row in rows
    ]


def winner_by(key: Callable[[LeaderboardRow], float]) -> Callable[[list[LeaderboardRow]], LeaderboardRow]:
    return lambda rows: max(rows, key=key)


def evidence(row: LeaderboardRow) -> float:
    return with_evidence(row).evidence or 0.0


RANKINGS: dict[str, Callable[[list[LeaderboardRow]], LeaderboardRow]] = {
    "evidence (the sweep's)": lambda rows: by_board(rows)[0],
    "evidence, largest share 0.3": lambda rows: by_board(rows, most=0.3)[0],
    "evidence of all, any largest share": winner_by(evidence),
    "composite, stability in near ties": lambda rows: by_board(rows, "composite")[0],
    "the same, weight of balance 0.1": lambda rows: by_board(weighed(rows, 0.1), "composite")[0],
    "the same, weight of balance 0": lambda rows: by_board(weighed(rows, 0.0), "composite")[0],
    "composite": lambda rows: rows[0],
    "silhouette": winner_by(lambda row: row.silhouette),
    "stability": winner_by(lambda row: row.stability or 0.0),
    "generalisation": winner_by(lambda row: row.generalisation or 0.0),
    "neighbours": winner_by(lambda row: row.neighbors or 0.0),
}
SCORES: dict[str, Callable[[LeaderboardRow], float]] = {
    "evidence": evidence,
    "promise": lambda row: row.promise,
    "composite": lambda row: row.composite,
    "silhouette": lambda row: row.silhouette,
    "stability": lambda row: row.stability or 0.0,
    "generalisation": lambda row: row.generalisation or 0.0,
    "neighbours": lambda row: row.neighbors or 0.0,
}


def factor(row: LeaderboardRow, classes: int) -> float:
    return max(row.n_clusters / classes, classes / row.n_clusters)


def told(name: str, found: Board, classes: int | None) -> dict[str, Any]:
    """Print one line for a set; return what the tables need."""
    if not found:
        print(f"{name:30} nothing ranked: no candidate above its own labels shuffled")
        return {"name": name, "classes": classes, "word": "nothing ranked"}
    ranked, aris = by_board([row for row, _ in found]), {row.labels: value for row, value in found}
    first = replace(ranked[0], agreement=agreement_of(ranked[0], ranked))
    other, verdict = rival_number(ranked), first.verdict
    sure = max(first.stability or 0, 0) * max(first.generalisation or 0, 0)
    agreement = float("nan") if first.agreement is None else first.agreement
    own, best = aris[first.labels], max(aris.values())
    clear = "clear" if other is None else f"or {other}"
    print(
        f"{name:30} K {first.n_clusters:>3} of {classes or '-':>2} {clear:7} ARI {own:5.2f} best {best:5.2f}  "
        f"stability {first.stability:.2f} generalisation {first.generalisation:.2f} product {sure:.2f} "
        f"agreement {agreement:.2f}  {verdict.word if verdict else '-'}",
        flush=True,
    )
    right = classes is not None and factor(first, classes) <= 1.5
    return {
        "name": name,
        "classes": classes,
        "word": verdict.word if verdict else "-",
        "ari": own,
        "right": right,
        "clear": other is None,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--kept", type=Path)
    given = parser.parse_args()
    kept = given.kept or Path(tempfile.mkdtemp())
    boards: dict[str, tuple[Board, int]] = {}
    lines = []
    for name, make in known_sets(given.data).items():
        folder = kept / "".join(letter if letter.isalnum() else "_" for letter in name)
        if not (folder / "truth.npy").exists():
            vectors, truth = make()
            folder.mkdir(parents=True, exist_ok=True)
            candidates_of(vectors, folder)
            save_array(folder / "truth.npy", np.empty(0, np.int64) if truth is None else truth)
        known = np.load(folder / "truth.npy")
        classes = int(known.max()) + 1 if len(known) else None
        found = load(folder, known if classes else None)
        lines.append(told(name, found, classes))
        if classes and found:
            boards[name] = found, classes
    print("\nverdict                 sets   mean ARI   lowest   highest")
    for word in ("good", "usable with checking", "weak", "nothing ranked"):
        values = [line.get("ari", 0.0) for line in lines if line["word"] == word and line["classes"]]
        without = sum(line["word"] == word and not line["classes"] for line in lines)
        shown = f"{np.mean(values):8.2f} {min(values):8.2f} {max(values):9.2f}" if values else ""
        print(f"{word:22} {len(values):4} {shown}{f'   and {without} without structure' if without else ''}")
    sets = [line for line in lines if line["classes"]]
    honest = sum(bool(line.get("right")) or not line.get("clear", False) for line in sets)
    print(f"\nK within a factor 1.5 or said to be unclear: {honest} of {len(sets)}")
    even = {name: board for name, board in boards.items() if "uneven" not in name}
    uneven = {name: board for name, board in boards.items() if "uneven" in name}
    for title, chosen in (("even", even), ("uneven, 1 to 20", uneven)):
        rankings(title, chosen)
        correlations(title, chosen)


def rankings(title: str, boards: dict[str, tuple[Board, int]]) -> None:
    """Print what the winner of each ranking is worth."""
    print(f"\n{f'winner by, {title}':44}  mean ARI   below the best   K within 1.5")
    for name, winner in RANKINGS.items():
        won = [(winner([row for row, _ in found]), found, classes) for found, classes in boards.values()]
        aris = [dict((r.labels, value) for r, value in found)[row.labels] for row, found, _ in won]
        best = [max(value for _, value in found) for _, found, _ in won]
        near = [factor(row, classes) <= 1.5 for row, _, classes in won]
        print(f"{name:44} {np.mean(aris):9.3f} {np.mean(np.subtract(best, aris)):16.3f} {sum(near):9} of {len(near)}")


def correlations(title: str, boards: dict[str, tuple[Board, int]]) -> None:
    """Print how each score orders the candidates of a set, beside the order by ARI: Spearman, the mean over sets."""
    from scipy.stats import spearmanr

    print(f"\n{f'Spearman with ARI, {title}':44}  mean   lowest")
    for name, value in SCORES.items():
        found = [spearmanr([value(row) for row, _ in board], [a for _, a in board])[0] for board, _ in boards.values()]
        print(f"{name:44} {np.mean(found):5.2f} {np.min(found):8.2f}")


if __name__ == "__main__":
    main()
