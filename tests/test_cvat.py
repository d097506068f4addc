"""CVAT's own XML, as "CVAT for images 1.1" and "CVAT for video 1.1" write it."""
import pytest
from image_files import write_image

from common.errors import UserError
from datasets import formats, parallel_reading
from datasets.cvat import CvatSource

LABELS = ('<meta><task><labels><label><name>dog</name></label><label><name>cat</name></label>'
          '</labels><original_size><width>100</width><height>80</height></original_size>'
          '</task></meta>')
BOX = '<box label="cat" occluded="0" xtl="10.0" ytl="20.0" xbr="50.0" ybr="60.0" z_order="0"></box>'


def image_xml(name, shapes=BOX, more='', size=(100, 80)):
    return (f'<image id="0" name="{name}" width="{size[0]}" height="{size[1]}" {more}>{shapes}'
            f'</image>')


def write(folder, *items, images=('images/a.jpg',)):
    """Write annotations.xml and images of 100x80 pixels; return the source."""
    for number, image in enumerate(images):
        write_image(folder / image, (100, 80), (number, 9, 9))
    (folder / 'annotations.xml').write_text(
        f'<?xml version="1.0" encoding="utf-8"?>\n<annotations><version>1.1</version>{LABELS}'
        f'{"".join(items)}</annotations>')
    return formats.open_source(str(folder))


def read(source, name='a.jpg', split=None):
    return parallel_reading.try_read(source.image_readers(split)[name])


@pytest.mark.parametrize('shape', [
    BOX, '<polygon label="cat" points="10.0,40;30,20;50,40;30,60"/>',
    '<ellipse label="cat" cx="30" cy="40" rx="20" ry="20"/>',
    '<mask label="cat" rle="3, 4" left="10" top="20" width="40" height="40"/>',
    BOX.replace('occluded', 'rotation="0.00" occluded')])
def test_shapes_with_a_box(tmp_path, shape):
    source = write(tmp_path, image_xml('a.jpg', shape))
    assert isinstance(source, CvatSource) and source.split_names() == []
    annotation = read(source).annotation
    assert annotation.boxes == [(.25, .1, .75, .5)] and annotation.names == ['cat']
    assert source.class_names([None]) == ['dog', 'cat']    # the order of the labels
    assert annotation.notes == source.notes(None) == []


@pytest.mark.parametrize('tag', ['points', 'polyline', 'cuboid', 'skeleton', 'tag'])
def test_shapes_without_a_box_are_noted(tmp_path, tag):
    source = write(tmp_path, image_xml('a.jpg', f'{BOX}<{tag} label="dog" points="1,2;3,4"/>'))
    assert read(source).annotation.notes == [
        ('unused', f"{tmp_path}/annotations.xml: a {tag} of class 'dog' in a.jpg")]


@pytest.mark.parametrize('shape, message', [
    (BOX.replace('occluded', 'rotation="30.5" occluded'), 'is rotated'),
    (BOX.replace('label="cat"', ''), 'has no label'),
    (BOX.replace('10.0', 'x'), 'invalid coordinate'),
    (BOX.replace('10.0', '1e400'), 'invalid coordinate'),
    (BOX.replace('xtl', 'x'), 'invalid coord'),
    (BOX.replace('10.0', '70'), 'is empty or inverted'),
    (BOX.replace('60.0', '160'), 'lies outside'),
    ('<polygon label="cat" points=""/>', 'invalid coordinate'),
    ('<polygon label="cat" points="1,2;3"/>', 'invalid coordinate')])
def test_bad_shapes(tmp_path, shape, message):
    result = read(write(tmp_path, image_xml('a.jpg', shape + BOX)))
    assert result.error is None and result.annotation.names == ['cat']
    error, = result.bad_boxes
    assert message in str(error) and 'annotations.xml' in str(error) and 'a.jpg' in str(error)


