import io

import numpy as np
import pytest
from image_files import write_image
from PIL import Image

from common.errors import UserError
from datasets import images


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def pixels(jpeg):
    return np.asarray(Image.open(io.BytesIO(jpeg.encoded)))


def test_an_rgb_jpeg_keeps_its_bytes():
    content = encoded(Image.new('RGB', (30, 20), (10, 200, 30)), 'JPEG')
    assert images.to_jpeg(content, 'x') == (content, 20, 30)


@pytest.mark.parametrize('image, kind, expected', [
    (Image.new('L', (30, 20), 77), 'JPEG', (77, 77, 77)),
    (Image.new('CMYK', (30, 20), (255, 0, 0, 0)), 'JPEG', (0, 255, 255)),
    (Image.new('RGBA', (30, 20), (9, 99, 199, 255)), 'PNG', (9, 99, 199)),
    (Image.new('P', (30, 20), 0), 'PNG', (0, 0, 0)),
    (Image.new('1', (30, 20), 1), 'PNG', (255, 255, 255)),
    (Image.fromarray(np.full([20, 30], 0x8000, np.uint16)), 'PNG', (128, 128, 128))],
    ids=['grey', 'cmyk', 'alpha', 'palette', 'bilevel', '16-bit'])
def test_everything_else_comes_out_with_three_channels(image, kind, expected):
    jpeg = images.to_jpeg(encoded(image, kind), 'x')
    assert (jpeg.height, jpeg.width) == (20, 30)
    assert pixels(jpeg).shape == (20, 30, 3)
    np.testing.assert_allclose(pixels(jpeg)[10, 15], expected, atol=3)


def test_a_jpeg_cut_short_is_found():
    content = encoded(Image.effect_noise((200, 200), 50).convert('RGB'), 'JPEG')
    with pytest.raises(UserError, match='photo.jpg: does not decode'):
        images.to_jpeg(content[:len(content) // 2], 'photo.jpg')


def test_upright_turns_what_the_camera_noted():
    exif = Image.Exif()
    exif[0x0112] = 6   # to be turned by 90 degrees
    content = encoded(Image.new('RGB', (30, 20)), 'JPEG', exif=exif)
    assert images.to_jpeg(content, 'x')[1:] == (20, 30)
    assert images.to_jpeg(content, 'x', upright=True)[1:] == (30, 20)


def test_a_missing_file(tmp_path):
    with pytest.raises(UserError, match='gone.jpg: cannot be read'):
        images.read_jpeg(str(tmp_path / 'gone.jpg'))


def test_files_folders_and_globs(tmp_path):
    for name in ('a/2.jpg', 'a/1.PNG', 'b/3.jpg'):
        write_image(tmp_path / name)
    (tmp_path / 'a/notes.txt').write_text('')
    found = images.expand_paths([f'{tmp_path}/a', f'{tmp_path}/*/*.jpg', f'{tmp_path}/a/2.jpg'])
    assert [path[len(str(tmp_path)):] for path in found] == ['/a/1.PNG', '/a/2.jpg', '/b/3.jpg']
    with pytest.raises(UserError, match="c.jpg' is no picture, no folder with any, and no glob that matches one"):
        images.expand_paths([f'{tmp_path}/c.jpg'])


def test_the_very_name_comes_before_the_same_name_in_another_folder(tmp_path):
    for name in ('train/1.jpg', 'images/cam1/1.jpg', 'images/cam2/1.jpg'):
        write_image(tmp_path / name)
    folders = [f'{tmp_path}/train', f'{tmp_path}/images']
    assert images.find_image('cam2\\1.jpg', folders, 'a') == f'{tmp_path}/images/cam2/1.jpg'
    assert images.find_image('/home/me/1.jpg', folders, 'a') == f'{tmp_path}/train/1.jpg'   # a path of another machine
    with pytest.raises(UserError, match="a names the picture 'cam1/2.jpg', which is in none of"):
        images.find_image('cam1/2.jpg', folders, 'a')
