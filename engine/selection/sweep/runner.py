"""The sweep: cluster with many methods and settings, rank what they find, keep the best.

Flows in: embeddings and their graph. Flows out: a folder with a leaderboard, the labels of each rank and the reason
of each candidate that is not ranked. Candidates run in worker processes. Each finished one is on disk at once, so a
sweep that was stopped continues where it was.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.clustering.registry import find_method
from engine.core.device import accelerator
from engine.core.errors import InputError, StorageError
from engine.core.files import load_array, read_json, write_json
from engine.core.progress import SILENT, Progress
from engine.core.vectors import blocks, check_embeddings
from engine.evaluation.mixed import two_kinds
from engine.geometry.neighbors import NeighborGraph
from engine.selection.sweep.data import ALL, HALVES, SAMPLE, SweepData
from engine.selection.sweep.grid import Candidate, candidates, in_turn
from engine.selection.sweep.places import division, worker_count
from engine.selection.sweep.pool import Limits, Pool, PoolTask, TaskResult
from engine.selection.sweep.ranking import (
    LeaderboardRow,
    State,
    agreement_of,
    around_target,
    final_order,
    first_order,
    is_overlarge,
    leaderboard_row,
    rival_number,
    without_repeats,
)
from engine.selection.sweep.report import SweepResult, write_report
from engine.selection.sweep.settings import SweepSettings
from engine.selection.sweep.together import all_together, concord, reasons

WORKER = "engine.selection.sweep.worker"
REDUCTION_SECONDS = 3600.0
WEIGHED = 12  # so many of the most promising are tried on subsamples, however few are kept
TRIED_SHARE = 0.7  # of the budget may go to trying candidates; the rest is for weighing the best
NO_TRAINING = "The fast mode has no time to train a network; the balanced mode tries it."
NO_TIME = "The time that was given was over before its turn."


class Sweep:
    """The sweep.

    Parameters
    ----------
    settings : SweepSettings, optional

    Attributes
    ----------
    peak_mb, peak_mb_above_imports : float
        Most memory that the workers of the last run had, see `Pool`.
    """

    def __init__(self, settings: SweepSettings | None = None) -> None:
        self.settings = settings or SweepSettings()
        self.peak_mb = self.peak_mb_above_imports = 0.0

    def run(
        self,
        embeddings: NDArray[Any],
        *,
        output_dir: Path,
        graph: NeighborGraph | None = None,
        paths: Sequence[Any] | None = None,
        ids: Sequence[Any] | None = None,
        progress: Progress = SILENT,
        validation_pairs: NDArray[np.integer[Any]] | Sequence[tuple[int, int]] | None = None,
        target: Sequence[int] | int | None = None,
        source: dict[str, Any] | None = None,
    ) -> SweepResult:
        """Try, score, rank and write.

        Parameters
        ----------
        embeddings : (n, d) float32
            At least 10 rows; need not be unit length.
        output_dir : Path
            Gets rank_01_<algorithm>/ ..., clustering_summary.json, all_results.parquet and work/, where
            finished candidates are kept: the same sweep started again does only what is missing.
        graph : NeighborGraph, optional
            The shared graph; built when absent.
        paths, ids : sequence, optional
            What the rows are, for assignments.csv: paths first, else ids, else row numbers.
        validation_pairs : (m, 2) int, optional
            Rows that belong together.
        target : int or sequence of int, optional
            Rows whose cluster is reported for each rank.
        source : dict, optional
            What the summary says of where the embeddings are from.

        Raises
        ------
        InputError
            Fewer than 10 images, NaN, all identical, no GPU in mode gpu, names or pairs that do not fit.
        """
        settings, folder = self.settings, Path(output_dir)
        began = time.perf_counter()
        names = paths if paths is not None else ids
        pairs, targets = _check(embeddings, names, validation_pairs, target, settings)
        array = check_embeddings(embeddings)
        runner = CandidateRunner(folder / "work", array, graph, settings, progress)
        try:
            rows = runner.run_all(pairs)
            rows = without_repeats(rows)
            ranked = first_order(rows, settings.ranking, settings.max_largest_share)
            if settings.stability and not runner.stopped:
                ranked = runner.with_stability(ranked, max(WEIGHED, settings.top_results))
        finally:
            self.peak_mb, self.peak_mb_above_imports = runner.peak_mb, runner.peak_mb_above_imports
        ranked = _in_order(ranked, settings)
        top = settings.top_results
        ranked = [replace(row, agreement=agreement_of(row, ranked)) for row in ranked[:top]] + ranked[top:]
        if not runner.stopped and (one := all_together(runner.data, ranked, settings, pairs)) is not None:
            rows.append(one)
            if one.state == "ranked":
                ranked = _in_order([*ranked, one], settings)
        agreeing = concord(ranked)
        ranked = [replace(row, two_kinds=_two_kinds(array, row)) for row in ranked[:top]] + ranked[top:]
        ranked = [
            replace(row, target=around_target(array, load_array(row.labels, mapped=False), targets, names=names))
            if targets and row.rank <= settings.top_results and row.labels
            else row
            for row in ranked
        ]
        about = {
            "mode": settings.tried,
            "n_images": len(array),
            "dimension": array.shape[1],
            "candidates": len(rows),
            "stopped": runner.stopped,
            "seconds": time.perf_counter() - began,
            "settings": settings.model_dump(mode="json"),
            "validation_pairs": len(pairs),
            "source": source or {},
            "verdict": ranked[0].verdict.as_dict() if ranked and ranked[0].verdict else None,
            "other_number": rival_number(ranked),
            "left_out_for_time": sum(row.reason == NO_TIME for row in rows),
            "agreeing": None if agreeing is None else agreeing.as_dict(),
            "why": list(reasons(ranked[0], agreeing)) if ranked else [],
        }
        others = [row for row in rows if row.state != "ranked"]
        result = write_report(folder, [*ranked, *others], about, names, settings.top_results)
        runner.clean()
        return result


def _in_order(rows: Sequence[LeaderboardRow], settings: SweepSettings) -> list[LeaderboardRow]:
    """Return ranked rows in the order that the settings ask for, numbered."""
    return final_order(rows, settings.ranking, near_tie=settings.near_tie, max_largest_share=settings.max_largest_share)


class CandidateRunner:
    """Runs candidates in worker processes and keeps their results in the working folder of one sweep.

    Attributes
    ----------
    stopped : bool
        The person asked to stop before everything had run.
    late : bool
        The time that was given was over before everything had run.
    peak_mb, peak_mb_above_imports : float
        See `Pool`.
    """

    def __init__(
        self,
        folder: Path,
        array: NDArray[np.float32],
        graph: NeighborGraph | None,
        settings: SweepSettings,
        progress: Progress,
    ) -> None:
        self.folder, self.settings, self.progress = folder, settings, progress
        (folder / "candidates").mkdir(parents=True, exist_ok=True)
        self.count = len(array)
        self.data = SweepData(
            folder,
            array,
            graph,
            sample=settings.halving_sample,
            random_state=settings.random_state,
            device="cpu" if settings.no_gpu else "auto",
            progress=progress,
        )
        self.stopped, self.late, self.peak_mb, self.peak_mb_above_imports = False, False, 0.0, 0.0
        self.began = time.monotonic()
        self.best: tuple[bool, float] | None = None
        self.gpu = None if settings.no_gpu else accelerator()
        self.workers = worker_count(settings, self.gpu)
        if self.gpu is not None:
            progress.say(division(settings, self.workers, self.gpu))
        self.limits = Limits(settings.time_limit, settings.memory_limit_mb)

    # ------------------------------------------------------------------------------------ candidates

    def run_all(self, pairs: NDArray[np.int64]) -> list[LeaderboardRow]:
        """Run every candidate; above `halving_above` images on a sample first, then the best quarter on all."""
        settings = self.settings
        training = [name for name in settings.algorithms if find_method(name).kind == "deep"]
        without_time = training if settings.tried == "fast" else []
        left_out = [
            LeaderboardRow(candidate.algorithm, dict(candidate.parameters), state="left out", reason=NO_TRAINING)
            for candidate in self._grid(without_time, limit=None)
        ]
        others = [name for name in settings.algorithms if name not in without_time]
        grid = self._grid(others, limit=settings.max_combinations)
        halving = self.count > settings.halving_above
        rows = self._run_halving(grid, pairs) if halving else self._run_part(ALL, grid, pairs)
        return rows + left_out

    def _grid(self, algorithms: Sequence[str], *, limit: int | None) -> list[Candidate]:
        settings = self.settings
        return candidates(
            self.count,
            settings.tried,
            wanted=settings.wanted_clusters(self.count),
            lowest=settings.min_clusters,
            highest=settings.max_clusters,
            algorithms=tuple(algorithms),
            limit=limit,
            random_state=settings.random_state,
        )

    def _run_halving(self, grid: list[Candidate], pairs: NDArray[np.int64]) -> list[LeaderboardRow]:
        """Run every candidate on a sample, then the best quarter on all images."""
        settings, count = self.settings, self.count
        size = self.data.sample
        self.progress.say(f"All {len(grid)} candidates run on {size:,} images; the best quarter then on all {count:,}.")
        small = {candidate.scaled(size / count): candidate for candidate in grid}
        tried = self._run_part(SAMPLE, list(small), None)
        best = first_order(tried, settings.ranking, settings.max_largest_share)[: max(1, -(-len(small) // 4))]
        whole = [small[Candidate.of(row.algorithm, **row.parameters)] for row in best]
        rows = self._run_part(ALL, whole, pairs) if not self.stopped else []
        done = {(row.algorithm, str(row.parameters)) for row in best}
        reason = f"It was not among the best quarter on a sample of {size:,} images."
        others = [row for row in tried if (row.algorithm, str(row.parameters)) not in done]
        return rows + [replace(row, state="halved", reason=reason) if row.state == "ranked" else row for row in others]

    def _run_part(self, part: str, grid: list[Candidate], pairs: NDArray[np.int64] | None) -> list[LeaderboardRow]:
        """Run on one part of the data what is not on disk yet; return one row for each candidate, in their order."""
        keys = {
            candidate: candidate.key(self.data.key, part, self.settings.shuffles, self.settings.halving_sample)
            for candidate in grid
        }
        missing = [candidate for candidate in grid if not self._is_finished(keys[candidate])]
        done = len(grid) - len(missing)
        if done:
            self.progress.say(f"{done} of {len(grid)} candidates were finished earlier.")
        if missing:
            self.data.prepare(part)
            turns = [self._candidate_tasks(part, candidate, keys[candidate]) for candidate in in_turn(missing)]
            later = [task for turn in turns[1:] for task in turn]
            tasks = turns[0] + self._reduction_tasks(part, missing) + later  # one is shown before UMAP is through
            known = {keys[candidate]: candidate for candidate in missing}
            for result in self._run(tasks, TRIED_SHARE if part == ALL else TRIED_SHARE / 2):
                if not _ends_candidate(result.task):
                    continue
                done += 1
                if result.reason:
                    self._keep_failure(result)
                elif part == ALL:
                    self._show(self._row(known[result.task.name], result.task.name, pairs))
                self.progress.update(done, len(grid), phase="candidates", unit="candidates")
        rows = [self._row(candidate, keys[candidate], pairs) for candidate in grid]
        if self.late:
            rows = [
                row or LeaderboardRow(candidate.algorithm, dict(candidate.parameters), state="left out", reason=NO_TIME)
                for candidate, row in zip(grid, rows, strict=True)
            ]
        return [row for row in rows if row is not None]

    def _show(self, row: LeaderboardRow | None) -> None:
        """Say and show a candidate that is better than all before it."""
        if row is None or row.state != "ranked" or row.labels is None:
            return
        worth = row.worth(self.settings.ranking)
        place = is_overlarge(row, self.settings.max_largest_share), -worth
        if self.best is None or place < self.best:
            self.best = place
            seconds = time.monotonic() - self.began
            self.progress.say(
                f"Best so far, after {seconds:,.0f} s: {row.title}, {row.n_clusters:,} clusters, score {worth:.2f}."
            )
            self.progress.snapshot(load_array(row.labels, mapped=False))

    def _is_finished(self, key: str) -> bool:
        """Whether a candidate has its scores, or failed under limits as wide as today's."""
        path = self.folder / "candidates" / key
        try:
            kept = read_json(path.with_suffix(".json"))
        except StorageError:
            return False
        if "reason" in kept:
            memory = self.limits.memory_mb
            return bool(
                kept["seconds_limit"] >= self.limits.seconds
                and (kept["memory_limit"] is None or (memory is not None and kept["memory_limit"] >= memory))
            )
        return "neighbors" in kept and path.with_suffix(".npy").exists()

    def _keep_failure(self, result: TaskResult) -> None:
        content = result.task.content
        left_out = bool(result.answer and result.answer.get("left_out"))
        self.progress.say(f"{content['algorithm']} {'was left out' if left_out else 'failed'}: {result.reason}")
        write_json(
            self.folder / "candidates" / f"{content['key']}.json",
            {
                "algorithm": content["algorithm"],
                "parameters": content["parameters"],
                "reason": result.reason,
                "left_out": left_out,
                "seconds": result.seconds,
                "seconds_limit": result.answer["limit"] if left_out and result.answer else self.limits.seconds,
                "memory_limit": self.limits.memory_mb,
            },
        )

    def _row(self, candidate: Candidate, key: str, pairs: NDArray[np.int64] | None) -> LeaderboardRow | None:
        """Return the row of a candidate; None where it has not run."""
        path = self.folder / "candidates" / f"{key}.json"
        if not path.exists():
            return None
        kept = read_json(path)
        if "reason" in kept:
            state: State = "left out" if kept.get("left_out") else "failed"
            parameters = dict(candidate.parameters)
            return LeaderboardRow(
                candidate.algorithm, parameters, state=state, reason=kept["reason"], seconds=kept["seconds"]
            )
        return leaderboard_row(kept, path.with_suffix(".npy"), self.settings, pairs)

    def _candidate_tasks(self, part: str, candidate: Candidate, key: str) -> list[PoolTask]:
        """Return the task of one candidate, two where the owner of the GPU clusters and another worker scores."""
        content = {
            "kind": "candidate",
            "part": part,
            "key": key,
            "algorithm": candidate.algorithm,
            "parameters": dict(candidate.parameters),
            "shuffles": self.settings.shuffles,
            "seconds": self.limits.seconds,
            "until": None if (left := self._left(TRIED_SHARE)) == math.inf else time.time() + left,
        }
        after = (_reduction_name(part, candidate),) if _needs_reduction(candidate) else ()
        if self.gpu is None or not find_method(candidate.algorithm).on_gpu:
            return [PoolTask(key, content, self.limits, after)]
        fit = PoolTask(f"{key}-fit", content | {"kind": "fit"}, self.limits, after, gpu=True)
        if (self.folder / "candidates" / f"{key}-fit.json").exists():
            return [PoolTask(key, content | {"kind": "score"}, self.limits)]
        return [fit, PoolTask(key, content | {"kind": "score"}, self.limits, (fit.name,))]

    def _reduction_tasks(self, part: str, grid: list[Candidate]) -> list[PoolTask]:
        """Return a task for each reduced space that candidates wait for."""
        limits = Limits(max(REDUCTION_SECONDS, self.limits.seconds), self.limits.memory_mb)
        contents = {
            _reduction_name(part, candidate): {
                "kind": "reduction",
                "part": part,
                "how": candidate.reduce,
                "random_state": _seed(candidate),
            }
            for candidate in grid
            if _needs_reduction(candidate)
        }
        return [PoolTask(name, content, limits) for name, content in contents.items()]

    def _left(self, share: float) -> float:
        """Return the seconds that are left of a share of the budget; infinity where there is no budget."""
        seconds = self.settings.seconds
        return math.inf if seconds is None else share * seconds - (time.monotonic() - self.began)

    def _run(self, tasks: list[PoolTask], share: float) -> Iterator[TaskResult]:
        """Run tasks until all are done, the person stops or a share of the budget is over; yield results as they come.

        Whatever the budget, one candidate is waited for.
        """
        done, waiting = 0, any(_ends_candidate(task) for task in tasks)

        def stop() -> bool:
            return self.progress.stop_requested() or (not waiting and self._left(share) <= 0)

        with Pool(self.folder, self.workers, module=WORKER, gpu_owner=self.gpu is not None) as pool:
            for result in pool.run(tasks, stop=stop):
                done += 1
                waiting = waiting and (not _ends_candidate(result.task) or bool(result.reason))
                yield result
            self.peak_mb = max(self.peak_mb, pool.peak_mb)
            self.peak_mb_above_imports = max(self.peak_mb_above_imports, pool.peak_mb_above_imports)
        if done < len(tasks):
            self.late = self.late or not self.progress.stop_requested()
            self.stopped = self.stopped or self.progress.stop_requested()

    # ------------------------------------------------------------------------------------- stability

    def with_stability(self, ranked: list[LeaderboardRow], top: int) -> list[LeaderboardRow]:
        """Return the rows with the stability of the first `top` filled in, from disk where it is known.

        Each subsample gets a reduced space of its own, so that the whole way from embeddings to clusters is tested.
        """
        first = ranked[:top]
        grid = [Candidate.of(row.algorithm, **row.parameters) for row in first]
        paths = [self.folder / "candidates" / f"{self.data.stability_key(one)}.json" for one in grid]
        missing = [number for number, path in enumerate(paths) if not path.exists()]
        if missing:
            self.data.prepare_halves()
            tasks = [task for half in HALVES for task in self._reduction_tasks(half, [grid[i] for i in missing])]
            tasks += [self._stability_task(number, grid[number]) for number in missing]
            for done, result in enumerate(self._run(tasks, 1.0), start=1):
                self.progress.update(done, len(tasks), phase="stability", unit="tasks")
                if result.task.content["kind"] == "stability" and result.answer and not result.reason:
                    write_json(paths[result.task.content["number"]], result.answer)
        measured = [
            replace(row, stability=read_json(path)["stability"]) if path.exists() else row
            for row, path in zip(first, paths, strict=True)
        ]
        return measured + ranked[top:]

    def _stability_task(self, number: int, candidate: Candidate) -> PoolTask:
        content = {
            "kind": "stability",
            "algorithm": candidate.algorithm,
            "halves": list(HALVES),
            "parameters": dict(candidate.scaled(self.data.stability_ratio).parameters),
            "number": number,
            "key": self.data.stability_key(candidate),
        }
        after = tuple(_reduction_name(half, candidate) for half in HALVES) if _needs_reduction(candidate) else ()
        return PoolTask(str(number), content, self.limits, after, gpu=find_method(candidate.algorithm).on_gpu)

    def clean(self) -> None:
        """Delete what can be made again, unless the sweep was stopped and will need it; finished candidates stay."""
        if not self.stopped:
            self.data.clean()
        for log in self.folder.glob("worker-*.log"):
            log.unlink()


