"""Sets of vectors whose classes are known, with 2 to 50 of them, and three without any structure.

scikit-learn's digits as pixels and by the descriptor; photographs from a folder by two networks, as far as they are
there; crops of scikit-learn's two photographs; planted groups on the sphere. Subsets of the classes make the small
numbers, and uneven subsets have class sizes that fall geometrically to a twentieth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engine.core.vectors import unit

Vectors = NDArray[np.float32]
Truth = NDArray[np.int64]
CLOTHES = ("dress", "hat", "pants", "shoes", "shorts", "t-shirt")
MOST = 700


def known_sets(data: Path) -> dict[str, Callable[[], tuple[Vectors, Truth | None]]]:
    """Return for each set what makes it: (vectors (n, d), truth (n,), None where nothing is there to be found).

    At most `MOST` rows each, but for the 50 planted groups and the uneven sets, which have up to twice as many.
    """
    sets: dict[str, Callable[[], Any]] = {}

    def add(name: str, load: Callable[[], Any], wanted: Sequence[int | Sequence[int]]) -> None:
        for classes in wanted:
            chosen = range(classes) if isinstance(classes, int) else classes
            sets[f"{name}, {len(chosen)}"] = partial(_part, load, tuple(chosen))

    add("digits pixels", _digits, (10, (0, 1, 2, 4, 6, 7), (3, 8)))
    add("digits descriptor", _digits_descriptor, (10,))
    for name in ("sign_digits", "clothing_341"):
        path = data / f"{name}_mobilenetv2.npz"
        if not path.exists():
            print(f"{path.name} is not in {data}, left out")
            continue
        with np.load(path, allow_pickle=False) as kept:
            names = np.unique(kept["labels"])
        few = np.flatnonzero(np.isin(names, CLOTHES)).tolist() if name == "clothing_341" else [0, 2, 3, 5, 6, 9]
        add(f"{name} mobilenet", partial(_mobilenet, path), (10, few, few[2:4]))
        photo = partial(_photo, path, data / name)
        add(f"{name} photo", photo, (10, few, few[2:4]))
        sets[f"{name} photo uneven, 10"] = partial(_uneven, photo, 0)
        sets[f"{name} mobilenet uneven, 10"] = partial(_uneven, partial(_mobilenet, path), 1)
    for seed in range(2):
        sets[f"digits pixels uneven {seed}, 10"] = partial(_uneven, _digits, seed)
    sets["planted 0.7 uneven, 10"] = partial(_uneven, partial(_planted, 10, 300, 0.7), 0)
    sets["crops descriptor, 2"] = _crops
    for count, each, spread in ((2, 300, 0.9), (6, 100, 0.7), (50, 30, 0.5), (50, 30, 0.8)):
        sets[f"planted {spread}, {count}"] = partial(_planted, count, each, spread)
    for name in ("gaussian", "digits shuffled", "8 wide directions"):
        sets[f"nothing: {name}"] = partial(_nothing, name)
    return sets


def _part(load: Callable[[], tuple[Vectors, Truth]], classes: tuple[int, ...]) -> tuple[Vectors, Truth]:
    vectors, truth = load()
    rows = np.flatnonzero(np.isin(truth, classes))
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:MOST])
    return np.ascontiguousarray(vectors[rows], np.float32), np.unique(truth[rows], return_inverse=True)[1]


def class_folders(folder: Path, side: int) -> tuple[NDArray[np.uint8], Truth]:
    """Return (n, side, side, 3) squares of the images below a folder, and the numbers of their class folders."""
    from engine.images.decode import decode_square
    from engine.images.sources import FolderSource

    source = FolderSource(folder, truth_from_folders=True)
    entries = list(source.entries())
    images = np.stack([decode_square(source.read(entry.name), side) for entry in entries])
    return images, np.unique([entry.truth for entry in entries], return_inverse=True)[1]


def _uneven(load: Callable[[], tuple[Vectors, Truth]], seed: int) -> tuple[Vectors, Truth]:
    vectors, truth = load()
    rows = uneven_rows(truth, random_state=seed)
    return np.ascontiguousarray(vectors[rows], np.float32), np.unique(truth[rows], return_inverse=True)[1]


def uneven_rows(truth: Truth, *, ratio: float = 20, random_state: int = 0) -> NDArray[np.int64]:
    """Return rows, at most twice `MOST`, whose classes fall geometrically from the largest to a `ratio`-th."""
    rng = np.random.default_rng(random_state)
    counts = np.bincount(truth)
    shares = ratio ** -np.linspace(0, 1, len(counts))[rng.permutation(len(counts))]
    wanted = np.maximum(3, np.floor((counts / shares).min() * shares)).astype(int)
    rows = np.concatenate([rng.permutation(np.flatnonzero(truth == one))[:most] for one, most in enumerate(wanted)])
    return np.sort(rng.permutation(rows)[: 2 * MOST])


@cache
def _digits() -> tuple[Vectors, Truth]:
    from sklearn.datasets import load_digits

    return load_digits(return_X_y=True)  # type: ignore[no-any-return]


@cache
def _digits_descriptor() -> tuple[Vectors, Truth]:
    pixels, truth = _digits()
    large = np.repeat(np.repeat(pixels.reshape(-1, 8, 8) * 15.9, 8, 1), 8, 2).astype(np.uint8)
    return encoded("descriptor", np.repeat(large[..., None], 3, 3)), truth


@cache
def _mobilenet(path: Path) -> tuple[Vectors, Truth]:
    with np.load(path, allow_pickle=False) as kept:
        return kept["vectors"], np.unique(kept["labels"], return_inverse=True)[1]


@cache
def _photo(path: Path, folder: Path) -> tuple[Vectors, Truth]:
    from PIL import Image, ImageOps

    with np.load(path, allow_pickle=False) as kept:
        ids, truth = kept["ids"], np.unique(kept["labels"], return_inverse=True)[1]
    rows = np.sort(np.random.default_rng(1).permutation(len(ids))[:500])
    opened = (Image.open(folder / str(ids[row])).convert("RGB") for row in rows)
    pictures = [np.asarray(ImageOps.pad(one, (224, 224), color="white")) for one in opened]
    return encoded("photo", np.stack(pictures)), truth[rows]


def _crops() -> tuple[Vectors, Truth]:
    """Return 300 crops of 64 pixels of each of the two photographs."""
    from sklearn.datasets import load_sample_images

    rng, crops = np.random.default_rng(0), []
    for image in load_sample_images().images:
        for _ in range(300):
            top, left = (int(rng.integers(size - 64)) for size in image.shape[:2])
            crops.append(image[top : top + 64, left : left + 64])
    return encoded("descriptor", np.stack(crops)), np.repeat(np.arange(2), 300)


def _planted(n_clusters: int, each: int, spread: float) -> tuple[Vectors, Truth]:
    """Return groups around random directions; `spread` is the length of the noise beside a direction of length 1."""
    rng = np.random.default_rng(n_clusters)
    centers, truth = unit(rng.normal(size=(n_clusters, 64))), np.repeat(np.arange(n_clusters), each)
    return unit(centers[truth] + spread * rng.normal(size=(len(truth), 64)) / 8).astype(np.float32), truth


def _nothing(name: str) -> tuple[Vectors, None]:
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(MOST, 64))
    if name == "digits shuffled":
        vectors = rng.permuted(_digits()[0][:MOST], axis=0)
    elif name == "8 wide directions":
        vectors *= np.r_[np.full(8, 4.0), np.ones(56)]
    return vectors.astype(np.float32), None


def encoded(name: str, pictures: NDArray[np.uint8]) -> Vectors:
    """Return (n, d) vectors of (n, h, w, 3) pictures by a built-in encoder, which scales them to its own side."""
    from PIL import Image

    from engine.embeddings.encoders.registry import find_encoder

    encoder = find_encoder(name).encoder_class()
    if pictures.shape[1] != encoder.side:
        size = (encoder.side, encoder.side)
        pictures = np.stack([np.asarray(Image.fromarray(one).resize(size)) for one in pictures])
    return np.concatenate([encoder.encode(pictures[at : at + 64]) for at in range(0, len(pictures), 64)])
