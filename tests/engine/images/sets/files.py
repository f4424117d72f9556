"""Small files in the real on-disk format of each benchmark set, with made-up pixels."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import shutil
import struct
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.engine.images.pictures import encoded, noise, write


def md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def python2_pickle(value: dict) -> bytes:
    """The bytes that Python 2 wrote: protocol 2, byte strings, NumPy's old module names."""
    return b"\x80\x02" + _python2(value) + b"."


def _python2(value) -> bytes:
    if isinstance(value, dict):
        return b"}(" + b"".join(_python2(key) + _python2(item) for key, item in value.items()) + b"u"
    if isinstance(value, list):
        return b"](" + b"".join(map(_python2, value)) + b"e"
    if isinstance(value, str):
        data = value.encode("latin1")
        return b"U" + bytes([len(data)]) + data
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value)
    if isinstance(value, np.ndarray):
        data = value.tobytes()
        shape = b"(" + b"".join(map(_python2, value.shape)) + b"t"
        kind = b"cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
        blank = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR"
        return blank + b"(K\x01" + shape + kind + b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"
    raise TypeError(type(value))


def cifar_rows(rng, n: int) -> np.ndarray:
    return rng.integers(0, 256, (n, 3072), dtype=np.uint8)


def cifar10(root: Path, rng, n: int = 4) -> dict[str, str]:
    """cifar-10-batches-py with n images a batch; returns the files' MD5."""
    folder = root / "cifar-10-batches-py"
    for name in [f"data_batch_{at}" for at in range(1, 6)] + ["test_batch"]:
        rows = cifar_rows(rng, n)
        batch = {
            "batch_label": name,
            "labels": [at % 10 for at in range(n)],
            "data": rows,
            "filenames": [f"{at}.png" for at in range(n)],
        }
        write(folder / name, python2_pickle(batch))
    names = "airplane automobile bird cat deer dog frog horse ship truck".split()
    write(folder / "batches.meta", python2_pickle({"num_cases_per_batch": n, "label_names": names, "num_vis": 3072}))
    return {path.name: md5(path) for path in folder.iterdir()}


def cifar100(root: Path, rng, n: int = 6) -> dict[str, str]:
    folder = root / "cifar-100-python"
    for name in ("train", "test"):
        batch = {
            "filenames": ["x"] * n,
            "batch_label": name,
            "fine_labels": [(at * 17) % 100 for at in range(n)],
            "coarse_labels": [(at * 3) % 20 for at in range(n)],
            "data": cifar_rows(rng, n),
        }
        write(folder / name, python2_pickle(batch))
    names = {
        "fine_label_names": [f"fine{at}" for at in range(100)],
        "coarse_label_names": [f"coarse{at}" for at in range(20)],
    }
    write(folder / "meta", python2_pickle(names))
    return {path.name: md5(path) for path in folder.iterdir()}


def stl10(root: Path, rng, n: int = 5) -> dict[str, np.ndarray]:
    """stl10_binary; returns the images as (n, 96, 96, 3)."""
    folder = root / "stl10_binary"
    images = {}
    for split in ("train", "test"):
        images[split] = rng.integers(0, 256, (n, 96, 96, 3), dtype=np.uint8)
        write(folder / f"{split}_X.bin", images[split].transpose(0, 3, 2, 1).tobytes())
        write(folder / f"{split}_y.bin", bytes(1 + at % 10 for at in range(n)))
    write(folder / "unlabeled_X.bin", bytes(27648))
    write(folder / "class_names.txt", b"airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n")
    return images


def fashion_mnist(root: Path, rng, n: int = 5, suffix: str = ".gz") -> dict[str, np.ndarray]:
    images = {}
    for split, prefix in (("train", "train"), ("test", "t10k")):
        images[split] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        pixels = struct.pack(">IIII", 0x803, n, 28, 28) + images[split].tobytes()
        labels = struct.pack(">II", 0x801, n) + bytes(at % 10 for at in range(n))
        for name, data in ((f"{prefix}-images-idx3-ubyte", pixels), (f"{prefix}-labels-idx1-ubyte", labels)):
            write(root / "FashionMNIST" / "raw" / (name + suffix), gzip.compress(data) if suffix else data)
    return images


def imagenette(root: Path, folder: str = "imagenette2-320") -> None:
    for at, (split, wnid) in enumerate([("train", "n01440764"), ("train", "n03888257"), ("val", "n01440764")]):
        write(root / folder / split / wnid / f"{wnid}_{at}.JPEG", noise(at), "JPEG")
    write(root / folder / "noisy_imagenette.csv", b"path,label\n")


def tiny_imagenet_folder(root: Path) -> None:
    folder = root / "tiny-imagenet-200"
    write(folder / "wnids.txt", b"n02124075\nn04067472\n")
    write(folder / "words.txt", b"n02124075\tEgyptian cat\nn04067472\treel\nn00000001\tentity\n")
    for at, wnid in enumerate(("n02124075", "n04067472")):
        write(folder / "train" / wnid / "images" / f"{wnid}_{at}.JPEG", noise(at, 64, 64), "JPEG")
        write(folder / "train" / wnid / f"{wnid}_boxes.txt", b"")
    write(folder / "val" / "images" / "val_0.JPEG", noise(5, 64, 64), "JPEG")
    write(folder / "val" / "val_annotations.txt", b"val_0.JPEG\tn04067472\t0\t32\t44\t62\n")
    write(folder / "test" / "images" / "test_0.JPEG", noise(6, 64, 64), "JPEG")


