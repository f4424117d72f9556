"""Each benchmark set is read from small files in its real format: pixels, classes and splits come out right."""

from __future__ import annotations

import io
import pickle
import struct

import numpy as np
import pytest
from PIL import Image

from engine.core.errors import InputError
from engine.images.datasets import add_benchmark
from engine.images.decode import decode_rgb
from engine.images.scan import scan
from engine.images.sets import cifar
from engine.images.sets.download import Missing
from engine.images.sets.pickles import load_arrays
from engine.images.sets.registry import BENCHMARKS, open_benchmark
from engine.images.sources import ReadError
from engine.images.tables import load_images
from engine.images.wordnet import distinct
from tests.engine.images.sets import files


@pytest.fixture(autouse=True)
def fresh():
    open_benchmark.cache_clear()


@pytest.fixture
def known(monkeypatch):
    """Take the small files for the published ones."""

    def use(folder, digests):
        monkeypatch.setitem(cifar.CHECKSUMS, folder, {name: digests[name] for name in cifar.CHECKSUMS[folder]})

    return use


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(decode_rgb(data))


def test_cifar10(tmp_path, rng, known):
    known("cifar-10-batches-py", files.cifar10(tmp_path, rng))
    source = open_benchmark("cifar10", str(tmp_path))
    entries = list(source.entries())
    assert [entry.split for entry in entries] == ["train"] * 20 + ["test"] * 4
    assert [entry.truth for entry in entries[:4]] == ["airplane", "automobile", "bird", "cat"]
    stored = load_arrays((tmp_path / "cifar-10-batches-py" / "data_batch_2").read_bytes())["data"]
    expected = stored[1].reshape(3, 32, 32).transpose(1, 2, 0)
    assert np.array_equal(pixels(source.read(b"train/000005.bmp")), expected)
    with pytest.raises(ReadError):
        source.read(b"train/000020.bmp")
    with pytest.raises(ReadError):
        source.read(b"validation/000000.bmp")


def test_cifar100_fine_and_coarse_share_their_images(tmp_path, rng, known):
    known("cifar-100-python", files.cifar100(tmp_path, rng))
    fine, coarse = (list(open_benchmark(name, str(tmp_path)).entries()) for name in ("cifar100", "cifar20"))
    assert [entry.truth for entry in fine[:3]] == ["fine0", "fine17", "fine34"]
    assert [entry.truth for entry in coarse[:3]] == ["coarse0", "coarse3", "coarse6"]
    assert [entry.name for entry in fine] == [entry.name for entry in coarse]


def test_a_data_root_may_be_the_folder_itself(tmp_path, rng, known):
    known("cifar-10-batches-py", files.cifar10(tmp_path, rng))
    assert len(list(open_benchmark("cifar10", str(tmp_path / "cifar-10-batches-py")).entries())) == 24


def test_cifar_with_another_checksum_is_never_opened(tmp_path, rng, known, monkeypatch):
    known("cifar-10-batches-py", files.cifar10(tmp_path, rng))
    path = tmp_path / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes() + b" ")
    monkeypatch.setattr(
        cifar, "load_arrays", lambda data: pytest.fail("opened") if data.endswith(b" ") else load_arrays(data)
    )
    with pytest.raises(InputError, match="data_batch_3 is not the published file"):
        list(open_benchmark("cifar10", str(tmp_path)).entries())
    path.unlink()
    with pytest.raises(InputError, match="data_batch_3 cannot be read"):
        list(open_benchmark("cifar10", str(tmp_path)).entries())


class Evil:
    """A pickle that would run a program."""

    def __reduce__(self):
        return (print, ("run",))


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_that_asks_for_a_program_is_refused(protocol, capsys):
    for value in ({"data": Evil()}, Evil(), {"f": np.add}, {"s": slice(1)}):
        with pytest.raises(InputError, match="not opened"):
            load_arrays(pickle.dumps(value, protocol=protocol))
    assert capsys.readouterr().out == ""


