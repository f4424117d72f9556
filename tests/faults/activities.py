"""What is killed: one class for each activity, run on a copy of one prepared workspace.

`run` does the activity, or goes on with it, and tells what it has been promised: a committed batch, a label event, a
checkpoint. `kept` returns what is there of that after a kill, to be compared with what was told. `outcome` returns what
an undisturbed run leaves; a run that was killed and went on must leave the same.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, PngImagePlugin

from engine.core.workspace import Workspace
from engine.images.datasets import add_folder, find_dataset, list_datasets
from engine.images.scan import scan
from engine.images.tables import files_of, load_images
from engine.labels.events import LabelHistory
from engine.runs.rows import align, embed_dataset, load_rows, rows_of_run
from engine.runs.run import list_runs, open_run

Tell = Callable[[int], None]
COUNT = 48


def mark(*parts: Any) -> str:
    """Return a hash of arrays, bytes and plain values."""
    digest = hashlib.blake2b(digest_size=12)
    for part in parts:
        digest.update(np.ascontiguousarray(part).tobytes() if isinstance(part, np.ndarray) else repr(part).encode())
    return digest.hexdigest()


def pictures(folder: Path, seed: int) -> None:
    """Write noisy pictures in three colours."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    for number in range(COUNT):
        pixels = rng.integers(0, 60, (40, 40, 3), dtype=np.uint8)
        pixels[..., number % 3] += 180
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")


def prepare(place: Path) -> None:
    """Make the workspace that every round begins with: one data set with a run and labels, others for each activity."""
    workspace = Workspace.open(place / "workspace")
    for seed, name in enumerate(("worked", "unscanned", "scanned", "carried")):
        pictures(place / name, seed)
    for name in ("worked", "scanned", "carried"):
        scan(workspace, add_folder(workspace, place / name).id)
    add_folder(workspace, place / "unscanned")
    dataset = of(workspace, "worked")
    from engine.embeddings.encoders.registry import find_encoder
    from engine.jobs.tasks.clustering import ClusterRequest, cluster_images

    rows = embed_dataset(workspace, dataset, "descriptor", find_encoder("descriptor").settings_class())
    request = ClusterRequest(
        dataset=dataset, config_key=rows.embedding.config_key, settings={"n_clusters": 3}, judge=False
    )
    run = cluster_images(workspace, request)
    history = LabelHistory(workspace, dataset)
    history.rename(history.state(rows.contents, run.assignments, run=run.folder.name), 0, "first")
    carried = LabelHistory(workspace, of(workspace, "carried"))
    contents = load_images(workspace, carried.dataset).contents
    state = carried.state(contents, np.full(len(contents), -1, np.int32), run="")
    carried.label(state, np.arange(COUNT), [f"label {number % 5}" for number in range(COUNT)])
    for number in range(30):  # other programs write captions and rename: new bytes, the same pixels
        path = place / "carried" / f"{number:03d}.png"
        with Image.open(path) as image:
            caption = PngImagePlugin.PngInfo()
            caption.add_text("caption", f"number {number}")
            image.load()
            image.save(path, pnginfo=caption)
        if number < 10:
            path.rename(path.with_name(f"moved {number:03d}.png"))
    labels = "\n".join(f"{number:03d}.png,kind {number % 4}" for number in range(COUNT))
    (place / "labels.csv").write_text(f"file,label\n{labels}\n")


def of(workspace: Workspace, name: str) -> str:
    """Return the id of a data set."""
    return next(dataset.id for dataset in list_datasets(workspace) if dataset.name == name)


class Listener:
    """A progress that hands on how far a phase is."""

    def __init__(self, told: Callable[[float, str], None] | None = None) -> None:
        self.told = told

    def update(self, done: float, total: float, *, phase: str = "", unit: str = "", **metrics: float) -> None:
        if self.told is not None:
            self.told(done, phase)

    def say(self, sentence: str) -> None: ...

    def snapshot(self, labels: Any) -> None: ...

    def stop_requested(self) -> bool:
        return False


class Activity:
    """Something that is done in the workspace at `place`."""

    whole_group = True  # a kill ends what the activity itself started, too

    def __init__(self, place: Path) -> None:
        self.place = place
        self.workspace = Workspace.open(place / "workspace")

    def run(self, tell: Tell) -> None:
        raise NotImplementedError

    def kept(self) -> int:
        raise NotImplementedError

    def outcome(self) -> Any:
        raise NotImplementedError


