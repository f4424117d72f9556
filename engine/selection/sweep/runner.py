"""The working folder of one sweep: data that workers map, candidates that are finished, what is still to do.

Flows in: embeddings, graph and settings. Flows out: leaderboard rows without ranks, and stabilities.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engine.core.device import threads
from engine.core.errors import InputError, StorageError
from engine.core.files import read_json, replace_file, save_array, write_json
from engine.core.progress import Progress
from engine.core.vectors import blocks, unit
from engine.geometry.neighbors import NeighborGraph, build_graph
from engine.geometry.reduce import content_key
from engine.selection.sweep.grid import Candidate, candidates
from engine.selection.sweep.pool import Limits, Outcome, Pool, Task
from engine.selection.sweep.ranking import LeaderboardRow, by_composite, judge

if TYPE_CHECKING:
    from engine.selection.sweep.sweep import SweepSettings

STABILITY_ROWS = 60_000
SPACE_SECONDS = 3600.0
HALVES = ("half-0", "half-1")


class Workbench:
    """The working folder of one sweep and the tasks that run on it."""

    def __init__(
        self,
        folder: Path,
        array: NDArray[np.float32],
        graph: NeighborGraph | None,
        settings: SweepSettings,
        progress: Progress,
    ) -> None:
        if all(np.abs(array[rows] - array[0]).max() == 0 for rows in blocks(len(array))):
            raise InputError(
                f"All {len(array):,} embeddings are identical, so there is nothing to tell apart.",
                "Check the images and the encoder.",
            )
        self.work = folder / "work"
        self.array, self.graph, self.settings, self.progress = array, graph, settings, progress
        (self.work / "candidates").mkdir(parents=True, exist_ok=True)
        self.data_key = content_key(array)
        self.stopped, self.peak_mb, self.peak_mb_above_imports = False, 0.0, 0.0
        workers = 1 if settings.no_parallel else (settings.n_jobs or threads())
        self.workers = 1 if settings.mode == "gpu" else workers
        self.limits = Limits(settings.time_limit, settings.memory_limit_mb)

    # ------------------------------------------------------------------------------------ candidates

    def try_all(self, pairs: NDArray[np.int64]) -> list[LeaderboardRow]:
        """Run every candidate; above the limit on a sample first, then the best quarter in full."""
        settings, count = self.settings, len(self.array)
        chosen = candidates(
            count,
            settings.mode,
            target_size=settings.target_cluster_size,
            lowest=settings.min_clusters,
            highest=settings.max_clusters,
            algorithms=settings.algorithms,
            limit=settings.max_combinations,
            random_state=settings.random_state,
        )
        if count <= settings.halving_above:
            return self._stage("all", chosen, pairs)
        size = min(settings.halving_sample, count)
        self.progress.say(
            f"All {len(chosen)} candidates run on {size:,} images; the best quarter then on all {count:,}."
        )
        ratio = size / count
        small = {candidate.scaled(ratio): candidate for candidate in chosen}
        tried = self._stage("sample", list(small), None)
        best = by_composite(tried, settings.max_largest_share)[: max(1, -(-len(small) // 4))]
        whole = [small[Candidate.of(row.algorithm, **row.parameters)] for row in best]
        rows = self._stage("all", whole, pairs) if not self.stopped else []
        done = {(row.algorithm, str(row.parameters)) for row in best}
        reason = f"It was not among the best quarter on a sample of {size:,} images."
        others = [row for row in tried if (row.algorithm, str(row.parameters)) not in done]
        return rows + [replace(row, state="halved", reason=reason) if row.state == "ranked" else row for row in others]

    def _stage(self, part: str, chosen: list[Candidate], pairs: NDArray[np.int64] | None) -> list[LeaderboardRow]:
        """Run what is not on disk yet; return one row for each candidate, in their order."""
        keys = {
            candidate: candidate.key(self.data_key, part, self.settings.shuffles, self.settings.halving_sample)
            for candidate in chosen
        }
        missing = [candidate for candidate in chosen if not self._known(keys[candidate])]
        done = len(chosen) - len(missing)
        if done:
            self.progress.say(f"{done} of {len(chosen)} candidates were finished earlier.")
        if missing:
            self._prepare(part)
            tasks = self._spaces(part, missing) + [
                self._task(part, candidate, keys[candidate]) for candidate in missing
            ]
            for outcome in self._run(tasks):
                if outcome.task.content["kind"] != "candidate":
                    continue
                done += 1
                if outcome.reason:
                    self._record_failure(outcome)
                self.progress.update(done, len(chosen), phase="candidates", unit="candidates")
        rows = [self._row(candidate, keys[candidate], pairs) for candidate in chosen]
        return [row for row in rows if row is not None]

    def _known(self, key: str) -> bool:
        """Whether a candidate is finished, or failed under limits as wide as today's."""
        path = self.work / "candidates" / key
        try:
            found = read_json(path.with_suffix(".json"))
        except StorageError:
            return False
        if "reason" in found:
            memory = self.limits.memory_mb
            return bool(
                found["seconds_limit"] >= self.limits.seconds
                and (found["memory_limit"] is None or (memory is not None and found["memory_limit"] >= memory))
            )
        return path.with_suffix(".npy").exists()

    def _record_failure(self, outcome: Outcome) -> None:
        content = outcome.task.content
        self.progress.say(f"{content['algorithm']} failed: {outcome.reason}")
        write_json(
            self.work / "candidates" / f"{content['key']}.json",
            {
                "algorithm": content["algorithm"],
                "parameters": content["parameters"],
                "reason": outcome.reason,
                "seconds": outcome.seconds,
                "seconds_limit": self.limits.seconds,
                "memory_limit": self.limits.memory_mb,
            },
        )

    def _row(self, candidate: Candidate, key: str, pairs: NDArray[np.int64] | None) -> LeaderboardRow | None:
        path = self.work / "candidates" / f"{key}.json"
        if not path.exists():
            return None
        found = read_json(path)
        if "reason" in found:
            return LeaderboardRow(
                candidate.algorithm, dict(candidate.parameters), reason=found["reason"], seconds=found["seconds"]
            )
        return judge(found, path.with_suffix(".npy"), self.settings, pairs)

    def _task(self, part: str, candidate: Candidate, key: str) -> Task:
        content = {
            "kind": "candidate",
            "part": part,
            "key": key,
            "algorithm": candidate.algorithm,
            "parameters": dict(candidate.parameters),
            "shuffles": self.settings.shuffles,
        }
        return Task(key, content, self.limits, (_space_name(part, candidate),) if _is_kept(candidate) else ())

    def _spaces(self, part: str, chosen: list[Candidate]) -> list[Task]:
        """Return a task for each reduced space that candidates wait for."""
        limits = Limits(max(SPACE_SECONDS, self.limits.seconds), self.limits.memory_mb)
        found = {}
        for candidate in filter(_is_kept, chosen):
            content = {"kind": "reduce", "part": part, "how": candidate.reduce, "random_state": _seed(candidate)}
            found[_space_name(part, candidate)] = content
        return [Task(name, content, limits) for name, content in found.items()]

    def _run(self, tasks: list[Task]) -> Iterator[Outcome]:
        """Run tasks to their end, or to where the person stops; outcomes come as they are known."""
        use_gpu = self.settings.mode == "gpu" or not self.settings.no_gpu
        done = 0
        with Pool(self.work, self.workers, use_gpu=use_gpu) as pool:
            for outcome in pool.run(tasks, stop=self.progress.stop_requested):
                done += 1
                yield outcome
            self.peak_mb = max(self.peak_mb, pool.peak_mb)
            self.peak_mb_above_imports = max(self.peak_mb_above_imports, pool.peak_mb_above_imports)
        self.stopped = self.stopped or done < len(tasks)

    # ------------------------------------------------------------------------------------------ data

    def _prepare(self, part: str) -> None:
        """Write unit embeddings and graph of "all" or "sample" where workers map them."""
        folder = self.work / part
        if (folder / "ready").exists() and (folder / "ready").read_text() == self.data_key:
            return
        rows = np.arange(len(self.array)) if part == "all" else self._sample_rows()
        self._write_rows(folder, rows)
        if part == "all" and self.graph is not None:
            graph = self.graph
        else:
            vectors = np.load(folder / "embeddings.npy", mmap_mode="r")
            device = "cpu" if self.settings.no_gpu else "auto"
            graph = build_graph(vectors, device=device, progress=self.progress)
            if part == "all":
                self.graph = graph
        save_array(folder / "indices.npy", graph.indices)
        save_array(folder / "similarities.npy", graph.similarities)
        (folder / "ready").write_text(self.data_key)

    def _write_rows(self, folder: Path, rows: NDArray[np.int64]) -> None:
        """Write the unit rows as one .npy, block by block."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ready").unlink(missing_ok=True)
        header = {"descr": "<f4", "fortran_order": False, "shape": (len(rows), self.array.shape[1])}

        def write(file: Any) -> None:  # noqa: ANN401 - an open file
            np.lib.format.write_array_header_1_0(file, header)
            for part in blocks(len(rows)):
                file.write(unit(self.array[rows[part]]).tobytes())

        replace_file(folder / "embeddings.npy", write)
        save_array(folder / "rows.npy", rows)

    def _sample_rows(self) -> NDArray[np.int64]:
        """Return rows for halving, stratified over coarse k-means clusters: each gives its share."""
        from engine.clustering.kmeans import assign, train_kmeans

        rng = np.random.default_rng(self.settings.random_state)
        count, size = len(self.array), min(self.settings.halving_sample, len(self.array))
        some = unit(self.array[np.sort(rng.choice(count, min(count, 20_000), replace=False))])
        centers = train_kmeans(some, min(64, len(some) // 4), spherical=True, max_iter=5)
        stratum = np.concatenate([assign(unit(self.array[rows]), centers)[0] for rows in blocks(count)])
        order = np.lexsort((rng.random(count), stratum))
        every = np.floor((np.arange(size) + rng.random()) * count / size).astype(np.int64)
        return np.sort(order[np.minimum(every, count - 1)])

    # ------------------------------------------------------------------------------------- stability

    def stabilities(self, ranked: list[LeaderboardRow], top: int) -> list[LeaderboardRow]:
        """Return the rows with the stability of the first `top` filled in, from disk where it is known.

        Each subsample gets a reduced space of its own: what is tested is the whole way.
        """
        first = ranked[:top]
        ratio = 1.0
        if len(self.array) > STABILITY_ROWS:
            ratio = 0.8 * STABILITY_ROWS / len(self.array)
        paths, tasks = {}, []
        chosen = [Candidate.of(row.algorithm, **row.parameters) for row in first]
        for number, candidate in enumerate(chosen):
            paths[number] = self.work / "candidates" / f"{candidate.key(self.data_key, 'stability')}.json"
            if not paths[number].exists():
                content = {
                    "kind": "stability",
                    "algorithm": candidate.algorithm,
                    "halves": list(HALVES),
                    "parameters": dict(candidate.scaled(ratio).parameters),
                    "number": number,
                }
                after = tuple(_space_name(half, candidate) for half in HALVES)
                tasks.append(Task(str(number), content, self.limits, after if _is_kept(candidate) else ()))
        if tasks:
            self._halve()
            needed = [candidate for number, candidate in enumerate(chosen) if not paths[number].exists()]
            spaces = [task for half in HALVES for task in self._spaces(half, needed)]
            for done, outcome in enumerate(self._run(spaces + tasks), start=1):
                self.progress.update(done, len(spaces) + len(tasks), phase="stability", unit="tasks")
                if outcome.task.content["kind"] == "stability" and outcome.answer and not outcome.reason:
                    write_json(paths[outcome.task.content["number"]], outcome.answer)
        for number, path in paths.items():
            if path.exists():
                first[number] = replace(first[number], stability=read_json(path)["stability"])
        return first + ranked[top:]

    def _halve(self) -> None:
        """Write two overlapping 80% subsamples with their part of the graph."""
        rng = np.random.default_rng(self.settings.random_state)
        count = len(self.array)
        base = np.sort(rng.choice(count, min(count, STABILITY_ROWS), replace=False))
        for half in HALVES:
            rows = np.sort(rng.choice(base, round(0.8 * len(base)), replace=False))
            folder = self.work / half
            self._write_rows(folder, rows)
            graph = self.graph
            if graph is None or len(base) < count:
                graph = build_graph(np.load(folder / "embeddings.npy", mmap_mode="r"))
            else:
                graph = graph.subset(rows)
            save_array(folder / "indices.npy", graph.indices)
            save_array(folder / "similarities.npy", graph.similarities)

    def clean(self) -> None:
        """Delete what can be made again: embeddings, graphs and spaces; finished candidates stay."""
        for name in ("all", "sample", *HALVES, "reductions"):
            if not self.stopped:
                shutil.rmtree(self.work / name, ignore_errors=True)
        for log in self.work.glob("worker-*.log"):
            log.unlink()


def _is_kept(candidate: Candidate) -> bool:
    return candidate.reduce.startswith("umap")


def _seed(candidate: Candidate) -> int:
    return int(candidate.settings.model_dump().get("random_state", 0))


def _space_name(part: str, candidate: Candidate) -> str:
    return f"{part}-{candidate.reduce}-{_seed(candidate)}"
