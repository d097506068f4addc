"""VOC XML in the layouts and with the contradictions of public datasets and other tools."""
import pytest
import voc_folder
from image_files import two_colors, write_image
from voc_folder import box_xml

from common.errors import UserError
from datasets import formats, parallel_reading
from datasets.voc import VocSource

SIZE = '<size><width>100</width><height>80</height></size>'


def write(folder, *pairs, lists=()):
    """Write XML files with one box, and images of 100x80 pixels that differ.

    Args:
        folder: Folder to write to.
        *pairs: Paths without extension of an XML file and of its image, or '' for none.
        lists: {path of a split list: its text}.
    """
    for number, (xml, image) in enumerate(pairs):
        if xml:
            (folder / f'{xml}.xml').parent.mkdir(parents=True, exist_ok=True)
            (folder / f'{xml}.xml').write_text(f'<annotation>{SIZE}{box_xml()}</annotation>')
        if image:
            write_image(folder / f'{image}.jpg', (100, 80), (number, 90, 30))
    for path, text in dict(lists).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return formats.open_source(str(folder))


def images_of(source, split=None):
    """Return the images of a split: identifier -> path relative to the folder."""
    paths = {}
    for identifier, read in source.image_readers(split).items():
        annotation = read()
        assert annotation.names == ['cat'], identifier
        paths[identifier] = annotation.image_path.removeprefix(f'{source._folder}/')
    return paths


def notes_of(source, split=None):
    return [text.removeprefix(f'{source._folder}/') for _, text in source.notes(split)]


@pytest.mark.parametrize('pairs, expected', [
    ([('annotations/a', 'images/a')], {'a': 'images/a.jpg'}),
    ([('annots/a', 'images/a')], {'a': 'images/a.jpg'}),
    ([('XML/a', 'my photos/a')], {'a': 'my photos/a.jpg'}),
    ([('labels of cats/a', 'a')], {'labels of cats/a': 'a.jpg'}),
    ([('a', 'a'), ('b', 'b')], {'a': 'a.jpg', 'b': 'b.jpg'}),
    ([('Annotations/a', 'a')], {'a': 'a.jpg'}),
    ([('a', 'JPEGImages/a')], {'a': 'JPEGImages/a.jpg'}),
    ([('cam1/1', 'cam1/1'), ('cam2/1', 'cam2/1')],
     {'cam1/1': 'cam1/1.jpg', 'cam2/1': 'cam2/1.jpg'}),
    ([('annotations/xmls/a', 'images/a')], {'a': 'images/a.jpg'})])
def test_folders_of_any_name(tmp_path, pairs, expected):
    source = write(tmp_path, *pairs)
    assert isinstance(source, VocSource) and source.split_names() == []
    assert images_of(source) == expected and notes_of(source) == []


@pytest.mark.parametrize('form', [
    '{}/a', '{}/xml/a', 'xml/{}/a', 'Annotations/{}/a', 'my/{}/a', '{}_data/{}/a'])
def test_folders_of_splits(tmp_path, form):
    """Roboflow writes train/a.xml and train/a.jpg; the same names occur in other splits."""
    pairs = []
    for split in ('train', 'valid', 'test'):
        xml = form.format(split, split)
        pairs.append((xml, xml.replace('xml', 'images').replace('Annotations', 'JPEGImages')))
    source = write(tmp_path, *pairs)
    assert source.split_names() == ['test', 'train', 'valid']
    for split, (_, image) in zip(('train', 'valid', 'test'), pairs, strict=True):
        assert list(images_of(source, split).values()) == [f'{image}.jpg']
    with pytest.raises(UserError, match="has no split 'val'; its splits are: test, train, valid"):
        source.image_readers('val')


CAMERAS = [(f'Annotations/cam{n}/1', f'JPEGImages/cam{n}/1') for n in (1, 2)]


@pytest.mark.parametrize('text', [
    'cam1/1', 'cam1/1.jpg', 'cam1/1.xml', 'JPEGImages/cam1/1.jpg', 'VOC/JPEGImages/cam1/1.jpg',
    '/home/me/VOC/JPEGImages/cam1/1.jpg', 'C:\\VOC\\JPEGImages\\cam1\\1.jpg', 'cam1/1 1',
    'cam1/1 -1', './JPEGImages/cam1/1.jpg ./Annotations/cam1/1.xml', 'cam1/1.jpg,cam1/1.xml',
    'cam1/1 3 1 2'])
