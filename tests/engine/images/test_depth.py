"""Images of more than 8 bits: read exactly, and shown in the range of their data set, whatever one pixel says."""

from __future__ import annotations

import io

import numpy as np
import pytest
import tifffile
from PIL import Image

from engine.core.catalog import open_catalog
from engine.embeddings.configurations import list_configurations
from engine.embeddings.embed import embed
from engine.images import scan as scanning
from engine.images.datasets import add_folder
from engine.images.decode import ImageError, decode, decode_rgb, decode_square
from engine.images.depth import Deep, depth_of, range_of, read_deep, sample
from engine.images.ranges import load_ranges
from engine.images.report import report
from engine.images.scan import scan
from engine.images.tables import files_of
from engine.images.thumbnails import picture, thumbnail
from tests.engine.images.pictures import encoded, noise, write
from tests.engine.images.profiles import deep_png

RNG = np.random.default_rng(5)
GREY = (np.add.outer(np.linspace(0.1, 0.6, 48), np.linspace(0.0, 0.3, 64)) + RNG.normal(0, 0.01, (48, 64))).clip(0, 1)
COLOUR = np.stack([GREY, GREY[::-1], GREY[:, ::-1]], axis=-1)


def tiff(values, **options):
    file = io.BytesIO()
    tifffile.imwrite(file, values, **options)
    return file.getvalue()


def frames(root, *, hot=False, count=20):
    """16-bit frames of two kinds of stripes up to 3,300; with `hot`, half have one pixel of 4,200."""
    y, x = np.mgrid[0:128, 0:128]
    for kind in range(2):
        for at in range(count):
            rng = np.random.default_rng(kind * 100 + at)
            wave = np.sin((x if kind else y) / rng.uniform(6, 9) + rng.uniform(0, 6))
            values = np.clip(1800 + 1200 * wave + rng.normal(0, 120, x.shape), 0, 3300).astype(np.uint16)
            if hot and at % 2:
                values[3, 5] = 4200
            write(root / f"kind{kind}" / f"{at:02}.tif", Image.fromarray(values), "TIFF")
    return root


def scanned(workspace, root):
    dataset = add_folder(workspace, root)
    scan(workspace, dataset.id)
    return dataset


def brightness(workspace, dataset):
    found = []
    for file in files_of(workspace, dataset.id):
        with Image.open(io.BytesIO(thumbnail(workspace, file.id))) as image:
            found.append(float(np.asarray(image.convert("L")).mean()))
    return np.array(found)


def test_one_hot_pixel_changes_no_picture(workspace, tmp_path):
    plain = scanned(workspace, frames(tmp_path / "A"))
    hot = scanned(workspace, frames(tmp_path / "B", hot=True))
    before, after = brightness(workspace, plain), brightness(workspace, hot)
    assert before.min() > 80
    assert np.abs(before - after).max() < 1
    ranges = load_ranges(workspace, hot.id)
    assert set(ranges) == {"16-bit grey"}
    assert ranges["16-bit grey"][1] <= 3300
    found = report(workspace, hot.id)
    assert found.depths["16-bit grey"].images == 40
    low, high = ranges["16-bit grey"]
    sentence = f"40 images are deeper than 8 bits; they are shown between {low:,.0f} and {high:,.0f}."
    assert found.depth_sentence == sentence


def test_everything_sees_the_same_range(workspace, tmp_path):
    dataset = scanned(workspace, frames(tmp_path / "A", hot=True, count=4))
    ranges = load_ranges(workspace, dataset.id)
    file = files_of(workspace, dataset.id)[1]
    data = (tmp_path / "A" / file.path.decode()).read_bytes()
    square = decode_square(data, 64, ranges=ranges)
    for make in (thumbnail, picture):
        with Image.open(io.BytesIO(make(workspace, file.id))) as shown:
            assert np.abs(np.asarray(shown.resize((64, 64)), int) - square).mean() < 6
    assert abs(file.quality["brightness"] * 255 - square.mean()) < 2