class Scan(Activity):
    name = "unscanned"

    def run(self, tell: Tell) -> None:
        from engine.images import scan as module

        module.BATCH = module.HANDFUL = 4
        commit, done = module._commit, self.kept()

        def told(workspace: Workspace, dataset: Any, batch: Any, store: Any) -> int:
            nonlocal done
            changed = commit(workspace, dataset, batch, store)
            done += len(batch)
            tell(done)
            return changed

        module._commit = told
        scan(self.workspace, of(self.workspace, self.name))

    def kept(self) -> int:
        from engine.images.thumbnails import ThumbnailStore

        files = files_of(self.workspace, of(self.workspace, self.name))
        contents = [file.content for file in files]
        assert None not in contents
        assert ThumbnailStore(self.workspace.thumbnails).known(contents) == set(contents), "a row without its thumbnail"
        return len(files)

    def outcome(self) -> Any:
        dataset = find_dataset(self.workspace, of(self.workspace, self.name))
        files = files_of(self.workspace, dataset.id)
        return [
            dataset.scanned is not None,
            sorted((str(file.path), file.content.hex(), file.width, file.height) for file in files),
        ]


class Embed(Activity):
    def request(self) -> Any:
        from engine.jobs.tasks.data import EmbedRequest

        return EmbedRequest(dataset=of(self.workspace, "scanned"), encoder="descriptor")

    def run(self, tell: Tell) -> None:
        from engine.embeddings import writing
        from engine.embeddings.encoders.descriptor import Descriptor
        from engine.embeddings.store import EmbeddingStore
        from engine.jobs.tasks.data import embed_images

        writing.COMMIT_SECONDS, Descriptor.batch_size = -1.0, 4
        append = EmbeddingStore.append

        def told(store: EmbeddingStore, keys: Any, vectors: Any) -> int:
            fresh = append(store, keys, vectors)
            tell(self.kept())
            return fresh

        EmbeddingStore.append = told  # type: ignore[method-assign]
        embed_images(self.workspace, self.request())

    def stores(self) -> list[Any]:
        from engine.embeddings.configurations import stores

        found = list(stores(self.workspace))
        assert not [sentence for store in found for sentence in store.damaged]
        return found

    def kept(self) -> int:
        contents = load_images(self.workspace, of(self.workspace, "scanned")).contents
        return sum(int(store.holds(contents).sum()) for store in self.stores())

    def outcome(self) -> Any:
        from engine.runs.rows import graph_of

        (store,) = self.stores()
        rows = load_rows(self.workspace, of(self.workspace, "scanned"), store.folder.name)
        graph = graph_of(self.workspace, rows)
        return [len(rows), mark(rows.vectors), mark(np.asarray(graph.indices))]


class Sweep(Activity):
    whole_group = False  # the driver alone dies; its worker has to notice

    @property
    def folder(self) -> Path:
        return self.workspace.library / "sweeps" / "killed"

    def run(self, tell: Tell) -> None:
        from engine.jobs.tasks.selection import SweepRequest, sweep
        from engine.selection.sweep.settings import SweepSettings

        settings = SweepSettings(
            algorithms=["kmeans"],
            max_combinations=4,
            stability=False,
            target_cluster_size=10,
            n_jobs=1,
        )
        run = list_runs(self.workspace)[0]
        key = run.config["embedding"]["config_key"]
        request = SweepRequest(dataset=run.dataset, config_key=key, settings=settings, folder=str(self.folder))
        told = lambda done, phase: tell(int(done)) if phase == "candidates" else None  # noqa: E731
        sweep(self.workspace, request, Listener(told))

    def kept(self) -> int:
        if (self.folder / "clustering_summary.json").exists():
            return 10**6
        candidates = self.folder / "work" / "candidates"
        found = 0
        for path in candidates.glob("*.json") if candidates.is_dir() else ():
            json.loads(path.read_text())
            found += path.with_suffix(".npy").exists()
        return found

    def outcome(self) -> Any:
        from engine.selection.sweep.report import load_sweep

        board = load_sweep(self.folder)
        return [(row.title, row.n_clusters, mark(board.labels(row))) for row in board.ranked]


