import io
import struct
import subprocess
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from shiftproof.data.decode import decode, size_of
from shiftproof.data.photographs import open_album
from shiftproof.errors import BadItemError, DataError


def test_lossless_formats(tmp_path, save, random_bytes):
    colour, grey = random_bytes(5, 7, 3), random_bytes(5, 7)
    for suffix in ("png", "bmp", "tif", "ppm"):
        assert np.array_equal(decode(save(tmp_path / f"a.{suffix}", colour)).pixels, colour)
        assert np.array_equal(decode(save(tmp_path / f"g.{suffix}", grey)).pixels, grey[..., None])
    assert np.array_equal(decode(save(tmp_path / "a.webp", colour, lossless=True)).pixels, colour)


def test_the_content_counts_not_the_suffix(tmp_path, save, random_bytes):
    colour = random_bytes(5, 7, 3)
    save(tmp_path / "a.png", colour).rename(tmp_path / "a.jpg")
    assert np.array_equal(decode(tmp_path / "a.jpg").pixels, colour)


def test_what_an_error_calls_the_file(tmp_path):
    path = tmp_path / "a.png"
    path.touch()
    for name, where in (("x/a.png", "x/a.png"), ("", str(path))):
        with pytest.raises(BadItemError) as caught:
            decode(path, name)
        assert caught.value.where == where


TURNS = {  # EXIF orientation -> what makes the stored pixels upright
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: np.rot90(a, -1),
    7: lambda a: np.rot90(a, 2).swapaxes(0, 1),
    8: lambda a: np.rot90(a),
}


@pytest.mark.parametrize("orientation", TURNS)
def test_exif_orientation(tmp_path, save, random_bytes, orientation):
    colour = random_bytes(4, 6, 3)
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = save(tmp_path / "a.png", colour, exif=exif)
    assert np.array_equal(decode(path).pixels, TURNS[orientation](colour))
    h, w, c = TURNS[orientation](colour).shape
    assert size_of(path) == (c, h, w)


def test_modes(tmp_path, random_bytes):
    colour = Image.fromarray(random_bytes(6, 8, 3))
    expected = {"1": 1, "L": 1, "LA": 1, "P": 3, "RGB": 3, "RGBA": 3, "CMYK": 3}
    for mode, channels in expected.items():
        path = tmp_path / f"{mode}.{'tif' if mode == 'CMYK' else 'png'}"
        colour.convert(mode).save(path)
        assert decode(path).pixels.shape == (6, 8, channels), mode
        assert size_of(path) == (channels, 6, 8), mode


