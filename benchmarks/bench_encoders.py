"""Quality and speed of the built-in encoders: the descriptor, the pretrained photo encoder, and its rivals.

    python -m benchmarks.bench_encoders [--only quality|speed] [--rounds 12]

Quality: leave-one-out 1-NN accuracy (cosine), and NMI and accuracy of k-means with the true k, the mean of three
seeds. Sets: clothing_341 and sign_digits where ../shared/data is there, and 40 random crops, a sixth of the shorter
side wide, of each of nine colour and ten grey pictures that scikit-learn and scikit-image bring (class = picture).
Lite1 and Lite2 are measured where their packages are installed; they are no dependencies.

Speed: images per second of the forward pass, by the fastest of several batches of 16 photographs; all ways of running
the network take turns, so that a busy machine disturbs them alike. ONNX Runtime where it is installed.
"""

from __future__ import annotations

import argparse
import copy
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from benchmarks.known_sets import class_folders
from engine.core.device import threads, use_threads
from engine.core.errors import WeightsError
from engine.core.vectors import unit
from engine.embeddings.encoders.descriptor import Descriptor
from engine.embeddings.encoders.photo import LITE0, Photo, Variant, fold_batch_norms, load_network
from engine.evaluation.agreement import accuracy, nmi

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
LITE1 = Variant(
    "lite1",
    240,
    "models/efficientnet-lite1-77cc7160.pth",
    "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
)
LITE2 = Variant(
    "lite2",
    260,
    "models/efficientnet-lite2-9656183e.pth",
    "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
)
COLOUR = ("astronaut", "chelsea", "coffee", "rocket", "hubble_deep_field", "immunohistochemistry", "retina")
GREY = ("brick", "grass", "gravel", "coins", "page", "moon", "camera", "clock", "text", "cell")
Images = NDArray[np.uint8]
Vectors = NDArray[np.float32]
Truth = NDArray[np.int64]


def pictures(names: tuple[str, ...]) -> list[Images]:
    """Return pictures of scikit-image as (h, w, 3)."""
    from skimage import data

    found = [getattr(data, name)() for name in names]
    return [image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2) for image in found]


def crops(sources: list[Images], side: int, count: int = 40) -> tuple[Images, Truth]:
    """Return `count` random crops of each picture, scaled to `side`; the same places for every side."""
    rng, found = np.random.default_rng(0), []
    for image in sources:
        height, width = image.shape[:2]
        edge = min(height, width) // 6
        for _ in range(count):
            row, column = rng.integers(0, height - edge + 1), rng.integers(0, width - edge + 1)
            crop = Image.fromarray(np.ascontiguousarray(image[row : row + edge, column : column + edge]))
            found.append(np.asarray(crop.resize((side, side), Image.Resampling.BICUBIC)))
    return np.stack(found), np.repeat(np.arange(len(sources)), count)


def sets(side: int) -> Iterator[tuple[str, Images, Truth]]:
    """Yield (name, images, classes)."""
    from sklearn.datasets import load_sample_images

    for name, place in (("clothing_341", "clothing_341"), ("sign_digits", "sign_digits/Dataset")):
        if (DATA / place).is_dir():
            yield name, *class_folders(DATA / place, side)
    yield "colour crops", *crops([*load_sample_images().images, *pictures(COLOUR)], side)
    yield "grey crops", *crops(pictures(GREY), side)


def scores(vectors: Vectors, truth: Truth) -> tuple[float, float, float]:
    """Return 1-NN accuracy, and NMI and accuracy of k-means."""
    from sklearn.cluster import KMeans

    rows = unit(vectors)
    similar = rows @ rows.T
    np.fill_diagonal(similar, -np.inf)
    nearest = float((truth[similar.argmax(axis=1)] == truth).mean())
    found = [KMeans(truth.max() + 1, n_init=3, random_state=seed).fit_predict(rows) for seed in range(3)]
    return (
        nearest,
        float(np.mean([nmi(truth, labels) for labels in found])),
        float(np.mean([accuracy(truth, labels) for labels in found])),
    )


def features(variant: Variant) -> Callable[[Images], dict[str, Vectors]]:
    """Return what embeds images by the head's pooled features, the last block's, and both side by side."""
    import torch

    network = fold_batch_norms(load_network(variant)).to(memory_format=torch.channels_last)
    last: list[Any] = []
    network.blocks.register_forward_hook(lambda module, given, output: last.append(output.mean(dim=(2, 3))))

    def encode(images: Images) -> dict[str, Vectors]:
        last.clear()
        with torch.inference_mode():
            batches = (images[at : at + 16] for at in range(0, len(images), 16))
            pooled = torch.cat([network(pixels(batch)) for batch in batches]).numpy()
        block = torch.cat(last).numpy()
        return {
            "pooled features": pooled,
            "last block": block,
            "both": np.concatenate([unit(pooled), unit(block)], axis=1),
        }

    return encode


