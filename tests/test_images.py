import io
import os
import struct
import warnings
import zlib

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from image_files import write_image
from PIL import Image

from common.errors import UserError
from datasets import images
from preprocessing import pixels


def encode(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def test_bytes_of_an_rgb_jpeg_are_kept():
    content = encode(Image.new('RGB', (30, 20), (10, 200, 30)), 'JPEG')
    assert images.to_jpeg(content, 'x') == (content, 20, 30, 1, 0)


@pytest.mark.parametrize('image, file_format, expected', [
    (Image.new('L', (30, 20), 77), 'JPEG', (77, 77, 77)),
    (Image.new('CMYK', (30, 20), (255, 0, 0, 0)), 'JPEG', (0, 255, 255)),
    (Image.new('RGBA', (30, 20), (9, 99, 199, 255)), 'PNG', (9, 99, 199)),
    (Image.new('P', (30, 20), 0), 'PNG', (0, 0, 0)),
    (Image.new('1', (30, 20), 1), 'PNG', (255, 255, 255)),
    (Image.new('CMYK', (30, 20), (0, 255, 255, 0)), 'JPEG', (255, 0, 0)),
    (Image.fromarray(np.full([20, 30], 0x8000, np.uint16)), 'PNG', (128, 128, 128)),
    (Image.fromarray(np.full([20, 30], 0x0800, np.uint16)), 'PNG', (128, 128, 128)),
    (Image.fromarray(np.full([20, 30], 200, np.int32)), 'TIFF', (200, 200, 200)),
    (Image.fromarray(np.full([20, 30], .6, np.float32)), 'TIFF', (153, 153, 153))],
    ids=['gray', 'cmyk', 'alpha', 'palette', 'bilevel', 'red cmyk', '16-bit', '12 of 16 bits',
         'int32', 'float'])
def test_other_images_are_converted_to_rgb(image, file_format, expected):
    jpeg = images.to_jpeg(encode(image, file_format), 'x')
    assert (jpeg.height, jpeg.width) == (20, 30)
    pixels = np.asarray(Image.open(io.BytesIO(jpeg.encoded)))
    assert pixels.shape == (20, 30, 3)
    np.testing.assert_allclose(pixels[10, 15], expected, atol=3)


def test_truncated_jpeg_fails():
    content = encode(Image.effect_noise((200, 200), 50).convert('RGB'), 'JPEG')
    for convert in (images.to_jpeg, images.to_upright):
        with pytest.raises(images.BadImage, match='photo.jpg: does not decode'):
            convert(content[:len(content) // 2], 'photo.jpg')


def test_prediction_rotates_images_as_exif_says():
    exif = Image.Exif()
    exif[0x0112] = 6   # rotated by 90 degrees
    content = encode(Image.new('RGB', (30, 20)), 'JPEG', exif=exif)
    assert images.to_jpeg(content, 'x')[1:] == (20, 30, 6, 0)
    assert images.to_upright(content, 'x')[1:] == (30, 20, 1, 0)


# The tag says on which side the first row and the first column of the stored pixels lie. The first
# stored pixel is therefore at (row, column):
@pytest.mark.parametrize('orientation, first_pixel', [
    (1, (0, 0)), (2, (0, -1)), (3, (-1, -1)), (4, (-1, 0)), (5, (0, 0)), (6, (0, -1)),
    (7, (-1, -1)), (8, (-1, 0))])
@pytest.mark.parametrize('file_format', ['JPEG', 'PNG'])
def test_orientation_is_applied_if_asked_for(orientation, first_pixel, file_format):
    stored = np.zeros([48, 64, 3], np.uint8)
    stored[:16, :16] = 255
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encode(Image.fromarray(stored), file_format, exif=exif)
    image = images.to_jpeg(content, 'x')
    assert (image.height, image.width, image.orientation) == (48, 64, orientation)
    image = images.to_jpeg(content, 'x', apply_orientation=True)
    size = (64, 48) if orientation > 4 else (48, 64)
    assert (image.height, image.width, image.orientation) == (*size, 1)
    upright = np.asarray(Image.open(io.BytesIO(image.encoded)))
    assert upright.shape == (*size, 3) and upright[first_pixel].min() > 240
    assert upright[8:-8, 8:-8].mean() < 20


@pytest.mark.parametrize('exif', [b'Exif\0\0', b'Exif\0\0II*\0\xff\xff\xff\xff', b'x' * 20,
                                  # an orientation of 9, which does not exist
                                  b'Exif\0\0II*\0\x08\0\0\0\1\0\x12\1\3\0\1\0\0\0\x09\0\0\0\0\0\0\0'])
def test_broken_exif_is_upright(exif):
    content = encode(Image.new('RGB', (30, 20)), 'JPEG', exif=exif)
    assert images.to_jpeg(content, 'x').orientation == 1


def test_first_image_of_an_mpo_keeps_the_bytes_of_the_file(evaluate):
    first, second = (Image.fromarray(NOISE).resize((64, 48)), Image.new('RGB', (64, 48)))
    content = encode(first, 'MPO', save_all=True, append_images=[second])
    assert Image.open(io.BytesIO(content)).format == 'MPO'
    for read in (images.to_jpeg, images.to_upright):
        assert read(content, 'x')[:3] == (content, 48, 64)
    decoded = evaluate(pixels.decode_image(tf.constant(content)))
    np.testing.assert_array_equal(decoded, Image.open(io.BytesIO(content)))


@pytest.mark.parametrize('junk, reason', [
    (b'\0' * 9, None), (b'\xff\x00\xff\xd3', None), (b'\xff\xfe\0\4hi', None), (b'\xff\1', None),
    (b'\xff\xea\x20\0', 'no end marker'), (b'\xff\x13', 'broken data stream')])
def test_bytes_before_the_end_marker_as_tensorflow_reads_them(evaluate, junk, reason):
    content = encode(Image.fromarray(NOISE), 'JPEG')
    content = content[:-2] + junk + content[-2:]
    decode = pixels.decode_image(tf.constant(content))
    if reason is None:
        assert images.to_jpeg(content, 'x').encoded == content
        evaluate(decode)
    else:
        with pytest.raises(images.BadImage, match=f'x: does not decode .{reason}'):
            images.to_jpeg(content, 'x')
        with pytest.raises(tf.errors.InvalidArgumentError):
            evaluate(decode)


def test_arithmetic_jpeg_is_kept_and_tensorflow_decodes_it(evaluate):
    # Arithmetic coding leaves out zeros at the end, so that a gray image has no data at all.
    content = encode(Image.new('L', (16, 8), 128).convert('RGB'), 'JPEG')
    header = content[:content.index(b'\xff\xc4')].replace(b'\xff\xc0', b'\xff\xc9')
    scan = content.index(b'\xff\xda')
    content = header + content[scan:scan + 14] + b'\xff\xd9'
    assert images.to_jpeg(content, 'x')[:3] == (content, 8, 16)
    assert evaluate(pixels.decode_image(tf.constant(content))).shape == (8, 16, 3)


# 12 bits in 16: the value 0x0800 is half of the range. Nobody knows how channels of 16 bits were
# meant whose high bytes Pillow returns as 8 of 255 levels.
def test_dark_channels_of_16_bits_are_refused():
    content = png(30, 20, np.full([20, 30, 3], 0x0800, np.uint16))
    with pytest.raises(images.BadImage, match='16-bit channels use only their low bits'):
        images.to_jpeg(content, 'x')
    image = images.to_jpeg(png(30, 20, np.full([20, 30, 3], 0x8000, np.uint16)), 'x')
    assert Image.open(io.BytesIO(image.encoded)).getpixel((5, 5)) == (128, 128, 128)


def png(width, height, rows=None):
    """Return a PNG with three channels of 16 bits, or one that only claims its size."""
    def chunk(name, content):
        checksum = zlib.crc32(name + content)
        return struct.pack('>I', len(content)) + name + content + struct.pack('>I', checksum)
    scanlines = b'' if rows is None else b''.join(
        b'\0' + row.astype('>u2').tobytes() for row in rows)
    header = struct.pack('>IIBBBBB', width, height, 16, 2, 0, 0, 0)
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', header)
            + chunk(b'IDAT', zlib.compress(scanlines)) + chunk(b'IEND', b''))


@pytest.mark.parametrize('width, height', [(20_000, 20_000), (19_000, 10_000), (65_501, 10)])
def test_image_that_would_take_gigabytes_is_not_decoded(width, height):
    claimed = encode(Image.new('RGB', (8, 8)), 'JPEG')
    frame = claimed.index(b'\xff\xc0') + 5
    size = struct.pack('>HH', min(height, 65_535), min(width, 65_535))
    for content in (png(width, height), claimed[:frame] + size + claimed[frame + 4:]):
        for read in (images.to_jpeg, images.to_upright):
            with pytest.raises(images.BadImage, match=f'x: {width}x{height} pixels are more than '):
                read(content, 'x')


def test_large_image_is_read_without_a_warning(monkeypatch):
    content = encode(Image.new('RGB', (30, 20)), 'JPEG')
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        assert Image.MAX_IMAGE_PIXELS is None
        monkeypatch.setattr(images, 'MAX_PIXELS', 600)
        assert images.to_jpeg(content, 'x').width == 30
        monkeypatch.setattr(images, 'MAX_PIXELS', 599)
        with pytest.raises(images.BadImage):
            images.to_jpeg(content, 'x')


@pytest.mark.parametrize('content', [
    b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n',
    b'<html>', b''])
def test_formats_that_start_programs_are_not_opened(content):
    with pytest.raises(images.BadImage, match='photo.jpg: not an image in a known format'):
        images.to_jpeg(content, 'photo.jpg')


def test_files_without_an_end_are_not_read(tmp_path):
    os.mkfifo(tmp_path / 'pipe.jpg')   # opening it would wait for a writer
    (tmp_path / 'zeros.jpg').symlink_to('/dev/zero')
    for name in ('pipe.jpg', 'zeros.jpg'):
        for read in (images.read_jpeg, images.read_upright):
            with pytest.raises(UserError, match=f'{name}: cannot be read .not a regular file'):
                read(str(tmp_path / name))


def test_contrast_is_that_of_the_channel_with_the_largest_range():
    pixels = np.full([64, 64, 3], (9, 100, 200), np.uint8)
    pixels[:32, :, 1] = 120
    assert images.to_jpeg(encode(Image.fromarray(pixels), 'PNG'), 'x').contrast == 20
    image = images.to_jpeg(encode(Image.fromarray(pixels), 'JPEG', quality=100), 'x')
    assert abs(image.contrast - 20) <= 2


NOISE = np.random.default_rng(0).integers(0, 256, [21, 31, 3], np.uint8)   # rows of BMP are padded


@pytest.mark.parametrize('file_format, mode, options', [
    ('PNG', 'RGB', {}), ('PNG', 'RGBA', {}), ('PNG', 'L', {}), ('PNG', 'P', {}), ('BMP', 'RGB', {}),
    ('TIFF', 'RGB', {}), ('WEBP', 'RGB', {'lossless': True}), ('JPEG', 'RGB', {}),
    ('JPEG', 'L', {}), ('JPEG', 'CMYK', {})])
def test_prediction_reads_every_format_without_loss(evaluate, file_format, mode, options):
    content = encode(Image.fromarray(NOISE).convert(mode), file_format, **options)
    image = images.to_upright(content, 'x')
    assert (image.height, image.width) == (21, 31)
    np.testing.assert_array_equal(evaluate(pixels.decode_image(tf.constant(image.encoded))),
                                  Image.open(io.BytesIO(content)).convert('RGB'))


def test_missing_file_fails(tmp_path):
    with pytest.raises(UserError, match='gone.jpg: cannot be read'):
        images.read_jpeg(str(tmp_path / 'gone.jpg'))


def test_files_folders_and_globs_are_expanded(tmp_path):
    for name in ('a/2.jpg', 'a/1.PNG', 'b/3.jpg'):
        write_image(tmp_path / name)
    (tmp_path / 'a/notes.txt').write_text('')
    paths = images.expand_paths([f'{tmp_path}/a', f'{tmp_path}/*/*.jpg', f'{tmp_path}/a/2.jpg'])
    assert paths == [f'{tmp_path}/{name}' for name in ('a/1.PNG', 'a/2.jpg', 'b/3.jpg')]
    with pytest.raises(UserError, match="no image found at '.*c.jpg'. Pass existing files"):
        images.expand_paths([f'{tmp_path}/c.jpg'])


def test_other_files_of_a_folder_are_named(tmp_path):
    for number in range(6):
        (tmp_path / f'{number}.gif').write_bytes(b'')
    for name in ('a.jpg', '.hidden'):
        (tmp_path / name).write_bytes(b'')
    (tmp_path / 'folder').mkdir()
    os.mkfifo(tmp_path / 'pipe.jpg')
    assert images.expand_paths([str(tmp_path)]) == [f'{tmp_path}/a.jpg']
    unused = images.unused_files([str(tmp_path), f'{tmp_path}/a.jpg'], images.EXTENSIONS)
    assert unused == [*(f'{tmp_path}/{number}.gif' for number in range(6)), f'{tmp_path}/pipe.jpg']
    assert images.list_names(unused) == '0.gif, 1.gif, 2.gif, 3.gif, 4.gif and 2 more'
    (tmp_path / 'a.jpg').unlink()
    with pytest.raises(UserError, match="', which contains 0.gif, 1.gif, .* 2 more. Pa"):
        images.expand_paths([str(tmp_path)])


def test_relative_path_is_preferred_to_the_same_name_in_another_folder(tmp_path):
    for name in ('train/1.jpg', 'images/cam1/1.jpg', 'images/cam2/1.jpg'):
        write_image(tmp_path / name)
    folders = [f'{tmp_path}/train', f'{tmp_path}/images']
    path = images.find_image('cam2\\1.jpg', folders, 'a.csv')
    assert path == f'{tmp_path}/images/cam2/1.jpg'
    path = images.find_image('/path/of/another/machine/1.jpg', folders, 'a.csv')
    assert path == f'{tmp_path}/train/1.jpg'
    message = "a.csv refers to the image 'cam1/2.jpg', which is missing in"
    with pytest.raises(UserError, match=message):
        images.find_image('cam1/2.jpg', folders, 'a.csv')