def test_the_range_depends_on_neither_order_nor_threads_and_stays(workspace, tmp_path, monkeypatch):
    root = frames(tmp_path / "A", count=6)
    first = load_ranges(workspace, scanned(workspace, root).id)
    monkeypatch.setattr(scanning, "threads", lambda: 7)
    for at, path in enumerate(sorted(root.rglob("*.tif"), reverse=True)):
        write(tmp_path / "B" / f"{at}.tif", path.read_bytes())
    other = scanned(workspace, tmp_path / "B")
    assert load_ranges(workspace, other.id) == first
    bright = np.full((64, 64), 60_000, np.uint16)
    for at in range(12):
        bright[0] = at
        write(tmp_path / "B" / f"new{at}.tif", Image.fromarray(bright), "TIFF")
    assert scan(workspace, other.id).opened == 12
    assert load_ranges(workspace, other.id) == first
    ids = {file.id for file in files_of(workspace, other.id)}
    scan(workspace, other.id, measure_again=True)
    assert load_ranges(workspace, other.id)["16-bit grey"][1] == 60_000
    assert not ids & {file.id for file in files_of(workspace, other.id)}  # their pictures have changed


def test_a_killed_scan_measures_all_of_them(workspace, tmp_path, monkeypatch):
    root = frames(tmp_path / "A", count=6)
    for at in range(300):
        write(root / f"{at}.png", noise(at, 4, 4))
    whole = load_ranges(workspace, scanned(workspace, root).id)

    def killed(*_, **__):
        raise KeyboardInterrupt

    again = add_folder(workspace, write(tmp_path / "B" / "x.png", noise(1)).parent)
    for path in root.rglob("*.tif"):
        write(tmp_path / "B" / path.parent.name / path.name, path.read_bytes())
    with monkeypatch.context() as patch:
        patch.setattr(scanning, "measure_range", killed)
        with pytest.raises(KeyboardInterrupt):
            scan(workspace, again.id)
    assert load_ranges(workspace, again.id) == {}
    scan(workspace, again.id)
    assert load_ranges(workspace, again.id) == whole


def test_vectors_follow_the_range_and_the_others_are_kept(workspace, tmp_path):
    root = tmp_path / "A"
    for at in range(5):
        write(root / f"{at}.png", noise(at))
    dataset = scanned(workspace, root)
    plain = embed(workspace, dataset.id, "descriptor")
    frames(root, count=3)
    scan(workspace, dataset.id)
    both = embed(workspace, dataset.id, "descriptor")
    assert both.config_key != plain.config_key
    assert len(both) == 11
    assert (both.vectors[:5] == plain.vectors).all() if both.rows[0] == 0 else len(plain) == 5
    states = {item.key: item.state for item in list_configurations(workspace, dataset.id)}
    assert states == {plain.config_key: "partial", both.config_key: "complete"}
    for at in range(40):
        write(root / f"bright{at}.tif", Image.fromarray(np.full((32, 32), 50_000 + at, np.uint16)), "TIFF")
    scan(workspace, dataset.id)
    assert embed(workspace, dataset.id, "descriptor").config_key == both.config_key
    scan(workspace, dataset.id, measure_again=True)
    states = {item.key: item.state for item in list_configurations(workspace, dataset.id)}
    assert states[both.config_key] == "stale"


def test_a_catalog_from_before_is_looked_at_again(workspace, tmp_path):
    dataset = scanned(workspace, frames(tmp_path / "A", count=2))
    with open_catalog(workspace.catalog, write=True) as db:
        db.execute("UPDATE image SET depth = NULL")
        db.execute("DELETE FROM pixel_range")
    assert scan(workspace, dataset.id).opened == 4
    assert set(load_ranges(workspace, dataset.id)) == {"16-bit grey"}
    assert scan(workspace, dataset.id).opened == 0