def _ends_candidate(task: PoolTask) -> bool:
    """Whether a candidate is finished when the task is."""
    return task.content["kind"] in ("candidate", "score")


def _needs_reduction(candidate: Candidate) -> bool:
    """Whether the candidate works in a space that is worth making once for all candidates."""
    return candidate.reduce.startswith("umap")


def _seed(candidate: Candidate) -> int:
    return int(candidate.settings.model_dump().get("random_state", 0))


def _two_kinds(array: NDArray[np.float32], row: LeaderboardRow) -> tuple[int, ...]:
    return tuple(two_kinds(array, load_array(row.labels, mapped=False))) if row.labels else ()


def _reduction_name(part: str, candidate: Candidate) -> str:
    return f"{part}-{candidate.reduce}-{_seed(candidate)}"


def _check(
    embeddings: NDArray[Any],
    names: Sequence[Any] | None,
    pairs: Any,  # noqa: ANN401 - anything that NumPy reads as pairs
    target: Sequence[int] | int | None,
    settings: SweepSettings,
) -> tuple[NDArray[np.int64], list[int]]:
    """Return pairs as (m, 2) and targets as a list, refusing what does not fit."""
    count = len(embeddings)
    if count < 10:
        raise InputError(f"A sweep needs at least 10 images; there are {count}.", "Add more images.")
    if names is not None and len(names) != count:
        raise InputError(f"{len(names):,} paths or ids were given for {count:,} embeddings.")
    if settings.tried == "gpu" and (settings.no_gpu or accelerator() is None):
        raise InputError(
            "There is no GPU here that the sweep can use.",
            "Choose the balanced mode: the same candidates on the processor.",
        )
    rows = np.asarray([] if pairs is None else pairs, dtype=np.int64).reshape(-1, 2)
    targets = [] if target is None else [int(row) for row in np.atleast_1d(np.asarray(target))]
    for row in [*rows.ravel().tolist(), *targets]:
        if not 0 <= row < count:
            raise InputError(f"A validation pair or target names row {row}, which does not exist.")
    array = np.asarray(embeddings)
    if all((array[block] == array[0]).all() for block in blocks(count)):
        raise InputError(
            f"All {count:,} embeddings are identical, so there is nothing to tell apart.",
            "Check the images and the encoder.",
        )
    return rows, targets
