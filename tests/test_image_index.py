"""Which image belongs to an annotation file."""
import os

import pytest

from common.errors import UserError
from datasets.image_index import ImageIndex, MissingImage, list_files, path_key


@pytest.mark.parametrize('images, path, named, expected', [
    (['a.jpg'], 'a.xml', '', 'a.jpg'),
    (['images/a.jpg'], 'Annotations/a.xml', '', 'images/a.jpg'),
    (['photos of today/a.jpg'], 'my xml/a.xml', '', 'photos of today/a.jpg'),
    (['train/a.jpg', 'valid/a.jpg'], 'valid/a.xml', '', 'valid/a.jpg'),
    (['images/train/a.jpg', 'images/val/a.jpg'], 'annots/val/a.xml', '', 'images/val/a.jpg'),
    (['images/cam1/1.jpg', 'images/cam2/1.jpg'], 'xml/cam2/1.xml', '', 'images/cam2/1.jpg'),
    (['cam1/1.jpg', 'cam2/1.jpg'], 'xml/1.xml', 'C:\\x\\cam2\\1.jpg', 'cam2/1.jpg'),
    (['a.jpg', 'a.png'], 'a.xml', 'a.png', 'a.png'),
    (['a.jpg', 'masks/a.png'], 'a.xml', '', 'a.jpg'),
    (['IMG.JPG'], 'img.xml', '', 'IMG.JPG'), (['e\u0301.jpg'], '\xe9.xml', '', 'e\u0301.jpg'),
    (['A.jpg', 'a.jpg'], 'a.xml', 'a.jpg', 'a.jpg'),
    (['a.jpg'], 'a.jpg.xml', '', 'a.jpg'), (['b.jpg'], 'a.xml', 'old/b.jpg', 'b.jpg'),
    (['my photo.jpg'], 'a.xml', 'my%20photo.jpg', 'my photo.jpg'),
    (['my%20photo.jpg'], 'a.xml', 'my%20photo.jpg', 'my%20photo.jpg'),
    (['x.rf.1.jpg', 'x.rf.2.jpg'], 'x.rf.2.xml', '', 'x.rf.2.jpg')])
def test_image_of_an_annotation_file(images, path, named, expected):
    assert ImageIndex(images).find(path, lambda: named) == expected


@pytest.mark.parametrize('images, path, named', [
    (['a.jpg', 'a.png'], 'a.xml', ''), (['a.jpg', 'a.png'], 'a.xml', 'a.bmp'),
    (['cam1/1.jpg', 'cam2/1.jpg'], 'xml/1.xml', '1.jpg')])
def test_several_images(images, path, named):
    with pytest.raises(UserError, match=f'{path}: several images have its name: {images[0]}, '):
        ImageIndex(images).find(path, lambda: named)


def test_no_image():
    with pytest.raises(MissingImage, match=r"a.xml: its image is missing. Add a.jpg .* or 'c.jpg'"):
        ImageIndex(['b.jpg']).find('xml/a.xml', lambda: 'x/c.jpg')


def test_formats_that_are_not_read():
    for name, extension in (('a.gif', '.gif'), ('A.HEIC', '.heic')):
        with pytest.raises(MissingImage, match=f"'{name}' is not read: convert {extension} files"):
            ImageIndex([]).find('a.xml', lambda name=name: name)
    assert ImageIndex(['a.jpg']).find('a.xml', lambda: 'a.gif') == 'a.jpg'


def test_an_image_of_two_annotation_files_is_an_error_for_both():
    """Images of two cameras, flattened to one folder."""
    pairs, used = ImageIndex(['1.jpg', '2.jpg', '3.jpg']).find_all({
        name: (f'{name}.xml', str) for name in ('cam1/1', 'cam2/1', 'cam2/2')})
    assert pairs['cam2/2'] == '2.jpg' and used == {'1.jpg', '2.jpg'}
    for name in ('cam1/1', 'cam2/1'):
        assert str(pairs[name]).startswith('cam1/1.xml, cam2/1.xml have the same image, 1.jpg.')


def test_key_of_a_path():
    assert path_key('Annotations/cam1/a.b.xml') == 'cam1/a.b' == path_key('cam1/images/a.b.jpg')


def test_files_of_a_folder(tmp_path):
    for name in ('b/c/1.jpg', 'a.jpg', '.hidden/2.jpg', 'b/._a.xml', '__MACOSX/3.xml'):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / 'b/up').symlink_to(tmp_path)    # a loop
    (tmp_path / 'b/root').symlink_to('/')       # the whole disk
    outside = tmp_path.parent / f'{tmp_path.name}_images'
    outside.mkdir()
    (outside / '4.jpg').touch()
    (tmp_path / 'linked').symlink_to(outside)
    assert list_files(str(tmp_path)) == ['a.jpg', 'b/c/1.jpg', 'linked/4.jpg']
    deep = tmp_path.joinpath(*'123456789')
    deep.mkdir(parents=True)
    (deep / 'a.jpg').touch()
    assert os.path.join(*'123456789', 'a.jpg') not in list_files(str(tmp_path))