def whole_numbers():
    """Yield (name, bytes, whether deep): the same picture in many kinds of file, None where it is refused."""
    for bits, dtype in [(12, np.uint16), (16, np.uint16), (32, np.uint32)]:
        grey, colour = ((part * (2**bits - 1)).astype(dtype) for part in (GREY, COLOUR))
        for order in "<>":
            for compression in (None, "zlib"):
                name = f"TIFF {bits} {order} {compression}"
                yield f"{name} grey", tiff(grey, byteorder=order, compression=compression), True
                for planar in ("contig", "separate"):
                    values = colour if planar == "contig" else np.moveaxis(colour, -1, 0).copy()
                    options = {"photometric": "rgb", "planarconfig": planar, "compression": compression}
                    yield f"{name} colour {planar}", tiff(values, byteorder=order, **options), True
        if dtype == np.uint16:
            top = np.full((48, 64, 1), 2**16 - 1, np.uint16)
            yield f"PNG {bits} grey", deep_png(grey, 0), True
            yield f"PNG {bits} RGB", deep_png(colour, 2), True
            yield f"PNG {bits} LA", deep_png(np.concatenate([grey[..., None], top], axis=2), 4), True
            yield f"PNG {bits} RGBA", deep_png(np.concatenate([colour, top], axis=2), 6), True
            for compression in ("tiff_lzw", "tiff_adobe_deflate", "packbits"):
                yield (
                    f"TIFF {bits} {compression}",
                    encoded(Image.fromarray(grey), "TIFF", compression=compression),
                    True,
                )
            yield f"TIFF {bits} tiles", tiff(colour, photometric="rgb", tile=(16, 16)), True
            yield f"TIFF {bits} predictor", tiff(colour, photometric="rgb", compression="zlib", predictor=True), True
            for extra in ("unassalpha", "assocalpha", "unspecified"):
                values = np.concatenate([colour, top], axis=2)
                yield f"TIFF {bits} {extra}", tiff(values, photometric="rgb", extrasamples=[extra]), True
            yield f"TIFF {bits} white is zero", tiff(2**bits - 1 - grey, photometric="miniswhite"), True


def other_kinds():
    """Yield the rest of them: floating point, signed, 8 bits, and what is refused."""
    for dtype in (np.float16, np.float32, np.float64):
        for scale, low in ((1, 0), (5000, -300)):
            yield f"TIFF {dtype.__name__} {scale} grey", tiff((GREY * scale + low).astype(dtype)), True
            yield (
                f"TIFF {dtype.__name__} {scale} RGB",
                tiff((COLOUR * scale + low).astype(dtype), photometric="rgb"),
                True,
            )
    for dtype in (np.int16, np.int32, np.int64, np.uint64, np.int8):
        yield (
            f"TIFF {dtype.__name__}",
            tiff(
                ((GREY - 0.5) * 100).astype(dtype)
                if dtype == np.int8 or np.dtype(dtype).kind == "i"
                else (GREY * 1000).astype(dtype)
            ),
            True,
        )
    byte = (GREY * 255).astype(np.uint8)
    for format in ("PNG", "TIFF", "BMP", "GIF", "JPEG", "WEBP"):
        yield f"{format} 8", encoded(Image.fromarray(byte), format), False
    for mode in ("LA", "P", "1"):
        yield f"PNG {mode}", encoded(Image.fromarray(byte).convert(mode), "PNG"), False
    for mode in ("CMYK", "LAB"):
        pixels = Image.fromarray((COLOUR * 255).astype(np.uint8))
        image = pixels.convert(mode) if mode != "LAB" else Image.merge("LAB", pixels.split())
        yield f"TIFF {mode}", encoded(image, "TIFF"), False
    yield "TIFF of five channels", tiff(np.stack([GREY] * 5, axis=-1).astype(np.float32), planarconfig="contig"), None
    yield "TIFF of complex numbers", tiff(GREY.astype(np.complex64)), None
    yield "TIFF cut short", tiff(COLOUR.astype(np.float32), photometric="rgb")[:20_000], None


SOURCES = [*whole_numbers(), *other_kinds()]


def test_there_are_enough_kinds():
    assert len(SOURCES) >= 60