def shard(path: Path, images: list[bytes], labels: list[int], names: list[str], group: int = 3) -> Path:
    """A Parquet shard as the hub's `datasets` library writes it."""
    features = {"image": {"_type": "Image"}, "label": {"names": names, "_type": "ClassLabel"}}
    image = pa.array(
        [{"bytes": data, "path": None} for data in images], pa.struct({"bytes": pa.binary(), "path": pa.string()})
    )
    table = pa.table({"image": image, "label": pa.array(labels, pa.int64())})
    table = table.replace_schema_metadata({"huggingface": json.dumps({"info": {"features": features}})})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, row_group_size=group)
    return path


def hub_shards(folder: Path, names: list[str], suffix: str = "", validation: str = "validation") -> list[bytes]:
    """Two training shards, one for validation and one without truth; returns the images in order."""
    images = [encoded(noise(at, 16, 16), "JPEG") for at in range(14)]
    shard(folder / f"train-00000-of-00002{suffix}.parquet", images[:5], [0, 1, 0, 1, 1], names)
    shard(folder / f"train-00001-of-00002{suffix}.parquet", images[5:10], [1, 1, 0, 0, 0], names)
    shard(folder / f"{validation}-00000-of-00001{suffix}.parquet", images[10:13], [0, 1, 1], names)
    shard(folder / "test-00000-of-00001.parquet", images[13:], [-1], names)
    return images[:13]


def archive(folder: Path, path: Path, extra: dict[str, bytes] | None = None) -> Path:
    """A .tar.gz of a folder, with further members of any name."""
    with tarfile.open(path, "w:gz") as tar:
        tar.add(folder, folder.name)
        for name, data in (extra or {}).items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


TRAINED = {"n01440764": "tench, Tinca tinca", "n02012849": "crane", "n03126707": "crane"}


def imagenet_folders(root: Path, *, flat: bool = False) -> None:
    """train/ and val/ of class folders; with `flat` the validation images lie directly in val/."""
    for at, wnid in enumerate(TRAINED):
        write(root / "train" / wnid / f"{wnid}_{at}.JPEG", noise(at), "JPEG")
        place = root / "val" if flat else root / "val" / wnid
        write(place / f"ILSVRC2012_val_{at + 1:08}.JPEG", noise(at + 10), "JPEG")


def kaggle(root: Path) -> None:
    """ILSVRC/Data/CLS-LOC with Kaggle's two lists beside ILSVRC."""
    imagenet_folders(root / "ILSVRC" / "Data" / "CLS-LOC", flat=True)
    write(root / "ILSVRC" / "Data" / "CLS-LOC" / "test" / "ILSVRC2012_test_00000001.JPEG", noise(30), "JPEG")
    rows = [f"ILSVRC2012_val_{at + 1:08},{wnid} 1 2 3 4 {wnid} 5 6 7 8 " for at, wnid in enumerate(TRAINED)]
    write(root / "LOC_val_solution.csv", "\n".join(["ImageId,PredictionString", *rows]).encode())
    write(root / "LOC_synset_mapping.txt", "\n".join(f"{wnid} {words}" for wnid, words in TRAINED.items()).encode())


def imagenet_archives(root: Path) -> None:
    """The two tar files and the development kit as image-net.org publishes them."""
    from scipy.io import savemat

    imagenet_folders(root / "unpacked", flat=True)
    inner = root / "inner"
    inner.mkdir()
    with tarfile.open(root / "ILSVRC2012_img_train.tar", "w") as train:
        for wnid in TRAINED:
            with tarfile.open(inner / f"{wnid}.tar", "w") as one:
                for path in sorted((root / "unpacked" / "train" / wnid).iterdir()):
                    one.add(path, path.name)
            train.add(inner / f"{wnid}.tar", f"{wnid}.tar")
    with tarfile.open(root / "ILSVRC2012_img_val.tar", "w") as validation:
        for path in sorted((root / "unpacked" / "val").iterdir()):
            validation.add(path, path.name)
    kit = root / "ILSVRC2012_devkit_t12"
    kinds = [(name, object) for name in ("ILSVRC2012_ID", "WNID", "words", "gloss", "num_children")]
    leaves = [(at + 1, wnid, words, "", 0) for at, (wnid, words) in enumerate(TRAINED.items())]
    (kit / "data").mkdir(parents=True)
    savemat(kit / "data" / "meta.mat", {"synsets": np.array([*leaves, (4, "n00001740", "entity", "", 3)], dtype=kinds)})
    write(kit / "data" / "ILSVRC2012_validation_ground_truth.txt", b"1\n2\n3\n")
    archive(kit, root / "ILSVRC2012_devkit_t12.tar.gz")
    for path in (inner, kit, root / "unpacked"):
        shutil.rmtree(path)