class Train(Activity):
    @property
    def folder(self) -> Path:
        return self.workspace.runs / "temi_killed"

    def run(self, tell: Tell) -> None:
        from engine.clustering.deep import trainer
        from engine.jobs.tasks.clustering import ClusterRequest, cluster_images
        from engine.runs import fit

        fit.references = lambda *_, **__: {"kmeans": {}}  # UMAP would be compiled anew in each process
        trainer.SAVE_SECONDS = 0.0  # a checkpoint after each step
        save = trainer.save_checkpoint

        def told(*arguments: Any, **more: Any) -> Path:
            path = save(*arguments, **more)
            tell(self.steps(path))
            return path

        trainer.save_checkpoint = told
        run = next(run for run in list_runs(self.workspace) if run.method == "kmeans")
        small = {"n_heads": 2, "hidden_dim": 16, "bottleneck_dim": 8, "batch_size": 16, "n_neighbors": 5}
        settings = {
            "n_clusters": 3,
            "n_epochs": 5,
            "min_steps": 1,
            "warmup_epochs": 1,
            "device": "cpu",
            "warm_start": "none",
        } | small
        request = ClusterRequest(
            dataset=run.dataset,
            config_key=run.config["embedding"]["config_key"],
            method="temi",
            settings=settings,
            folder=str(self.folder),
            judge=False,
        )
        self.folder.mkdir(exist_ok=True)
        cluster_images(self.workspace, request)

    @staticmethod
    def steps(path: Path) -> int:
        from engine.clustering.deep.checkpoints import load_tensors

        return int(load_tensors(path)["step"])

    def kept(self) -> int:
        from engine.clustering.deep.checkpoints import list_checkpoints

        if (self.folder / "results.json").exists():
            open_run(self.folder).contents  # noqa: B018
            return 10**6
        found = [path for _, path in list_checkpoints(self.folder / "checkpoints")]
        return self.steps(found[0]) if found else 0

    def outcome(self) -> Any:
        run = open_run(self.folder)
        return [mark(run.assignments), mark(run.predictions["confidence"])]


class Label(Activity):
    steps = 60

    def run(self, tell: Tell) -> None:
        run = list_runs(self.workspace)[0]
        rows = rows_of_run(self.workspace, run)
        base, _ = align(run, rows)
        history = LabelHistory(self.workspace, rows.dataset.id)
        for step in range(len(history.events()), self.steps):
            state = history.state(rows.contents, base, run=run.folder.name)
            chosen = np.random.default_rng(step).choice(len(rows), 5, replace=False)
            if step % 7 == 3:
                history.undo()
            elif step % 7 == 4:
                history.redo()
            elif step % 2:
                history.label(state, chosen, f"label {step}")
            else:
                history.rename(state, step % 3, f"name {step}")
            tell(step + 1)

    def events(self) -> Any:
        return LabelHistory(self.workspace, of(self.workspace, "worked")).events()

    def kept(self) -> int:
        return len(self.events())

    def outcome(self) -> Any:
        run = list_runs(self.workspace)[0]
        rows = rows_of_run(self.workspace, run)
        base, _ = align(run, rows)
        state = LabelHistory(self.workspace, rows.dataset.id).state(rows.contents, base, run=run.folder.name)
        events = [(event.kind, event.sentence, mark(event.blob), event.effective) for event in self.events()]
        return [events, list(state.labels)]


class Export(Activity):
    @property
    def out(self) -> Path:
        return self.place / "out"

    def run(self, tell: Tell) -> None:
        from engine.export.folders import MANIFEST, undo_export
        from engine.jobs.tasks.results import ExportRequest, export_run

        run = str(list_runs(self.workspace)[0].folder)
        table = ExportRequest.parse({"run": run, "settings": {"format": "csv"}, "target": str(self.place / "all.csv")})
        export_run(self.workspace, table)
        tell(1)
        if (self.out / MANIFEST).exists():
            undo_export(self.out)
        folders = {"format": "folders", "classes": "cluster"}
        export_run(self.workspace, ExportRequest.parse({"run": run, "settings": folders, "target": str(self.out)}))
        tell(2)

    def kept(self) -> int:
        table = self.place / "all.csv"
        if not table.exists():
            return 0
        assert len(table.read_bytes().splitlines()) == COUNT + 1, "a table that is cut short"
        known = {path.read_bytes() for path in (self.place / "worked").iterdir()}
        for path in self.out.rglob("*.png"):
            assert path.name.startswith(".") or path.read_bytes() in known, "an image that is cut short"
        return 2 if (self.out / "README.txt").exists() else 1

    def outcome(self) -> Any:
        files = sorted(path for path in self.out.rglob("*") if path.is_file() and path.suffix != ".jsonl")
        found = [(str(path.relative_to(self.out)), mark(path.read_bytes())) for path in files]
        return [found, mark((self.place / "all.csv").read_bytes())]