def test_lines_of_split_lists(tmp_path, text):
    source = write(tmp_path, *CAMERAS, lists={'ImageSets/Main/val.txt': f'{text}\n'})
    assert source.split_names() == ['val']
    assert images_of(source, 'val') == {'cam1/1': 'JPEGImages/cam1/1.jpg'}
    assert notes_of(source, 'val') == ['Annotations/cam2/1.xml is in no split list']


@pytest.mark.parametrize('path', [
    'ImageSets/Main/train.txt', 'imagesets/main/train.txt', 'ImageSets/train.txt', 'train.txt',
    'annotations/train.txt'])
def test_places_of_split_lists(tmp_path, path):
    source = write(tmp_path, ('annotations/a', 'images/a'), ('annotations/b', 'images/b'),
                   lists={path: 'b\n'})
    assert source.split_names() == ['train']
    assert images_of(source, 'train') == {'b': 'images/b.jpg'}


def test_lists_in_a_folder_of_the_dataset(tmp_path):
    source = write(tmp_path, *((f'VOC{year}/Annotations/a', f'VOC{year}/JPEGImages/a')
                               for year in (2007, 2012)),
                   lists={f'VOC{year}/ImageSets/Main/val.txt': 'a\n' for year in (2007, 2012)})
    assert images_of(source, 'val') == {f'VOC{year}/a': f'VOC{year}/JPEGImages/a.jpg'
                                        for year in (2007, 2012)}


def test_the_list_of_cvat_is_no_split(tmp_path):
    names = [f'f{i}' for i in range(10)]
    source = write(tmp_path, *((f'Annotations/{name}', f'JPEGImages/{name}') for name in names),
                   lists={'ImageSets/Main/default.txt': '\n'.join(names)})
    assert source.split_names() == [] and list(images_of(source)) == names
    assert list(images_of(source, 'default')) == names   # --split_names=default
    divided = formats.open_source(str(tmp_path), shares={'train': .8, 'val': .2})
    assert len(divided.image_readers('train')) == 8 and len(divided.image_readers('val')) == 2


def test_files_without_partner_are_noted(tmp_path):
    source = write(tmp_path, ('Annotations/a', 'JPEGImages/a'), ('Annotations/b', ''),
                   ('', 'JPEGImages/c'))
    assert images_of(source) == {'a': 'JPEGImages/a.jpg'}
    missing, unlabeled = notes_of(source)
    assert missing == ('Annotations/b.xml: its image is missing. Add b.jpg (or another extension)')
    assert unlabeled == 'JPEGImages/c.jpg has no annotation file'
    divided = formats.open_source(str(tmp_path), shares={'all': 1})
    assert len(divided.notes('all')) == 2
    (tmp_path / 'JPEGImages/a.jpg').unlink()
    with pytest.raises(UserError, match='a.xml: its image is missing'):
        images_of(VocSource(str(tmp_path)))


def test_listed_files_without_partner_are_errors(tmp_path):
    source = write(tmp_path, ('Annotations/b', ''), ('', 'JPEGImages/c'),
                   lists={'ImageSets/Main/train.txt': 'b\nc\n'})
    results = [parallel_reading.try_read(read) for read in source.image_readers('train').values()]
    assert 'Annotations/b.xml: its image is missing' in str(results[0].error)
    assert 'Annotations/c.xml is missing, but a split list' in str(results[1].error)


def test_annotation_outside_the_folders_of_splits(tmp_path):
    source = write(tmp_path, ('train/a', 'train/a'), ('b', 'b'))
    assert notes_of(source, 'train') == ['b.xml is in no folder of a split']


def test_flattened_images(tmp_path):
    source = write(tmp_path, ('Annotations/cam1/1', ''), ('Annotations/cam2/1', 'JPEGImages/1'))
    for read in source.image_readers(None).values():
        with pytest.raises(UserError, match='cam1/1.xml, .*cam2/1.xml have the same image'):
            read()
    assert notes_of(source) == []