def pixels(images: Images) -> Any:  # noqa: ANN401 - a tensor
    """Return (n, 3, side, side) as the network takes it, channels last in memory."""
    import torch

    return (torch.from_numpy(images).permute(0, 3, 1, 2).float() - 127) / 128


def show(encoder: str, name: str, found: tuple[float, float, float]) -> None:
    """Print one line of the table."""
    print(f"{encoder:24s}{name:16s}" + "".join(f"{score:8.3f}" for score in found), flush=True)


def quality() -> None:
    """Print one line for each encoder and set."""
    print(f"{'':24s}{'set':16s}{'1-NN':>8s}{'NMI':>8s}{'ACC':>8s}")
    descriptor = Descriptor()
    for name, images, truth in sets(descriptor.side):
        vectors = np.concatenate([descriptor.encode(images[at : at + 64]) for at in range(0, len(images), 64)])
        print(
            f"{'descriptor':24s}{name:16s}" + "".join(f"{score:8.3f}" for score in scores(vectors, truth)), flush=True
        )
    for variant in (LITE0, LITE1, LITE2):
        try:
            encode = features(variant)
        except WeightsError as error:
            print(f"{variant.name:24s}{error.sentence}")
            continue
        for name, images, truth in sets(variant.side):
            for kind, vectors in encode(images).items():
                show(f"{variant.name}, {kind}", name, scores(vectors, truth))


def photographs(side: int, count: int = 16) -> Images:
    """Return crops of scikit-image's colour pictures."""
    return crops(pictures(COLOUR), side, 3)[0][:count]


def ways() -> dict[str, Callable[[], Any]]:
    """Return the ways of running a batch of 16 through the network."""
    import torch

    images = pixels(photographs(LITE0.side))
    plain = load_network(LITE0)
    last = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    folded = fold_batch_norms(copy.deepcopy(plain))
    chosen = copy.deepcopy(folded).to(memory_format=torch.channels_last)
    contiguous = images.contiguous()
    found: dict[str, Callable[[], Any]] = {
        "eager": lambda: plain(contiguous),
        "eager, channels last": lambda: last(images),
        "folded": lambda: folded(contiguous),
        "folded, channels last": lambda: chosen(images),
    }
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        frozen = torch.jit.freeze(torch.jit.trace(last, images))
        optimised = torch.jit.optimize_for_inference(torch.jit.trace(last, images))
        found["TorchScript, frozen"] = lambda: frozen(images)
        found["TorchScript, for inference"] = lambda: optimised(images)
        compiled = torch.compile(copy.deepcopy(chosen))
        try:
            began = time.perf_counter()
            compiled(images)
            print(f"torch.compile took {time.perf_counter() - began:.0f} s")
            found["torch.compile"] = lambda: compiled(images)
        except Exception as error:  # noqa: BLE001 - without a compiler it fails in its own ways
            print(f"torch.compile: {type(error).__name__}")
        try:
            found["ONNX Runtime"] = onnx(plain, contiguous)
        except ImportError:
            print("ONNX Runtime is not installed")
    for variant in (LITE1, LITE2):
        try:
            network = fold_batch_norms(load_network(variant)).to(memory_format=torch.channels_last)
        except WeightsError:
            continue
        batch = pixels(photographs(variant.side))
        found[f"{variant.name}, folded, channels last"] = lambda network=network, batch=batch: network(batch)
    encoder, raw = Photo(device="cpu"), photographs(LITE0.side)
    found["the encoder, from uint8"] = lambda: encoder.encode(raw)
    return found


def onnx(network: Any, batch: Any) -> Callable[[], Any]:  # noqa: ANN401 - torch's
    """Return the network in ONNX Runtime."""
    import io

    import onnxruntime
    import torch

    file = io.BytesIO()
    torch.onnx.export(network, (batch,), file, dynamo=False, input_names=["x"])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads()
    session = onnxruntime.InferenceSession(file.getvalue(), options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, {"x": batch.numpy()})


def speed(rounds: int) -> None:
    """Print images per second and per second of processor time of every way, by its fastest batch."""
    import torch

    use_threads()
    found = ways()
    for flush in (False, True):
        torch.set_flush_denormal(flush)
        best = {name: (np.inf, np.inf) for name in found}
        with torch.inference_mode():
            for _ in range(rounds):
                for name, run in found.items():
                    began, cpu = time.perf_counter(), time.process_time()
                    run()
                    took = time.perf_counter() - began, time.process_time() - cpu
                    best[name] = (min(best[name][0], took[0]), min(best[name][1], took[1]))
        print(f"{threads()} threads, {'denormals flushed' if flush else 'denormals kept'}, fastest of {rounds}")
        for name, (wall, cpu) in best.items():
            print(f"    {name:34s}{16 / wall:8.1f} images/s{16 / cpu:8.1f} per second of one core", flush=True)


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["quality", "speed"])
    parser.add_argument("--rounds", type=int, default=12)
    given = parser.parse_args()
    if given.only != "quality":
        speed(given.rounds)
    if given.only != "speed":
        quality()


if __name__ == "__main__":
    main()
