import pytest
from voc_folder import box_xml, write_voc

from common.errors import UserError
from datasets import voc


def read(tmp_path, objects, **options):
    return voc.read_annotation(write_voc(tmp_path, {'one': objects}, **options), 'one')


def test_a_box_covers_its_first_and_its_last_pixel(tmp_path):
    found = read(tmp_path, box_xml(xmin=11, ymin=21, xmax=50, ymax=60))     # picture 100 x 80
    assert found.boxes == [(20 / 80, 10 / 100, 60 / 80, 50 / 100)]
    assert (found.height, found.width, found.names) == (80, 100, ['cat'])


def test_a_box_of_one_pixel(tmp_path):
    top, left, bottom, right = read(tmp_path, box_xml(xmin=7, ymin=9, xmax=7, ymax=9)).boxes[0]
    assert bottom - top == pytest.approx(1 / 80) and right - left == pytest.approx(1 / 100)


def test_the_whole_picture(tmp_path):
    assert read(tmp_path, box_xml(xmin=1, ymin=1, xmax=100, ymax=80)).boxes == [(0, 0, 1, 1)]


def test_coordinates_off_by_rounding_are_cut(tmp_path):
    assert read(tmp_path, box_xml(xmin=0, ymin=-1, xmax=101.6, ymax=82)).boxes == [(0, 0, 1, 1)]


@pytest.mark.parametrize('more, difficult, truncated', [
    ('', False, False), ('<difficult>1</difficult>', True, False),
    ('<difficult>0</difficult><truncated>1</truncated>', False, True),
    ('<truncated>0.3</truncated><difficult></difficult>', False, True),
    ('<difficult>true</difficult><truncated>Unspecified</truncated>', True, False)])
def test_flags_are_read_as_they_are(tmp_path, more, difficult, truncated):
    found = read(tmp_path, box_xml(more=more))
    assert (found.difficult, found.truncated) == ([difficult], [truncated])


def test_a_picture_without_objects(tmp_path):
    found = read(tmp_path, '')
    assert found.boxes == found.names == found.difficult == found.truncated == []


def test_bytes_of_the_file_are_kept(tmp_path):
    found = read(tmp_path, box_xml())
    assert found.encoded == (tmp_path / 'JPEGImages/one.jpg').read_bytes()


@pytest.mark.parametrize('objects, message', [
    (box_xml(xmin=50, xmax=20), 'inverted'),
    (box_xml(xmax=140), 'outside its picture of 100x80'),
    (box_xml(ymin=-30), 'outside its picture'),
    (box_xml(xmin='left'), 'unreadable coordinate'),
    (box_xml(xmin='nan'), 'inverted'),
    ('<object><name>cat</name></object>', 'missing or unreadable coordinate'),
    ('<object><bndbox/></object>', 'an object has no <name>')])
def test_wrong_boxes_name_file_and_box(tmp_path, objects, message):
    with pytest.raises(UserError, match=message) as error:
        read(tmp_path, objects)
    assert 'one.xml' in str(error.value)


def test_other_extensions_and_the_name_in_the_xml(tmp_path):
    assert read(tmp_path / 'a', '', extension='png').image_path.endswith('one.png')
    folder = write_voc(tmp_path / 'b', {'one': '<filename>C:\\photos\\other.jpg</filename>'})
    (folder / 'JPEGImages/one.jpg').rename(folder / 'JPEGImages/other.jpg')
    assert voc.read_annotation(folder, 'one').image_path.endswith('other.jpg')


def test_pictures_without_labels_need_no_xml(tmp_path):
    folder = write_voc(tmp_path, {'one': box_xml()}, split='test')
    source = voc.VocSource(str(folder))
    (folder / 'Annotations/one.xml').unlink()
    found = source.unlabelled('test')['one']()
    assert found.boxes == found.names == [] and (found.height, found.width) == (80, 100)
    with pytest.raises(UserError, match='one.xml is missing, .* VOC2012 test, --without_labels converts'):
        source.pictures('test')['one']()
    (folder / 'JPEGImages/one.jpg').unlink()
    with pytest.raises(UserError, match='has no picture: looked for .*one.jpg, other extensions$'):
        source.unlabelled('test')['one']()


def test_split_lists(tmp_path):
    folder = write_voc(tmp_path, {'one': '', 'my photo 1': ''})
    (folder / 'ImageSets/Main/cat_train.txt').write_text('one  1\n\nmy photo 1 -1\n')
    assert voc.read_split(folder, 'cat_train') == ['one', 'my photo 1']
    assert voc.read_split(folder, 'train') == ['one', 'my photo 1']
    assert voc.split_names(folder) == ['cat_train', 'train']


@pytest.mark.parametrize('spoil, message', [
    (lambda folder: (folder / 'ImageSets/Main/train.txt').unlink(), "no split 'train'"),
    (lambda folder: (folder / 'ImageSets/Main/train.txt').write_text('\n'), 'lists no pictures'),
    (lambda folder: (folder / 'ImageSets/Main/train.txt').write_bytes(b'caf\xe9\n'), 'train.txt is not UTF-8 text'),
    (lambda folder: (folder / 'ImageSets/Main/train.txt').write_text('one\none\n'), "lists 'one' more than once"),
    (lambda folder: (folder / 'Annotations').rename(folder / 'annotations_'), 'has no folder Annotations')])
def test_wrong_folders(tmp_path, spoil, message):
    spoil(write_voc(tmp_path, {'one': ''}))
    with pytest.raises(UserError, match=message):
        voc.read_split(tmp_path, 'train')


@pytest.mark.parametrize('spoil, message', [
    (lambda folder: (folder / 'Annotations/one.xml').unlink(), 'one.xml is missing'),
    (lambda folder: (folder / 'Annotations/one.xml').write_text('<annotation>'), 'not well-formed XML'),
    (lambda folder: (folder / 'Annotations/one.xml').write_text('<html/>'), 'outermost element is <html>'),
    (lambda folder: (folder / 'JPEGImages/one.jpg').unlink(), 'has no picture'),
    (lambda folder: (folder / 'JPEGImages/one.jpg').write_bytes(b'not a picture'), 'is no picture that can be read'),
    (lambda folder: (folder / 'JPEGImages/one.jpg').write_bytes(b''), 'is no picture that can be read')])
def test_wrong_files(tmp_path, spoil, message):
    spoil(write_voc(tmp_path, {'one': box_xml()}))
    with pytest.raises(UserError, match=message):
        voc.read_annotation(tmp_path, 'one')


def test_class_names_are_sorted(tmp_path):
    folder = write_voc(tmp_path, {'a': box_xml('dog') + box_xml('cat'), 'b': box_xml('dog')})
    assert voc.class_names(folder, ['a', 'b']) == ['cat', 'dog']


def test_real_difficult_boxes(shared):
    folder = shared / 'data/VOCdevkit/VOC2007'
    found = voc.read_annotation(folder, voc.read_split(folder, 'val')[0])
    assert set(found.names) <= set(voc.CLASSES) and len(found.difficult) == len(found.boxes)