def test_images_with_the_same_name(tmp_path):
    source = write(tmp_path, ('Annotations/a', 'JPEGImages/a'))
    write_image(tmp_path / 'JPEGImages/a.png', (100, 80))
    with pytest.raises(UserError, match='a.xml: several images have its name: .*a.jpg, .*a.png'):
        VocSource(str(tmp_path)).image_readers(None)['a']()
    xml = tmp_path / 'Annotations/a.xml'
    xml.write_text(xml.read_text().replace('<size>', '<filename>a.png</filename><size>'))
    source = VocSource(str(tmp_path))
    assert images_of(source) == {'a': 'JPEGImages/a.png'}
    assert notes_of(source) == ['JPEGImages/a.jpg has no annotation file']


def test_split_lists_and_images_with_the_same_name(tmp_path):
    write(tmp_path, ('Annotations/a', 'JPEGImages/a'), lists={'ImageSets/Main/train.txt': 'a'})
    write_image(tmp_path / 'JPEGImages/a.png', (100, 80))
    xml = tmp_path / 'Annotations/a.xml'
    xml.write_text(xml.read_text().replace('<size>', '<filename>a.png</filename><size>'))
    notes = notes_of(VocSource(str(tmp_path)), 'train')
    assert notes == ['JPEGImages/a.jpg has no annotation file']


def test_an_xml_file_that_names_another_image_is_noted(tmp_path):
    write(tmp_path, ('a', 'a'), ('b', 'b'))
    xml = (tmp_path / 'a.xml').read_text().replace('<size>', '<filename>b.jpg</filename><size>')
    (tmp_path / 'a.xml').write_text(xml)
    (problem, text), = VocSource(str(tmp_path)).image_readers(None)['a']().notes
    assert problem == 'doubtful' and text == f'{tmp_path}/a.xml names {tmp_path}/b.jpg, but is ' \
                                             f'used for {tmp_path}/a.jpg'


def test_other_formats_are_detected_first(tmp_path):
    write(tmp_path, ('annotations/a', 'images/a'))
    (tmp_path / 'classes.txt').write_text('cat')
    (tmp_path / 'images/a.txt').write_text('0 .5 .5 .1 .1')
    assert not isinstance(formats.open_source(str(tmp_path)), VocSource)
    assert isinstance(formats.open_source(str(tmp_path), 'voc'), VocSource)


def read(folder, objects):
    """Read the image of an XML file of 100x80 pixels; the results of `try_read`."""
    readers = voc_folder.readers(voc_folder.write_voc(folder, {'one': objects}))
    return parallel_reading.try_read(readers['one'])


@pytest.mark.parametrize('size, message', [
    ('<size><width>200</width><height>160</height></size>', 'is 200x160 pixels, but .* 100x80'),
    ('<size><width>100</width></size>', ''), ('<size/>', ''), ('', ''),
    ('<size><width>0</width><height>0</height><depth>3</depth></size>', ''),
    ('<Size><Width>100</Width><Height>60</Height></Size>', 'is 100x60 pixels')])
def test_declared_sizes(tmp_path, size, message):
    result = read(tmp_path, size + box_xml())
    if message:
        with pytest.raises(UserError, match=f'one.xml: the size of .*one.jpg {message}'):
            raise result.error
        assert result.error.problem == 'size'
    else:
        assert result.annotation.names == ['cat'] and result.error is None


def test_several_boxes_of_an_object(tmp_path):
    second = '<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>10</xmax><ymax>8</ymax></bndbox></object>'
    annotation = read(tmp_path, box_xml().replace('</object>', second)).annotation
    assert annotation.boxes == [(.25, .1, .75, .5), (0, 0, .1, .1)]
    assert annotation.names == ['cat', 'cat']


def test_tags_in_upper_case(tmp_path):
    xml = ('<Object><Name>cat</Name><BndBox><XMin>11</XMin><Ymin>21</Ymin><XMAX>50</XMAX>'
           '<ymax>60</ymax></BndBox></Object>')
    assert read(tmp_path, xml).annotation.boxes == [(.25, .1, .75, .5)]


def test_box_of_a_part_is_not_that_of_its_object(tmp_path):
    part = '<part><name>head</name><bndbox><xmin>1</xmin></bndbox></part>'
    annotation = read(tmp_path, box_xml(more=part)).annotation
    assert annotation.names == ['cat'] and annotation.notes == []


