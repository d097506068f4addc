import io

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
    assert images.to_jpeg(content, 'x') == (content, 20, 30, 1)


@pytest.mark.parametrize('image, file_format, expected', [
    (Image.new('L', (30, 20), 77), 'JPEG', (77, 77, 77)),
    (Image.new('CMYK', (30, 20), (255, 0, 0, 0)), 'JPEG', (0, 255, 255)),
    (Image.new('RGBA', (30, 20), (9, 99, 199, 255)), 'PNG', (9, 99, 199)),
    (Image.new('P', (30, 20), 0), 'PNG', (0, 0, 0)),
    (Image.new('1', (30, 20), 1), 'PNG', (255, 255, 255)),
    (Image.fromarray(np.full([20, 30], 0x8000, np.uint16)), 'PNG', (128, 128, 128))],
    ids=['gray', 'cmyk', 'alpha', 'palette', 'bilevel', '16-bit'])
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
    assert images.to_jpeg(content, 'x')[1:] == (20, 30, 6)
    jpeg = images.to_jpeg(content, 'x', apply_orientation=True)
    assert jpeg[1:] == (30, 20, 1)
    assert images.to_upright(content, 'x')[1:] == (30, 20, 1)


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
