"""Encoded images: what decodes to which pixels, and what is refused before and after it was decoded."""

import io
import struct
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sequences.errors import DataFileError
from sequences.images import EncodedImage, decode_depth, decode_rgb

WIDTH, HEIGHT = 131, 97
SIZE = (WIDTH, HEIGHT)


def picture():
    """Smooth colours with noise on them, uint8 [H, W, 3]."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    waves = [127 + 90 * np.sin(columns / (7 + channel) + rows / 11) for channel in range(3)]
    noise = np.random.default_rng(0).normal(0, 12, (HEIGHT, WIDTH, 3))
    return np.clip(np.stack(waves, axis=-1) + noise, 0, 255).astype(np.uint8)


def saved(image, kind, **options):
    """An image as Pillow writes it."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def jpeg(**options):
    return saved(Image.fromarray(picture()), "JPEG", **options)


def colour(content):
    return EncodedImage(content, Path("rgb/7.jpg"), 7, "colour")


def refused(content):
    with pytest.raises(DataFileError, match=r"^rgb/7\.jpg: frame 7: the colour image ") as caught:
        decode_rgb(colour(content), SIZE)
    return str(caught.value)


def by_opencv(content):
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    return cv2.cvtColor(cv2.imdecode(np.frombuffer(content, np.uint8), flags), cv2.COLOR_BGR2RGB)


def jpeg_of_one_grey(factors):
    """A grey JPEG of three channels with the sampling factors given, in which no pixel differs from another.

    The standard code has 00 for "as the block before", and 1010 or 00 for "nothing follows" in luminance and
    chrominance (ITU-T T.81, tables K.3 to K.6).
    """
    written = cv2.imencode(".jpg", np.full((HEIGHT, WIDTH, 3), 128, np.uint8))[1].tobytes()
    content, frame = bytearray(written), written.index(b"\xff\xc0")
    for component, factor in enumerate(factors):
        content[frame + 11 + 3 * component] = factor
    scan = written.index(b"\xff\xda")
    (length,) = struct.unpack(">H", written[scan + 2 : scan + 4])
    across, down = (8 * max(factor >> shift & 15 for factor in factors) for shift in (4, 0))
    blocks = [(factor >> 4) * (factor & 15) for factor in factors]
    bits = ("001010" * blocks[0] + "0000" * sum(blocks[1:])) * (-(-WIDTH // across) * -(-HEIGHT // down))
    bits += "1" * (-len(bits) % 8)
    return bytes(content[: scan + 2 + length]) + int(bits, 2).to_bytes(len(bits) // 8) + b"\xff\xd9"


@pytest.mark.parametrize("quality", [40, 95])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:2", "4:2:0"])
def test_jpegs_have_the_pixels_that_opencv_gives_them(subsampling, progressive, quality):
    content = jpeg(quality=quality, progressive=progressive, subsampling=subsampling)
    np.testing.assert_array_equal(decode_rgb(colour(content), SIZE), by_opencv(content))


def test_a_grey_jpeg_gets_three_equal_channels():
    content = saved(Image.fromarray(picture()).convert("L"), "JPEG")
    decoded = decode_rgb(colour(content), SIZE)
    np.testing.assert_array_equal(decoded, by_opencv(content))
    assert (decoded == decoded[..., :1]).all()


def test_the_orientation_that_a_camera_wrote_is_ignored():
    exif = Image.Exif()
    exif[0x0112] = 6
    np.testing.assert_array_equal(decode_rgb(colour(jpeg(exif=exif)), SIZE), by_opencv(jpeg()))


@pytest.mark.parametrize("factors", [(0x11, 0x21, 0x11), (0x42, 0x11, 0x11), (0x14, 0x11, 0x11)])
def test_jpegs_with_channels_of_unusual_sizes_are_read(factors):
    content = jpeg_of_one_grey(factors)
    np.testing.assert_array_equal(decode_rgb(colour(content), SIZE), np.full((HEIGHT, WIDTH, 3), 128))
    assert "is truncated or damaged" in refused(content[:-2])
    with pytest.raises(DataFileError, match="is 131×97, the calibration says 97×131"):
        decode_rgb(colour(content), SIZE[::-1])


@pytest.mark.parametrize("subsampling", ["4:4:4", "4:2:0"])
def test_jpegs_in_the_colours_of_printers_are_read(subsampling):
    content = saved(Image.fromarray(picture()).convert("CMYK"), "JPEG", subsampling=subsampling)
    np.testing.assert_array_equal(decode_rgb(colour(content), SIZE), by_opencv(content))


def test_what_a_camera_appends_to_a_jpeg_does_no_harm():
    np.testing.assert_array_equal(decode_rgb(colour(jpeg() + bytes(5000)), SIZE), by_opencv(jpeg()))


@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: content[: len(content) // 2] + b"\xff\xd9",
        lambda content: content[:-2],
        lambda content: content[:3000] + bytes(range(200)) * 3 + content[3600:],
        lambda content: content[:3000] + content[3600:],
    ],
    ids=["half", "half with an end", "no end", "600 bytes overwritten", "600 bytes lost"],
)
def test_a_damaged_jpeg_is_refused_with_file_and_frame_and_libjpeg_is_silent(capfd, damage, progressive):
    assert "is truncated or damaged" in refused(damage(jpeg(quality=95, progressive=progressive)))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "content", [b"\xff\xd8", b"\xff\xd8\xff\xe0 no picture"], ids=["start alone", "text"]
)
def test_what_only_begins_like_a_jpeg_is_refused(content):
    assert "download or export the file again" in refused(content)


def test_jpegs_are_decoded_by_several_threads_at_once():
    contents = [jpeg(quality=quality) for quality in range(20, 100)]
    with ThreadPoolExecutor(8) as threads:
        decoded = list(threads.map(lambda content: decode_rgb(colour(content), SIZE), contents))
    for content, pixels in zip(contents, decoded, strict=True):
        np.testing.assert_array_equal(pixels, by_opencv(content))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "TIFF", "WEBP", "PPM"])
