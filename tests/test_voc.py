import pytest
import voc_folder
from voc_folder import box_xml, write_voc

from common.errors import UserError
from datasets import voc


def read(folder, objects, **options):
    return voc_folder.readers(write_voc(folder, {'one': objects}, **options))['one']()


# Images are 100 pixels wide and 80 pixels high.
def test_box_includes_its_first_and_last_pixel(tmp_path):
    annotation = read(tmp_path, box_xml(xmin=11, ymin=21, xmax=50, ymax=60))
    assert annotation.boxes == [(20 / 80, 10 / 100, 60 / 80, 50 / 100)]
    assert (annotation.height, annotation.width) == (80, 100) and annotation.names == ['cat']


def test_box_of_one_pixel(tmp_path):
    (ymin, xmin, ymax, xmax), = read(tmp_path, box_xml(xmin=7, ymin=9, xmax=7, ymax=9)).boxes
    assert ymax - ymin == pytest.approx(1 / 80) and xmax - xmin == pytest.approx(1 / 100)


def test_box_of_the_whole_image(tmp_path):
    annotation = read(tmp_path, box_xml(xmin=1, ymin=1, xmax=100, ymax=80))
    assert annotation.boxes == [(0, 0, 1, 1)]


def test_box_that_exceeds_the_image_by_rounding_is_clipped(tmp_path):
    annotation = read(tmp_path, box_xml(xmin=0, ymin=-1, xmax=101.6, ymax=82))
    assert annotation.boxes == [(0, 0, 1, 1)]


@pytest.mark.parametrize('more, difficult, truncated', [
    ('', False, False), ('<difficult>1</difficult>', True, False),
    ('<difficult>0</difficult><truncated>1</truncated>', False, True),
    ('<truncated>0.3</truncated><difficult></difficult>', False, True),
    ('<difficult>true</difficult><truncated>Unspecified</truncated>', True, False)])
def test_flags(tmp_path, more, difficult, truncated):
    annotation = read(tmp_path, box_xml(more=more))
    assert annotation.difficult == [difficult] and annotation.truncated == [truncated]


def test_image_without_objects(tmp_path):
    annotation = read(tmp_path, '')
    assert annotation.boxes == annotation.names == []
    assert annotation.difficult == annotation.truncated == []


def test_bytes_of_the_image_file_are_kept(tmp_path):
    annotation = read(tmp_path, box_xml())
    assert annotation.encoded == (tmp_path / 'JPEGImages/one.jpg').read_bytes()


@pytest.mark.parametrize('objects, message', [
    (box_xml(xmin=50, xmax=20), 'inverted'),
    (box_xml(xmax=140), 'outside its image of 100x80'),
    (box_xml(ymin=-30), 'outside its image'),
    (box_xml(xmin='left'), 'invalid coordinate'),
    (box_xml(xmin='nan'), 'inverted'),
    ('<object><name>cat</name></object>', 'missing or invalid coordinate'),
    ('<object><bndbox/></object>', 'an object has no <name>')])
def test_error_of_a_bad_box_names_the_file(tmp_path, objects, message):
    with pytest.raises(UserError, match=f'one.xml.*{message}'):
        read(tmp_path, objects)


def test_image_with_another_extension(tmp_path):
    assert read(tmp_path, '', extension='png').image_path.endswith('one.png')


def test_image_with_the_name_in_the_xml(tmp_path):
    folder = write_voc(tmp_path, {'one': '<filename>C:\\photos\\other.jpg</filename>'})
    (folder / 'JPEGImages/one.jpg').rename(folder / 'JPEGImages/other.jpg')
    assert voc_folder.readers(folder)['one']().image_path.endswith('other.jpg')


def test_unlabeled_images_need_no_xml(tmp_path):
    folder = write_voc(tmp_path, {'one': box_xml()}, split='test')
    (folder / 'Annotations/one.xml').unlink()
    source = voc.VocSource(str(folder))
    annotation = source.unlabeled_readers('test')['one']()
    assert annotation.boxes == annotation.names == []
    assert (annotation.height, annotation.width) == (80, 100)
    with pytest.raises(UserError, match='one.xml is missing, .*. Pass --without_labels'):
        source.image_readers('test')['one']()
    (folder / 'JPEGImages/one.jpg').unlink()
    message = r'its image is missing. Add .*one.jpg \(or another extension\)$'
    with pytest.raises(UserError, match=message):
        voc.VocSource(str(folder)).unlabeled_readers('test')['one']()


def test_split_lists(tmp_path):
    folder = write_voc(tmp_path, {'one': '', 'my photo 1': ''})
    (folder / 'ImageSets/Main/cat_train.txt').write_text('one  1\n\nmy photo 1 -1\n')
    source = voc.VocSource(str(folder))
    assert source.identifiers('cat_train') == ['one', 'my photo 1']
    assert source.identifiers('train') == ['one', 'my photo 1']
    assert source.split_names() == ['train']


TRAIN_LIST = 'ImageSets/Main/train.txt'


@pytest.mark.parametrize('damage, message', [
    (lambda folder: (folder / TRAIN_LIST).unlink(), "no split 'train'"),
    (lambda folder: (folder / TRAIN_LIST).write_text('\n'), 'lists no images'),
    (lambda folder: (folder / TRAIN_LIST).write_bytes(b'caf\xe9\n'), 'train.txt is not UTF-8 text'),
    (lambda folder: (folder / TRAIN_LIST).write_text('one\none\n'), "lists 'one' more than once")])
def test_invalid_split_lists(tmp_path, damage, message):
    damage(write_voc(tmp_path, {'one': ''}))
    with pytest.raises(UserError, match=message):
        voc.VocSource(str(tmp_path)).identifiers('train')


@pytest.mark.parametrize('damage, message', [
    (lambda xml, _: xml.unlink(), 'one.xml is missing'),
    (lambda xml, _: xml.write_text('<annotation>'), 'not well-formed XML'),
    (lambda xml, _: xml.write_text('<html/>'), 'root element is <html>'),
    (lambda _, jpeg: jpeg.unlink(), 'its image is missing'),
    (lambda _, jpeg: jpeg.write_bytes(b'not an image'), 'not an image in a known format'),
    (lambda _, jpeg: jpeg.write_bytes(b''), 'not an image in a known format')])
def test_invalid_files(tmp_path, damage, message):
    folder = write_voc(tmp_path, {'one': box_xml()})
    damage(folder / 'Annotations/one.xml', folder / 'JPEGImages/one.jpg')
    with pytest.raises(UserError, match=message):
        voc_folder.readers(folder)['one']()


def test_class_names_are_sorted(tmp_path):
    folder = write_voc(tmp_path, {'a': box_xml('dog') + box_xml('cat'), 'b': box_xml('dog')})
    source = voc.VocSource(str(folder))
    assert source.class_names(['train']) == ['cat', 'dog'] and source.source_ids(['train']) == {}


def test_image_of_voc2007(shared):
    folder = shared / 'data/VOCdevkit/VOC2007'
    annotation = next(iter(voc_folder.readers(folder, 'val').values()))()
    assert set(annotation.names) <= set(voc.CLASSES)
    assert len(annotation.difficult) == len(annotation.boxes)