def test_background_is_no_class(tmp_path):
    write(tmp_path, image_xml('a.jpg'))
    path = tmp_path / 'annotations.xml'
    path.write_text(path.read_text().replace('<labels>', '<labels><label><name>background</name>'
                                                         '</label>'))
    assert CvatSource(str(tmp_path)).class_names([None]) == ['dog', 'cat']


def test_declared_size(tmp_path):
    source = write(tmp_path, image_xml('a.jpg', size=(200, 160)))
    with pytest.raises(UserError, match='annotations.xml: the size of a.jpg is 200x160 pixels'):
        raise read(source).error


def test_subsets_are_splits(tmp_path):
    source = write(tmp_path, image_xml('a.jpg', more='subset="Train"'),
                   image_xml('b.jpg', more='subset="Validation"'),
                   images=['images/Train/a.jpg', 'images/Validation/b.jpg'])
    assert source.split_names() == ['Train', 'Validation']
    assert list(source.image_readers('Validation')) == ['b.jpg']
    assert read(source, split='Train').annotation.image_path == f'{tmp_path}/images/Train/a.jpg'
    with pytest.raises(UserError, match="has no split 'val'; its splits are: Train, Validation"):
        source.image_readers('val')


def test_a_default_subset_is_no_split(tmp_path):
    assert write(tmp_path, image_xml('a.jpg', more='subset="default"')).split_names() == []


def test_images_and_entries_without_partner(tmp_path):
    source = write(tmp_path, image_xml('a.jpg'), image_xml('b.jpg', ''), image_xml('c.jpg'),
                   images=['images/a.jpg', 'images/d.jpg'])
    assert list(source.image_readers(None)) == ['a.jpg', 'c.jpg']   # b has no boxes
    assert 'c.jpg: its image is missing' in str(read(source, 'c.jpg').error)
    notes = [text for _, text in source.notes(None)]
    assert len(notes) == 3 and notes[2] == f'{tmp_path}/images/d.jpg is not in ' \
                                           f'{tmp_path}/annotations.xml'


def test_images_of_two_cameras(tmp_path):
    entries = [image_xml(f'cam{n}/1.jpg') for n in (1, 2)]
    source = write(tmp_path, *entries, images=['images/cam1/1.jpg', 'images/cam2/1.jpg'])
    for n in (1, 2):
        path = read(source, f'cam{n}/1.jpg').annotation.image_path
        assert path == f'{tmp_path}/images/cam{n}/1.jpg'
    flat = write(tmp_path / 'flat', *entries, images=['images/1.jpg'])
    assert 'have the same image' in str(read(flat, 'cam1/1.jpg').error)


def test_tracks_of_a_video(tmp_path):
    box = BOX.replace('label="cat"', '')
    frames = ''.join(box.replace('<box', f'<box frame="{frame}" outside="{outside}" keyframe="1"')
                     for frame, outside in ((0, 0), (7, 0), (8, 1)))
    source = write(tmp_path, f'<track id="0" label="dog">{frames}</track>',
                   images=[f'images/frame_00000{n}.PNG' for n in (0, 7, 8)])
    assert list(source.image_readers(None)) == ['frame_000000.png', 'frame_000007.png']
    annotation = read(source, 'frame_000007.png').annotation
    assert annotation.names == ['dog'] and annotation.boxes == [(.25, .1, .75, .5)]


@pytest.mark.parametrize('items, message', [
    ((), 'lists no images'), ((image_xml('a.jpg'),) * 2, 'lists an image more than once'),
    (('<image>' * 99 + '</image>' * 99,), 'nested more than 64'), (('<x',), 'not well-formed')])
def test_invalid_files(tmp_path, items, message):
    with pytest.raises(UserError, match=f'annotations.xml .*{message}'):
        write(tmp_path, *items).image_readers(None)


def test_a_single_file(tmp_path):
    write(tmp_path, image_xml('a.jpg'))
    source = formats.open_source(f'{tmp_path}/annotations.xml')
    assert isinstance(source, CvatSource) and read(source).annotation.names == ['cat']