def test_an_image_of_another_size_is_refused_before_memory_is_taken_for_its_pixels(kind):
    content = saved(Image.new("RGB", (2600, 2500)), kind)
    tracemalloc.start()
    try:
        assert "is 2600×2500, the calibration says 131×97" in refused(content)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 2600 * 2500 * 3 / 4


def test_a_jpeg_of_several_channels_with_unusual_sizes_is_measured_first_as_well():
    content = bytearray(jpeg_of_one_grey((0x42, 0x11, 0x11)))
    struct.pack_into(">2H", content, content.index(b"\xff\xc0") + 5, 4000, 4000)
    tracemalloc.start()
    try:
        assert "is 4000×4000, the calibration says 131×97" in refused(bytes(content))
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert most < 4000 * 4000


def test_a_header_that_states_more_pixels_than_there_may_be_is_refused():
    content = bytearray(saved(Image.new("RGB", SIZE), "BMP"))
    struct.pack_into("<2i", content, 18, 100_000, 100_000)
    assert "is far too large" in refused(bytes(content))


@pytest.mark.parametrize(
    "content", [b"<html>", b"P6 99999999999999999999 1 255\n", b"BM", b"II*\x00", b"RIFF....WEBPVP8 "]
)
def test_what_is_no_image_is_refused(content):
    assert "cannot be decoded" in refused(content)


def test_a_png_without_a_header_is_refused():
    assert "has no size in it" in refused(b"\x89PNG\r\n\x1a\n\0\0\0\0IEND\xaeB`\x82")


def test_depth_in_a_jpeg_is_refused_with_what_to_do():
    image = EncodedImage(saved(Image.new("L", SIZE), "JPEG"), Path("depth/7.jpg"), 7, "depth")
    with pytest.raises(DataFileError, match=r"has 8 bits per pixel, too few .* export it as a 16-bit PNG"):
        decode_depth(image, SIZE, 1000)
