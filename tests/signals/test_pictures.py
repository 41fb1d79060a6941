"""PNG bytes against two other programs that read them: OpenCV and Pillow."""

import io

import numpy as np
import PIL.Image
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ecg_tasks.errors import SignalError
from ecg_tasks.signals.pictures import decode_grey, decode_rgb, encode_cells, encode_grey, encode_indexed, encode_rgb


def by_pillow(png, mode):
    """Pixels as Pillow reads them."""
    return np.asarray(PIL.Image.open(io.BytesIO(png)).convert(mode))


@settings(deadline=None)
@given(hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, max_side=20)))
def test_roundtrip_grey(pixels):
    """Grey pixels come back as they were, through our own reader and through Pillow."""
    pngs = encode_grey(pixels)
    assert np.array_equal(decode_grey(pngs, shape=pixels.shape[1:]), pixels)
    assert all(np.array_equal(by_pillow(png, "L"), one) for png, one in zip(pngs, pixels, strict=True))


@settings(deadline=None)
@given(hnp.arrays(np.uint8, st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3))))
def test_roundtrip_rgb(pixels):
    """Colours come back in the order red, green, blue."""
    png = encode_rgb(pixels)
    assert np.array_equal(decode_rgb([png], shape=pixels.shape[:2])[0], pixels)
    assert np.array_equal(by_pillow(png, "RGB"), pixels)


@settings(deadline=None)
@given(st.data(), st.integers(1, 256))
def test_roundtrip_indexed(data, n_colours):
    """Pictures that share their pixels differ only by their palettes."""
    shape = data.draw(hnp.array_shapes(min_dims=2, max_dims=2, max_side=20))
    pixels = data.draw(hnp.arrays(np.uint8, shape, elements=st.integers(0, n_colours - 1)))
    palettes = np.random.default_rng(n_colours).integers(0, 256, (3, n_colours, 3), dtype=np.uint8)
    pngs = encode_indexed(pixels, palettes=palettes)
    assert np.array_equal(decode_rgb(pngs, shape=shape), palettes[:, pixels])
    assert all(np.array_equal(by_pillow(png, "RGB"), palette[pixels]) for png, palette in zip(pngs, palettes, strict=True))


@settings(deadline=None)
@given(st.data(), st.integers(1, 4), st.integers(1, 9), st.integers(1, 9))
def test_cells_are_drawn_as_rectangles(data, n, n_rows, n_columns):
    """Each picture has the pixels that its cells, repeated, make, whatever picture was drawn before it."""
    cells = data.draw(hnp.arrays(np.uint8, (n, n_rows, n_columns)))
    row = np.repeat(np.arange(n_rows)[::-1], data.draw(st.integers(1, 5)))
    column = np.repeat(np.arange(n_columns), data.draw(st.integers(1, 5)))
    palette = np.random.default_rng(n).integers(0, 256, (256, 3), dtype=np.uint8)
    pngs = encode_cells(cells, row=row, column=column, palette=palette)
    expected = palette[cells[:, row][:, :, column]]
    assert np.array_equal(decode_rgb(pngs, shape=(len(row), len(column))), expected)
    assert all(np.array_equal(by_pillow(png, "RGB"), pixels) for png, pixels in zip(pngs, expected, strict=True))


@pytest.mark.parametrize("damaged", [b"", b"not a PNG", encode_grey(np.zeros((1, 5, 5), np.uint8))[0][:30]])
def test_what_is_no_png_is_refused(damaged):
    """The message says which picture it is, and what was expected."""
    good = encode_grey(np.zeros((1, 5, 5), np.uint8))[0]
    with pytest.raises(SignalError, match=r"picture 1 of 2 is no picture; it must be a PNG of shape \(5, 5\)"):
        decode_grey([good, damaged], shape=(5, 5))


def test_a_picture_of_another_size_is_refused():
    """The message names both sizes."""
    with pytest.raises(SignalError, match=r"\(5, 6\); it must be a PNG of shape \(6, 5\)"):
        decode_grey(encode_grey(np.zeros((1, 5, 6), np.uint8)), shape=(6, 5))


def test_no_pictures_are_no_pixels():
    """An empty shard decodes to an empty array of the right shape."""
    assert decode_grey([], shape=(4, 7)).shape == (0, 4, 7)
    assert decode_rgb([], shape=(4, 7)).shape == (0, 4, 7, 3)