class Import(Activity):
    def run(self, tell: Tell) -> None:
        from engine.jobs.tasks.imports import ImportLabelsRequest, import_labels

        if not self.kept():
            file = str(self.place / "labels.csv")
            import_labels(self.workspace, ImportLabelsRequest(dataset=of(self.workspace, "worked"), labels=file))
        tell(1)

    def kept(self) -> int:
        events = LabelHistory(self.workspace, of(self.workspace, "worked")).events()
        return sum(event.kind == "import" for event in events)

    def outcome(self) -> Any:
        images = load_images(self.workspace, of(self.workspace, "worked"))
        history = LabelHistory(self.workspace, of(self.workspace, "worked"))
        state = history.state(images.contents, np.full(len(images), -1, np.int32), run="")
        return [self.kept(), list(state.labels)]


class Carry(Activity):
    """A scan that finds pictures again whose files were written anew or moved by other programs."""

    def run(self, tell: Tell) -> None:
        from engine.images import scan as module

        module.BATCH = module.HANDFUL = 4
        scan(self.workspace, of(self.workspace, "carried"))
        tell(1)

    def kept(self) -> int:
        events = LabelHistory(self.workspace, of(self.workspace, "carried")).events()
        assert [event.kind for event in events][:1] == ["label"], "the labels' own event is gone"
        return sum(event.kind == "carry" for event in events)

    def outcome(self) -> Any:
        images = load_images(self.workspace, of(self.workspace, "carried"))
        history = LabelHistory(self.workspace, of(self.workspace, "carried"))
        state = history.state(images.contents, np.full(len(images), -1, np.int32), run="")
        return sorted(zip((str(path) for path in images.paths), map(str, state.labels), strict=True))


class Restore(Activity):
    """A restore into an empty workspace, from a backup that is written first."""

    def run(self, tell: Tell) -> None:
        from engine.jobs.tasks.upkeep import BackupRequest, RestoreRequest, back_up, restore_library

        file = self.place / "backup.zip"
        if not file.exists():
            back_up(self.workspace, BackupRequest(file=str(file)))
        tell(1)
        if self.kept() < 2:
            restore_library(Workspace.open(self.place / "restored"), RestoreRequest(file=str(file)))
        tell(2)

    def kept(self) -> int:
        from engine.jobs.tasks.upkeep import DoctorRequest, check_workspace

        if not (self.place / "backup.zip").exists():
            return 0
        restored = Workspace.open(self.place / "restored")
        found = check_workspace(restored, DoctorRequest())
        assert not found.library.findings
        return 2 if found.library.datasets == 4 else 1

    def outcome(self) -> Any:
        restored = self.place / "restored"
        shutil.rmtree(restored / "cache")
        names = (path for path in (restored / "library").rglob("*") if path.is_file())
        return sorted(str(path.relative_to(restored)) for path in names if not path.name.startswith("catalog.sqlite-"))


class Careless(Activity):
    """What must be found: it tells before it has written, and writes a file under its own name bit by bit."""

    @property
    def path(self) -> Path:
        return self.workspace.library / "careless.json"

    def run(self, tell: Tell) -> None:
        for number in range(1, 40):
            tell(number)
            with self.path.open("w") as file:
                for part in json.dumps({"number": number}):
                    file.write(part)
                    file.flush()
                    time.sleep(0.001)

    def kept(self) -> int:
        try:
            return int(json.loads(self.path.read_text())["number"])
        except (ValueError, OSError):
            return 0

    def outcome(self) -> Any:
        return self.path.read_text()


ACTIVITIES: dict[str, type[Activity]] = {
    "scan": Scan,
    "embed": Embed,
    "sweep": Sweep,
    "train": Train,
    "label": Label,
    "export": Export,
    "import": Import,
    "carry-over": Carry,
    "restore": Restore,
    "careless": Careless,
}
