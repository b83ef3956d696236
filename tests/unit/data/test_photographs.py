"""Photographs: bundled ones need no file, folders are read by name, broken ones are told."""

import numpy as np
import pytest
from PIL import Image

from shiftproof.data.photographs import bundled_photographs, bundled_textures, open_album, open_photographs
from shiftproof.errors import DataError


def test_the_bundled_ones_are_whole_without_a_download():
    album = bundled_photographs()
    assert len(album) == 8
    for p in album.photographs:
        assert p.pixels.dtype == np.uint8
        assert min(p.grey.shape) >= 300
        assert 0 <= p.grey.min() < p.grey.max() <= 1
    assert all(p.grey.shape == (512, 512) for p in bundled_textures().photographs)


def test_grey_is_luma():
    album = bundled_photographs()
    cat = next(p for p in album.photographs if p.name == "chelsea")
    r, g, b = cat.pixels[10, 20].astype(float)
    assert cat.grey[10, 20] == pytest.approx((0.299 * r + 0.587 * g + 0.114 * b) / 255)


def test_a_folder_wins_over_the_bundled_ones(tmp_path):
    assert open_photographs("mnist").word == bundled_photographs().word
    kodak = tmp_path / "photos" / "kodak"
    kodak.mkdir(parents=True)
    for name in ("b", "a"):
        Image.fromarray(np.full((4, 6, 3), 7, np.uint8)).save(kodak / f"{name}.png")
    for album in (open_photographs(str(tmp_path)), open_photographs(str(tmp_path), many=True), open_album(kodak)):
        assert [p.name for p in album.photographs] == ["a", "b"]
        assert album.word == "2 photographs of kodak"


def test_an_empty_folder_and_a_broken_picture_are_told(tmp_path):
    with pytest.raises(DataError, match="no photograph"):
        open_photographs(str(tmp_path))
    (tmp_path / "x.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"x\.png"):
        open_album(tmp_path)


def test_postscript_under_the_name_of_a_png_is_refused(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n")
    with Image.open(path) as image:  # Pillow itself would go by the content and start an interpreter for it
        assert image.format == "EPS"
    with pytest.raises(DataError, match="cannot identify"):
        open_album(tmp_path)