@pytest.mark.parametrize(("data", "deep"), [source[1:] for source in SOURCES], ids=[source[0] for source in SOURCES])
def test_every_kind_is_a_sensible_picture_or_refused_in_a_sentence(data, deep):
    if deep is None:
        with pytest.raises(ImageError) as caught:
            decode(data)
        assert caught.value.reason.endswith(".")
        return
    found = decode(data)
    assert (found.width, found.height) == (64, 48)
    assert bool(found.depth) == deep
    grey = np.asarray(found.image.convert("L"), float)
    assert 60 < grey.mean() < 200
    assert grey.std() > 15
    if deep:
        plane = np.asarray(found.image, float)[..., 0]
        assert np.corrcoef(plane.ravel(), GREY.ravel())[0, 1] > 0.99
    assert decode_square(data, 32).shape == (32, 32, 3)


@pytest.mark.parametrize("channels", [3, 4])
def test_the_lower_byte_of_colours_is_read(channels):
    values = RNG.integers(0, 65536, (20, 30, channels), dtype=np.uint16)
    files = [deep_png(values, 2 if channels == 3 else 6)]
    for options in ({}, {"compression": "zlib"}, {"byteorder": ">"}, {"tile": (16, 16)}):
        extra = {"extrasamples": ["unassalpha"]} if channels == 4 else {}
        files.append(tiff(values, photometric="rgb", **extra, **options))
    for data in files:
        with Image.open(io.BytesIO(data)) as image:
            deep = read_deep(data, image.format, depth_of(image))
        assert (deep.values == values[..., :3]).all()
        assert channels == 3 or (deep.alpha == values[..., 3] >> 8).all()


def test_a_transparent_value_of_sixteen_bits():
    values = np.full((4, 4), 500, np.uint16)
    values[0] = 1000
    image = Image.open(io.BytesIO(encoded(Image.fromarray(values), "PNG", transparency=500)))
    assert image.info["transparency"] == 500
    data = encoded(Image.fromarray(values), "PNG", transparency=500)
    found = np.asarray(decode_rgb(data, background=(9, 9, 9)))
    assert (found[1:] == 9).all()
    assert (found[0] != 9).all()


def test_numbers_that_are_no_values():
    values = GREY.astype(np.float32)
    plain = np.asarray(decode_rgb(tiff(values)), int)
    holes = values.copy()
    holes[3, 3], holes[4, 4], holes[5, 5] = np.nan, np.inf, -np.inf
    found = np.asarray(decode_rgb(tiff(holes)), int)
    assert (found[3, 3, 0], found[4, 4, 0], found[5, 5, 0]) == (0, 255, 0)
    assert np.abs(np.delete(found, (3, 4, 5), 0) - np.delete(plain, (3, 4, 5), 0)).max() <= 2
    lost = values.copy()
    lost[:8] = -9999
    data = tiff(lost, extratags=[(42113, 2, 0, "-9999", True)])
    assert np.asarray(decode_rgb(data), int)[8:].std() > 20
    assert np.asarray(decode_rgb(tiff(np.full((8, 8), np.nan, np.float32)))).max() == 0


@pytest.mark.parametrize("value", [0, 100, 4000, 65535])
def test_a_constant_picture_is_shown_in_the_least_depth(value):
    found = np.asarray(decode_rgb(encoded(Image.fromarray(np.full((8, 8), value, np.uint16)), "TIFF")))
    top = next(top for top in (255, 4095, 65535) if value <= top)
    assert np.abs(found.astype(int) - round(value / top * 255)).max() <= 1


def test_a_range_is_of_values_that_exist_and_does_not_depend_on_order():
    images = [RNG.integers(100, 4000, (40, 40)) for _ in range(5)]
    samples = [sample(Deep(values.astype(np.uint16), None, False, "16-bit grey")) for values in images]
    low, high = range_of(samples, floating=False)
    assert (low, high) == range_of(samples[::-1], floating=False)
    assert low == int(low) and 100 <= low < 120 and 3980 < high < 4000
    assert range_of([], floating=False) is None
    assert range_of([np.array([0.0, 1.0])], floating=True) == (0.0, 1.0)