def test_damaged_pickles_are_told(rng):
    whole = files.python2_pickle({"data": files.cifar_rows(rng, 2), "labels": [1, 2]})
    assert load_arrays(whole)["labels"] == [1, 2]
    for data in (b"", whole[:50], b"\x80\x02K\x01.", b"text"):
        with pytest.raises(InputError, match="damaged|does not hold"):
            load_arrays(data)


def test_stl10(tmp_path, rng):
    images = files.stl10(tmp_path, rng)
    source = open_benchmark("stl10", str(tmp_path))
    entries = list(source.entries())
    assert [entry.split for entry in entries] == ["train"] * 5 + ["test"] * 5
    assert [entry.truth for entry in entries[:3]] == ["airplane", "bird", "car"]
    for split in ("train", "test"):
        assert np.array_equal(pixels(source.read(f"{split}/000003.bmp".encode())), images[split][3])


@pytest.mark.parametrize("damage", ["short", "class", "missing"])
def test_stl10_that_does_not_fit_is_told(tmp_path, rng, damage):
    files.stl10(tmp_path, rng)
    folder = tmp_path / "stl10_binary"
    if damage == "short":
        (folder / "train_X.bin").write_bytes(bytes(100))
    elif damage == "class":
        (folder / "train_y.bin").write_bytes(bytes([11] * 5))
    else:
        (folder / "class_names.txt").unlink()
    with pytest.raises(InputError, match="do not hold what STL-10 holds"):
        list(open_benchmark("stl10", str(tmp_path)).entries())


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_fashion_mnist(tmp_path, rng, suffix):
    images = files.fashion_mnist(tmp_path, rng, suffix=suffix)
    source = open_benchmark("fashion-mnist", str(tmp_path))
    entries = list(source.entries())
    assert len(entries) == 10
    assert entries[9].truth == "Coat"
    assert np.array_equal(pixels(source.read(b"test/000002.bmp"))[..., 1], images["test"][2])


def test_fashion_mnist_that_is_something_else_is_told(tmp_path, rng):
    files.fashion_mnist(tmp_path, rng, suffix="")
    path = tmp_path / "FashionMNIST" / "raw" / "train-images-idx3-ubyte"
    for data in (b"", struct.pack(">IIII", 0x801, 5, 28, 28) + bytes(3920), path.read_bytes()[:-1]):
        path.write_bytes(data)
        with pytest.raises(InputError, match="no IDX file"):
            list(open_benchmark("fashion-mnist", str(tmp_path)).entries())


@pytest.mark.parametrize("folder", ["imagenette2", "imagenette2-320", "imagenette2-160"])
def test_imagenette(tmp_path, folder):
    files.imagenette(tmp_path, folder)
    source = open_benchmark("imagenette", str(tmp_path))
    found = [(entry.truth, entry.split) for entry in source.entries()]
    assert found == [("tench", "train"), ("parachute", "train"), ("tench", "test")]
    name = next(iter(source.entries())).name
    assert Image.open(io.BytesIO(source.read(name))).format == "JPEG"


def test_tiny_imagenet_folder(tmp_path):
    files.tiny_imagenet_folder(tmp_path)
    source = open_benchmark("tiny-imagenet", str(tmp_path))
    source.prepare()
    found = [(entry.truth, entry.split) for entry in source.entries()]
    assert found == [("Egyptian cat", "train"), ("reel", "train"), ("reel", "test")]
    (tmp_path / "tiny-imagenet-200" / "words.txt").unlink()
    with pytest.raises(InputError, match="lists of Tiny ImageNet"):
        list(source.entries())


