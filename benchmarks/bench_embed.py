"""The embedding pipeline against the bare model and a plain DataLoader, from a folder to vectors, and asking twice.

    python -m benchmarks.bench_embed [--images 256] [--encoder clip|descriptor|photo] [--twice 10000] [--folder 2500]

1. Images per second of `embed` (read, decode, letterbox, normalise, encode, commit) over those of the encoder
   alone on uint8 batches that lie ready in memory, and the same ratio of CPU time, which a busy machine disturbs
   less; beside it a torch DataLoader of two workers, which decodes with Pillow, before the same encoder.
   CLIP ViT-B-32 with random weights; the images are JPEGs of 640 x 480 drawn by a seed. The three take turns, and
   the median ratio counts.
2. Seconds of the second `embed` of 10,000 images, which must embed nothing and open no image.
3. Seconds from a folder of photographs of 0.2 megapixels (540 x 370) to their vectors: scan with thumbnails, embed.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.machine import add_device, chosen, print_machine
from engine.core.device import threads
from engine.core.workspace import Workspace
from engine.embeddings import embed as pipeline
from engine.embeddings.embed import embed
from engine.embeddings.encoders.registry import Encoder, find_encoder
from engine.images.datasets import Dataset, add_folder
from engine.images.decode import decode_square
from engine.images.scan import scan


def draw(folder: Path, count: int, size: tuple[int, int] = (640, 480)) -> None:
    """Write `count` JPEGs with some structure."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    for number in range(count):
        coarse = Image.fromarray(rng.integers(0, 255, (12, 16, 3), dtype=np.uint8)).resize(
            size, Image.Resampling.BICUBIC
        )
        coarse.save(folder / f"{number:06d}.jpg", quality=85)


def added(workspace: Workspace, folder: Path) -> Dataset:
    """Add and scan a folder."""
    dataset = add_folder(workspace, folder)
    scan(workspace, dataset.id, thumbnails=False)
    return dataset


def random_clip(folder: Path) -> str:
    """Save a ViT-B-32 with random weights as a checkpoint file."""
    import open_clip
    import torch

    torch.manual_seed(0)
    torch.save(open_clip.create_model("ViT-B-32", load_weights=False).state_dict(), folder / "random.bin")
    return str(folder / "random.bin")


def bare(encoder: Encoder, images: np.ndarray) -> float:
    """Return images per second of the encoder alone."""
    began = time.perf_counter()
    for start in range(0, len(images), encoder.batch_size):
        encoder.encode(images[start : start + encoder.batch_size])
    return len(images) / (time.perf_counter() - began)


