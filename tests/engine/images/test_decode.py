"""Whatever the format, orientation, colour mode or depth: the same upright picture comes out."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageOps

from engine.core.errors import InputError
from engine.images.decode import ImageError, PreprocessSettings, decode, decode_rgb, decode_square
from tests.engine.images.pictures import CORNERS, corners, encoded, noise, quarters

UPRIGHT = ["red", "green", "blue", "yellow"]
FORMATS = ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF", "HEIF", "AVIF"]


@pytest.mark.parametrize("format", FORMATS)
def test_every_format_gives_the_same_picture(format):
    found = decode(encoded(quarters(), format))
    assert (found.width, found.height) == (64, 48)
    assert found.format == {"HEIF": "heic"}.get(format, format.lower())
    assert found.image.mode == "RGB"
    assert corners(found.image) == UPRIGHT


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "HEIF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_turned_upright(format, orientation):
    undo = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}[orientation]
    stored = quarters(512, 384)
    if undo is not None:
        stored = stored.transpose(Image.Transpose(undo))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, format, exif=exif)
    if format != "HEIF":  # whose plugin keeps its own account of the turn
        assert corners(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")) == UPRIGHT
    whole = decode(data)
    assert (whole.width, whole.height) == whole.image.size
    if format == "HEIF":
        upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
        assert corners(whole.image) == corners(upright)
        return
    assert whole.image.size == (512, 384)
    assert corners(whole.image) == UPRIGHT
    assert decode_rgb(data, 100).size == (100, 75)
    assert corners(decode_rgb(data, 100)) == UPRIGHT
    for mode in ("resize", "center_crop"):
        assert corners(decode_square(data, 32, PreprocessSettings(mode=mode))) == UPRIGHT


def test_a_damaged_orientation_is_upright():
    exif = Image.Exif()
    exif[0x0112] = 77
    assert corners(decode_rgb(encoded(quarters(), "JPEG", exif=exif))) == UPRIGHT


def test_cmyk_palette_grey_and_one_bit():
    assert corners(decode_rgb(encoded(quarters().convert("CMYK"), "JPEG"))) == UPRIGHT
    assert corners(decode_rgb(encoded(quarters().convert("CMYK"), "TIFF"))) == UPRIGHT
    assert corners(decode_rgb(encoded(quarters().convert("P", palette=Image.Palette.ADAPTIVE), "PNG"))) == UPRIGHT
    grey = np.asarray(decode_rgb(encoded(quarters().convert("L"), "PNG")))
    assert (grey[..., 0] == grey[..., 1]).all()
    assert set(np.unique(np.asarray(decode_rgb(encoded(Image.new("1", (9, 9), 1), "PNG"))))) == {255}


def test_lab_becomes_rgb():
    lab = Image.merge("LAB", [Image.new("L", (8, 8), value) for value in (255, 128, 128)])
    assert np.asarray(decode_rgb(encoded(lab, "TIFF"))).min() > 245


@pytest.mark.parametrize("format", ["PNG", "TIFF"])
def test_sixteen_bits_keep_their_range(format):
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)
    image = Image.fromarray(np.tile(ramp, (4, 1)))
    found = np.asarray(decode_rgb(encoded(image, format)))[0, :, 0].astype(int)
    assert np.abs(found - np.arange(256)).max() <= 1


def test_twelve_bits_in_sixteen_are_not_black():
    ramp = np.linspace(0, 4095, 256).astype(np.uint16).reshape(16, 16)
    found = np.asarray(decode_rgb(encoded(Image.fromarray(ramp), "PNG")))[..., 0].astype(int)
    assert np.abs(found.ravel() - np.arange(256)).max() <= 1


@pytest.mark.parametrize("kind", ["RGB", "RGBA", "LA"])
def test_sixteen_bit_colour(kind):
    pixel = {"RGB": [65535, 32768, 0], "RGBA": [65535, 0, 0, 32768], "LA": [40000, 65535]}[kind]
    data = png(4, 2, b"".join(b"\0" + struct.pack(f">{4 * len(pixel)}H", *pixel * 4) for _ in range(2)), 16, kind)
    expected = {"RGB": (255, 128, 0), "RGBA": (255, 127, 127), "LA": (156, 156, 156)}[kind]
    assert np.abs(np.asarray(decode_rgb(data)).astype(int) - expected).max() <= 1


def test_the_main_picture_of_a_phone_photograph():
    small = Image.new("RGB", (64, 48))
    found = decode(encoded(quarters(), "MPO", save_all=True, append_images=[small]))
    assert found.format == "jpeg"
    assert corners(found.image) == UPRIGHT


@pytest.mark.parametrize(
    ("top", "dtype"), [(1.0, np.float32), (255.0, np.float32), (9.5, np.float32), (200000, np.int32)]
)
def test_deep_grey_spans_black_to_white(top, dtype):
    values = np.linspace(0, top, 64).astype(dtype).reshape(8, 8)
    found = np.asarray(decode_rgb(encoded(Image.fromarray(values), "TIFF")))
    assert found.min() == 0
    assert found.max() == 255


def test_nan_pixels_are_black():
    values = np.full((4, 4), np.nan, np.float32)
    values[0] = 1.0
    found = np.asarray(decode_rgb(encoded(Image.fromarray(values), "TIFF")))
    assert found[0].min() == 255
    assert found[1:].max() == 0


def test_alpha_is_laid_over_the_fill():
    clear = Image.new("RGBA", (10, 10), (255, 0, 0, 0))
    half = Image.new("RGBA", (10, 10), (0, 0, 0, 128))
    data = encoded(clear, "PNG")
    assert (np.asarray(decode_rgb(data)) == 255).all()
    assert (decode_square(data, 8, PreprocessSettings(fill="#102030")) == (16, 32, 48)).all()
    assert np.abs(np.asarray(decode_rgb(encoded(half, "WEBP", lossless=True))).astype(int) - 127).max() <= 1
    assert (np.asarray(decode_rgb(encoded(clear.convert("LA"), "PNG"))) == 255).all()
    palette = quarters().convert("P", palette=Image.Palette.ADAPTIVE, colors=4)
    seen = np.asarray(decode_rgb(encoded(palette, "PNG", transparency=palette.getpixel((0, 0)))))
    assert (seen[:24, :32] == 255).all()
    assert corners(seen)[1:] == UPRIGHT[1:]


def test_only_the_first_frame_of_an_animation():
    frames = [quarters(), Image.new("RGB", (64, 48)), Image.new("RGB", (64, 48), "white")]
    for format in ("GIF", "WEBP", "PNG", "TIFF"):
        data = encoded(frames[0], format, save_all=True, append_images=frames[1:])
        assert corners(decode_rgb(data)) == UPRIGHT


@pytest.mark.parametrize("size", [(1, 1), (1, 500), (500, 1), (3, 2)])
@pytest.mark.parametrize("mode", ["letterbox", "resize", "center_crop"])
def test_any_shape_becomes_a_square(size, mode):
    for format in ("PNG", "JPEG"):
        square = decode_square(
            encoded(Image.new("RGB", size, (200, 10, 10)), format), 32, PreprocessSettings(mode=mode)
        )
        assert square.shape == (32, 32, 3)
        assert square.dtype == np.uint8
        assert square[15, 15, 0] > 150


def test_a_panorama_works_and_a_bomb_does_not():
    panorama = encoded(Image.new("RGB", (30_000, 300), (10, 200, 10)), "JPEG")
    found = decode(panorama, 256)
    assert (found.width, found.height) == (30_000, 300)
    assert found.image.size == (256, 3)
    assert decode_square(panorama, 64).shape == (64, 64, 3)
    with pytest.raises(ImageError, match="pixels"):
        decode(claimed_png(20_000, 20_000))
    with pytest.raises(ImageError, match="pixels"):
        decode(claimed_png(14_000, 14_000))


def test_a_jpeg_of_more_pixels_is_decoded_at_the_scale_that_is_asked_for():
    data = encoded(Image.new("L", (16_320, 6_000), 77), "JPEG")
    assert (decode(data, 256).image.size, decode(data, 256).width) == ((256, 94), 16_320)
    assert (decode_square(data, 64)[32, 32] == 77).all()
    with pytest.raises(ImageError, match="16320 x 6000 pixels, more than the limit of 50 megapixels"):
        decode(data, max_pixels=50_000_000)


def png(width: int, height: int, rows: bytes, depth: int = 8, kind: str = "RGB") -> bytes:
    """A PNG written by hand: Pillow writes no 16-bit colour and claims no size that it does not have."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, {"RGB": 2, "LA": 4, "RGBA": 6}[kind], 0, 0, 0)
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