@pytest.mark.parametrize(
    ("name", "folder", "suffix", "validation"),
    [
        ("tiny-imagenet", "tiny-imagenet/data", "-1359597a978bc4fa", "valid"),
        ("imagenet-1k", "imagenet-1k-128x128/data", "", "validation"),
        ("imagenet-1k", "", "", "validation"),
    ],
)
def test_hub_shards(tmp_path, name, folder, suffix, validation):
    images = files.hub_shards(tmp_path / folder, ["crane", "crane"], suffix, validation)
    source = open_benchmark(name, str(tmp_path))
    source.prepare()
    entries = list(source.entries())
    assert [entry.split for entry in entries] == ["train"] * 10 + ["test"] * 3
    assert [entry.truth for entry in entries[:3]] == ["crane (0)", "crane (1)", "crane (0)"]
    order = np.random.default_rng(0).permutation(len(entries))
    for at in [*range(13), *order]:
        assert source.read(entries[at].name) == images[at]
    for wrong in (b"train-00000-of-00002/000005", b"x/000000", b"train-00000-of-00002/-1", b"\xff/0"):
        with pytest.raises(ReadError):
            source.read(wrong)


def test_a_missing_shard_is_not_a_complete_set(tmp_path):
    files.hub_shards(tmp_path / "imagenet-1k-128x128" / "data", ["a", "b"])
    (tmp_path / "imagenet-1k-128x128" / "data" / "train-00001-of-00002.parquet").unlink()
    with pytest.raises(Missing, match="not downloaded yet"):
        list(open_benchmark("imagenet-1k", str(tmp_path)).entries())


def test_damaged_shards_are_told(tmp_path):
    files.hub_shards(tmp_path, ["a", "b"])
    (tmp_path / "train-00001-of-00002.parquet").write_bytes(b"PAR1 nothing PAR1")
    with pytest.raises(InputError, match="cannot be read"):
        list(open_benchmark("imagenet-1k", str(tmp_path)).entries())


def test_distinct_names():
    assert distinct(["crane", "dog", "crane"]) == ["crane (0)", "dog", "crane (2)"]


@pytest.mark.parametrize("name", [name for name, entry in BENCHMARKS.items() if entry.download])
def test_what_is_not_here_says_what_to_put_where(workspace, tmp_path, name):
    source = open_benchmark(name, str(tmp_path))
    with pytest.raises(Missing) as caught:
        list(source.entries())
    assert "not on this machine" in caught.value.sentence
    assert str(tmp_path) in caught.value.hint
    named = {
        "cifar10": ["cifar-10-batches-py", "cifar-10-python.tar.gz"],
        "stl10": ["stl10_binary", "stl10_binary.tar.gz"],
        "imagenette": ["imagenette2-320", "imagenette2-160", ".tgz"],
        "tiny-imagenet": ["tiny-imagenet-200", "tiny-imagenet-200.zip", "zh-plus/tiny-imagenet"],
        "imagenet-1k": ["train and val", "ILSVRC2012_img_train.tar", "ILSVRC2012_devkit_t12.tar.gz", "Parquet"],
        "fashion-mnist": ["t10k-labels-idx1-ubyte", ".gz"],
    }
    assert all(form in caught.value.hint for form in named.get(name, []))


def test_a_set_goes_the_whole_way_into_the_catalog(workspace, tmp_path, rng, known):
    known("cifar-100-python", files.cifar100(tmp_path, rng))
    fine = add_benchmark(workspace, "cifar100", data_root=tmp_path)
    coarse = add_benchmark(workspace, "cifar20", data_root=tmp_path)
    assert (fine.n_classes, coarse.n_classes) == (100, 20)
    for dataset in (fine, coarse):
        found = scan(workspace, dataset.id)
        assert (found.readable, found.failed, found.splits) == (12, [], {"test": 6, "train": 6})
        assert scan(workspace, dataset.id).opened == 0
    one, two = load_images(workspace, fine.id), load_images(workspace, coarse.id, split="train")
    assert len(one) == 12
    assert set(two.contents.tolist()) < set(one.contents.tolist())
    assert add_benchmark(workspace, "cifar100").options == {"data_root": str(tmp_path)}