def test_transparency_is_dropped(tmp_path, random_bytes):
    pixels = random_bytes(6, 8, 4)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(decode(tmp_path / "a.png").pixels, pixels[..., :3])
    palette = Image.fromarray(pixels[..., :3]).convert("P", palette=Image.Palette.ADAPTIVE)
    palette.save(tmp_path / "p.png", transparency=bytes(range(256)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.array_equal(decode(tmp_path / "p.png").pixels, np.asarray(palette.convert("RGB")))


def test_transparency_is_told(tmp_path, random_bytes):
    pixels = random_bytes(6, 8, 4)
    for alpha, found in ((255, False), (254, True), (0, True)):
        pixels[..., 3] = 255
        pixels[2, 3, 3] = alpha
        for mode in ("RGBA", "LA"):
            Image.fromarray(pixels).convert(mode).save(tmp_path / "a.png")
            assert decode(tmp_path / "a.png").transparent is found
    grey = Image.fromarray(random_bytes(6, 8))
    grey.save(tmp_path / "g.png")
    assert decode(tmp_path / "g.png").transparent is False
    grey.save(tmp_path / "k.png", transparency=grey.getpixel((0, 0)))  # one level of grey is transparent
    assert decode(tmp_path / "k.png").transparent is True


def _png_of_16_bits(values):
    """A PNG file of 16 bits per channel in colour, which Pillow reads but cannot write."""
    h, w, _ = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)

    def chunk(kind, content):
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", w, h, 16, 2, 0, 0, 0)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_the_largest_value_of_sixteen_bits_is_told(tmp_path):
    for high in (4095, 65535):
        values = np.full((3, 4), high, np.uint16)
        Image.fromarray(values).save(tmp_path / "grey.png")
        assert decode(tmp_path / "grey.png").high16 == high
        (tmp_path / "colour.png").write_bytes(_png_of_16_bits(np.stack([values, values // 2, values // 4], -1)))
        found = decode(tmp_path / "colour.png")
        assert found.pixels[0, 0].tolist() == [high // 256, high // 512, high // 1024]
        assert found.high16 == high
    Image.fromarray(np.full((3, 4), 255, np.uint8)).save(tmp_path / "grey.png")
    assert decode(tmp_path / "grey.png").high16 is None


def test_sixteen_bits_become_eight(tmp_path):
    values = np.array([[0, 128, 129, 257, 32768, 65535]], np.uint16)
    Image.fromarray(values).save(tmp_path / "a.png")
    assert decode(tmp_path / "a.png").pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    Image.fromarray(values.astype(np.int32)).save(tmp_path / "i.tif")
    assert decode(tmp_path / "i.tif").pixels[0, :, 0].tolist() == [0, 0, 1, 1, 128, 255]
    Image.fromarray(np.array([[0.0, 0.5, 1.0]], np.float32)).save(tmp_path / "f.tif")
    assert decode(tmp_path / "f.tif").pixels[0, :, 0].tolist() == [0, 128, 255]
    for k, values in enumerate([np.array([[70000]], np.int32), np.array([[np.nan, 2]], np.float32)]):
        Image.fromarray(values).save(tmp_path / f"{k}.tif")
        with pytest.raises(BadItemError, match="pixels outside"):
            decode(tmp_path / f"{k}.tif")


def test_animations_give_their_first_frame(tmp_path, random_bytes):
    first, second = (Image.fromarray(random_bytes(4, 4)) for _ in range(2))
    first.save(tmp_path / "a.gif", save_all=True, append_images=[second])
    assert np.array_equal(decode(tmp_path / "a.gif").pixels[..., 0], np.asarray(first))


def test_files_that_are_no_pictures(tmp_path, save, random_bytes):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    path = save(tmp_path / "cut.jpg", random_bytes(64, 64, 3))
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    cases = {"empty.jpg": "empty", "text.jpg": "not a picture", "cut.jpg": "truncated", "none.jpg": "no such file"}
    for name, message in cases.items():
        with pytest.raises(BadItemError, match=message) as caught:
            decode(tmp_path / name)
        assert name in str(caught.value)


def test_a_bomb(tmp_path, monkeypatch, save, random_bytes):
    path = save(tmp_path / "big.png", random_bytes(20, 20, 3))
    assert decode(path).pixels.shape == (20, 20, 3)
    for limit in (399, 150):  # Pillow warns about the first and raises at the second
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        for action in ("error", "ignore"):
            with warnings.catch_warnings():
                warnings.simplefilter(action)
                with pytest.raises(BadItemError, match=r"too large.*big\.png"):
                    decode(path)


def test_a_jpeg_of_a_thousand_scans(tmp_path, random_bytes):
    path = tmp_path / "a.jpg"
    Image.fromarray(random_bytes(3000, 4000)).resize((4000, 3000)).save(path, progressive=True)
    content = path.read_bytes()
    assert 2 < content.count(b"\xff\xda") < 20
    assert decode(path).pixels.shape == (3000, 4000, 1)
    last = content.rindex(b"\xff\xda")
    path.write_bytes(content[:-2] + content[last : last + 40] * 200 + content[-2:])
    with pytest.raises(BadItemError, match=r"more than 178 scans \(.*a\.jpg\)"):
        decode(path)
    with pytest.raises(DataError, match="more than 178 scans"):
        open_album(tmp_path)


def test_postscript_is_not_run(tmp_path, monkeypatch):
    started = []
    monkeypatch.setattr(subprocess, "check_call", lambda *a, **k: started.append(a))
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: started.append(a))
    (tmp_path / "a.jpg").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    )
    with pytest.raises(BadItemError, match="not a picture"):
        decode(tmp_path / "a.jpg")
    assert started == []


@given(
    kind=st.sampled_from(["JPEG", "PNG", "GIF", "WEBP", "TIFF", "BMP"]),
    spoil=st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), min_size=1, max_size=8),
)
def test_spoilt_bytes_raise_nothing_else(tmp_path_factory, kind, spoil):
    buffer = io.BytesIO()
    Image.fromarray(np.arange(16 * 16 * 3, dtype=np.uint8).reshape(16, 16, 3)).save(buffer, kind)
    content = bytearray(buffer.getvalue())
    for at, byte in spoil:
        content[int(at * (len(content) - 1))] = byte
    path = tmp_path_factory.mktemp("spoilt") / "a.jpg"
    path.write_bytes(content)
    try:
        picture = decode(path)
    except BadItemError:
        return
    assert picture.pixels.dtype == np.uint8


def test_the_real_photographs(shared_data):
    for path in sorted((shared_data / "photos" / "imagenet_samples").glob("*.JPEG"))[:10]:
        with Image.open(path) as image:
            assert decode(path).pixels.shape[:2] == (image.height, image.width)