class PillowImages:
    """A torch data set of decoded squares, as a user of torch would write it."""

    def __init__(self, files: list[Path], side: int) -> None:
        self.files, self.side = files, side

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, at: int) -> np.ndarray:
        image = Image.open(self.files[at]).convert("RGB")
        image.thumbnail((self.side, self.side), Image.Resampling.BICUBIC)
        square = Image.new("RGB", (self.side, self.side))
        square.paste(image, ((self.side - image.width) // 2, (self.side - image.height) // 2))
        return np.asarray(square)


def by_loader(encoder: Encoder, files: list[Path]) -> float:
    """Return images per second of the encoder behind a DataLoader of two workers."""
    from torch.utils.data import DataLoader

    began = time.perf_counter()
    loader = DataLoader(PillowImages(files, encoder.side), batch_size=encoder.batch_size, num_workers=2)  # type: ignore[arg-type, var-annotated]
    for batch in loader:
        encoder.encode(batch.numpy())
    return len(files) / (time.perf_counter() - began)


def against_bare(name: str, count: int, rounds: int, scratch: Path, device: str) -> None:
    """Print the ratio of pipeline to bare encoder."""
    workspace = Workspace.open(scratch / "workspace")
    dataset = added(workspace, _drawn(scratch, count))
    entry = find_encoder(name)
    values = {"pretrained": random_clip(scratch)} if name == "clip" else {}
    settings = entry.settings_class.parse(values)
    encoder = entry.build(settings, device=device)
    entry.encoder_class.revision_of(settings)  # the hash of the weights is taken once in a process
    files = sorted((scratch / f"photos-{count}").iterdir())
    images = np.stack([decode_square(path.read_bytes(), encoder.side) for path in files])
    pipeline.EncoderEntry.build = lambda *_, **__: encoder  # the model is loaded once for both
    bare(encoder, images[: encoder.batch_size])
    ratios, speeds, work, loaders = [], [], [], []
    for _ in range(rounds):
        cpu = time.process_time()
        alone = bare(encoder, images)
        alone_cpu = time.process_time() - cpu
        shutil.rmtree(workspace.cache / "embeddings", ignore_errors=True)
        began, cpu = time.perf_counter(), time.process_time()
        embed(workspace, dataset.id, name, settings)
        whole = count / (time.perf_counter() - began)
        work.append(alone_cpu / (time.process_time() - cpu))
        loaders.append(by_loader(encoder, files))
        ratios.append(whole / alone)
        speeds.append((whole, alone))
    middle = int(np.argsort(ratios)[len(ratios) // 2])
    print(
        f"{name} on {encoder.device}, {threads()} threads, {count} images, median of {rounds}: pipeline "
        f"{speeds[middle][0]:.1f} images/s, encoder alone {speeds[middle][1]:.1f}, ratio {ratios[middle]:.3f} "
        f"(all: {', '.join(f'{ratio:.3f}' for ratio in ratios)}); CPU time alone over pipeline {np.median(work):.3f}; "
        f"DataLoader of 2 workers {np.median(loaders):.1f} images/s, pipeline over it "
        f"{np.median(np.divide([whole for whole, _ in speeds], loaders)):.2f}",
        flush=True,
    )


def twice(count: int, scratch: Path) -> None:
    """Print the seconds of the second embedding."""
    folder = scratch / "small"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(count):
        Image.fromarray(rng.integers(0, 255, (8, 8, 3), dtype=np.uint8)).save(folder / f"{number:06d}.bmp")
    workspace = Workspace.open(scratch / "second")
    dataset = added(workspace, folder)
    began = time.perf_counter()
    first = embed(workspace, dataset.id, "descriptor")
    middle = time.perf_counter()
    second = embed(workspace, dataset.id, "descriptor")
    seconds = time.perf_counter() - middle
    assert np.array_equal(first.vectors, second.vectors)
    print(f"{count:,} images, descriptor: first embed {middle - began:.1f} s, second {seconds:.2f} s")


def from_a_folder(count: int, scratch: Path) -> None:
    """Print the seconds from a folder of small photographs to vectors of the built-in photo encoder."""
    draw(scratch / "folder", count, (540, 370))
    workspace = Workspace.open(scratch / "third")
    began = time.perf_counter()
    dataset = add_folder(workspace, scratch / "folder")
    scan(workspace, dataset.id)
    scanned = time.perf_counter()
    embed(workspace, dataset.id, "photo")
    print(
        f"{count:,} photographs of 0.2 megapixels, photo: scan with thumbnails {scanned - began:.1f} s, "
        f"embed {time.perf_counter() - scanned:.1f} s, together {time.perf_counter() - began:.1f} s"
    )


def _drawn(scratch: Path, count: int) -> Path:
    folder = scratch / f"photos-{count}"
    draw(folder, count)
    return folder


def main() -> None:
    """Run the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--encoder", choices=["clip", "descriptor", "photo"], default="clip")
    parser.add_argument("--twice", type=int, default=10_000, help="images of the second measurement; 0 leaves it out")
    parser.add_argument("--folder", type=int, default=2_500, help="images of the third measurement; 0 leaves it out")
    add_device(parser)
    given = parser.parse_args()
    device = chosen(given)
    print_machine(device)
    with tempfile.TemporaryDirectory() as scratch:
        against_bare(given.encoder, given.images, given.rounds, Path(scratch), str(device))
        if given.twice:
            twice(given.twice, Path(scratch))
        if given.folder:
            from_a_folder(given.folder, Path(scratch))


if __name__ == "__main__":
    main()