def claimed_png(width: int, height: int) -> bytes:
    """A PNG of a few bytes that claims a size."""
    return png(width, height, b"\0" * 1000)


def test_letterbox_keeps_the_whole_picture_centred():
    settings = PreprocessSettings(fill="#ff00ff")
    square = decode_square(encoded(Image.new("RGB", (200, 100), (0, 0, 0)), "PNG"), 40, settings)
    assert (square[:10] == (255, 0, 255)).all()
    assert (square[30:] == (255, 0, 255)).all()
    assert (square[10:30] == 0).all()
    tall = decode_square(encoded(quarters(48, 64), "PNG"), 64, settings)
    assert corners(tall[:, 8:56]) == UPRIGHT


def test_center_crop_shows_the_middle_and_resize_everything():
    wide = np.zeros((20, 60, 3), np.uint8)
    wide[:, 20:40] = 255
    data = encoded(Image.fromarray(wide), "PNG")
    crop = decode_square(data, 20, PreprocessSettings(mode="center_crop"))
    assert (crop == 255).all()
    whole = decode_square(data, 60, PreprocessSettings(mode="resize"))
    assert whole[30, 5, 0] == 0
    assert whole[30, 30, 0] == 255


def test_the_fast_jpeg_path_stays_close_to_the_slow_one(rng):
    smooth = Image.fromarray(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8)).resize(
        (1024, 768), Image.Resampling.BICUBIC
    )
    data = encoded(smooth, "JPEG", quality=95)
    for mode in ("letterbox", "center_crop", "resize"):
        fast = decode_square(data, 224, PreprocessSettings(mode=mode)).astype(int)
        exact = Image.open(io.BytesIO(data)).convert("RGB")
        if mode == "letterbox":
            fast, exact = fast[28:196], exact.resize((224, 168), Image.Resampling.BICUBIC)
        elif mode == "center_crop":
            exact = exact.crop((128, 0, 896, 768)).resize((224, 224), Image.Resampling.BICUBIC)
        else:
            exact = exact.resize((224, 224), Image.Resampling.BICUBIC)
        assert np.abs(fast - np.asarray(exact, int)).mean() < 1.0