def test_box_outside_an_object_is_noted(tmp_path):
    annotation = read(tmp_path, box_xml() + '<bndbox/><item><bndbox/></item>').annotation
    assert annotation.notes == [
        ('unused', f'{tmp_path}/Annotations/one.xml: 2 <bndbox> outside an <object>')]


def test_deleted_objects_are_noted(tmp_path):
    """The LabelMe web tool keeps them in the file."""
    objects = box_xml(more='<deleted>0</deleted>') + box_xml('dog', more='<deleted>1</deleted>')
    annotation = read(tmp_path, objects).annotation
    assert annotation.names == ['cat']
    assert annotation.notes == [('unused', f"{tmp_path}/Annotations/one.xml: a deleted 'dog'")]
    assert VocSource(str(tmp_path)).class_names(['train']) == ['cat']


def test_repeated_boxes_are_dropped(tmp_path):
    annotation = read(tmp_path, box_xml() * 3 + box_xml('dog')).annotation
    assert annotation.names == ['cat', 'dog']
    assert [problem for problem, _ in annotation.notes] == ['repeated', 'repeated']


@pytest.mark.parametrize('objects, message', [
    ('<object><name>cat</name><robndbox><cx>5</cx></robndbox></object>', "of a 'cat' is rotated"),
    (box_xml(more='<attributes><attribute><name>rotation</name><value>30.0</value></attribute>'
                  '</attributes>'), "of a 'cat' is rotated"),
    (box_xml(more='<name>dog</name>'), 'a <object> has 2 different <name>. Remove all but one'),
    (box_xml('x' * 999), 'an object has a <name> that is too long'),
    (box_xml(xmin='1e400'), 'is inverted'), (box_xml(xmax='9' * 400), 'lies outside'),
    (box_xml(xmin='1_0'), 'invalid coordinate'), (box_xml(xmin='1,5'), 'invalid coordinate'),
    (box_xml().replace('<xmax>', '<xmax>3</xmax><xmax>'), 'invalid coordinate')])
def test_bad_boxes(tmp_path, objects, message):
    error, = read(tmp_path, objects).bad_boxes
    assert message in str(error) and f'{tmp_path}/Annotations/one.xml' in str(error)


@pytest.mark.parametrize('more', [
    '<attributes><attribute><name>rotation</name><value>0.0</value></attribute></attributes>',
    '<name>cat</name>', '<pose>Left</pose>'])
def test_upright_boxes(tmp_path, more):
    assert read(tmp_path, box_xml(more=more)).annotation.boxes == [(.25, .1, .75, .5)]


def test_a_byte_order_mark_in_a_value(tmp_path):
    assert read(tmp_path, box_xml(xmin='\ufeff11')).annotation.boxes == [(.25, .1, .75, .5)]


def test_relative_coordinates(tmp_path):
    result = read(tmp_path, box_xml(xmin=.1, ymin=.2, xmax=.5, ymax=.9))
    assert result.error.problem == 'relative'
    assert 'one.xml: all coordinates are in [0, 1]' in str(result.error)
    mixed = box_xml(xmin=.1, ymin=.2, xmax=.5, ymax=.9) + box_xml()
    assert read(tmp_path, mixed).error is None


def test_exif_orientation_is_applied_on_demand(tmp_path):
    """The image has 100x80 pixels as stored; the XML refers to it rotated by 90 degrees."""
    from PIL import Image
    write(tmp_path, ('a', ''))
    exif = Image.Exif()
    exif[0x0112] = 6
    two_colors('RGB', (80, 100), 'white').save(tmp_path / 'a.jpg', exif=exif)
    read_stored = formats.open_source(str(tmp_path)).image_readers(None)['a']
    with pytest.raises(UserError, match='100x80 pixels, but .* 80x100.*--apply_exif_orientation'):
        read_stored()
    source = formats.open_source(str(tmp_path), apply_orientation=True)
    annotation = source.image_readers(None)['a']()
    assert (annotation.width, annotation.height) == (100, 80) and annotation.notes == []
    assert annotation.boxes == [(.25, .1, .75, .5)]