@pytest.mark.parametrize("format", FORMATS)
def test_a_file_cut_short_is_told(format):
    data = encoded(noise(1, 300, 200), format)
    for share in (0.1, 0.5, 0.9):
        with pytest.raises(ImageError) as caught:
            decode(data[: int(len(data) * share)])
        assert caught.value.reason.endswith(".")
        assert "\n" not in caught.value.reason
        assert "cut short" in caught.value.reason or "damaged at its beginning" in caught.value.reason


@pytest.mark.filterwarnings("ignore:Truncated File Read")
@pytest.mark.parametrize("format", FORMATS)
def test_random_damage_decodes_or_is_told(format):
    rng = np.random.default_rng(3)
    data = encoded(quarters(), format)
    for _ in range(40):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), 4):
            damaged[at] = rng.integers(0, 256)
        try:
            assert decode(bytes(damaged), 64).image.mode == "RGB"
        except ImageError as error:
            assert error.reason.endswith(".")


def test_what_is_no_image_is_told():
    with pytest.raises(ImageError, match="empty"):
        decode(b"")
    with pytest.raises(ImageError, match="Not an image"):
        decode(b"Dear diary, this is a text with the name of a picture.")
    with pytest.raises(ImageError, match="cannot be decoded"):
        decode(b"II*\0" + bytes(100))
    with pytest.raises(ImageError, match="Not an image"):
        decode(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n")  # formats that run programs are not opened


def test_fill_must_be_a_colour():
    assert PreprocessSettings.parse({"fill": "#ABCDEF"}).rgb == (171, 205, 239)
    with pytest.raises(InputError, match="six hex digits"):
        PreprocessSettings.parse({"fill": "grey"})
    assert PreprocessSettings().key() != PreprocessSettings(fill="#000000").key()


def test_turned_colours_are_what_the_test_thinks():
    assert corners(quarters()) == UPRIGHT == list(CORNERS)


@pytest.mark.parametrize("mode", ["letterbox", "resize", "center_crop"])
def test_a_square_is_written_into_its_place_in_a_batch_and_earlier_pixels_there_are_gone(mode):
    data = encoded(quarters(90, 40), "PNG")
    batch = np.full((3, 32, 32, 3), 7, np.uint8)
    settings = PreprocessSettings(mode=mode)
    alone = decode_square(data, 32, settings)
    given = decode_square(data, 32, settings, into=batch[1])
    assert given.base is batch
    np.testing.assert_array_equal(batch[1], alone)
    assert (batch[[0, 2]] == 7).all()
    alone[:] = 0
    np.testing.assert_array_equal(decode_square(data, 32, settings), batch[1])


def test_a_jpeg_that_names_its_orientation_only_in_xmp_is_turned_as_well():
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    xmp += b'<rdf:Description xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6"/></rdf:RDF></x:xmpmeta>'
    plain, turned = (encoded(quarters(64, 48), "JPEG", **more) for more in ({}, {"xmp": xmp}))
    assert decode_rgb(plain).size == (64, 48)
    assert decode_rgb(turned).size == (48, 64)
