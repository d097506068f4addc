"""Each kind of invalid input, in annotated images and in records, and the message that it gets."""
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
import voc_folder
from image_files import two_colors
from voc_folder import box_xml, write_voc

import scripts
from datasets import (
    check_report,
    dataset_check,
    dataset_factory,
    dataset_info,
    parallel_reading,
    records,
)

BBOX = 'image/object/bbox/'
# Features of a record with one valid box.
VALID_RECORD = {BBOX + 'label': [1], BBOX + 'ymin': [.1], BBOX + 'xmin': [.1], BBOX + 'ymax': [.6],
                BBOX + 'xmax': [.6], 'image/filename': [b'one.jpg']}


def findings_text(report):
    """Return the findings as lines 'problem: text'."""
    return '\n'.join(f'{finding.problem}: {finding.text}' for finding in report.findings())


def check_folder(folder, class_names=('cat',), **splits):
    """Return the report of images of a VOC folder; splits: name -> identifiers."""
    report, readers = check_report.CheckReport(class_names, 300), voc_folder.readers(folder)
    for split, identifiers in splits.items():
        for identifier in identifiers:
            result = parallel_reading.try_read(readers[identifier])
            dataset_check.add_read_result(report, split, result)
    return report


# The images are 100 pixels wide and 80 pixels high.
@pytest.mark.parametrize('objects, pattern', [
    (box_xml(xmin=-9), "outside: .*one.xml: the box of a 'cat' .xmin -9,.* lies outside its image "
                       'of 100x80 pixels'),
    (box_xml(ymin=-9), 'outside: .*ymin -9'), (box_xml(xmax=130), 'outside: .*xmax 130'),
    (box_xml(ymax=130), 'outside: .*ymax 130'),
    (box_xml(xmin=101, xmax=102), 'outside: .*xmin 101'),
    (box_xml(xmin=60, xmax=50), 'inverted: .*xmin 60.* is inverted'),
    (box_xml(ymin=61, ymax=60), 'inverted: '), (box_xml(xmin='nan'), 'inverted: .*xmin nan'),
    (box_xml(xmax=''), 'unreadable: .*missing or invalid coordinate'),
    (box_xml(ymax='wide'), 'unreadable: .*missing or invalid'),
    (box_xml(''), 'unreadable: .*object has no <name>'),
    ('<object><name>cat</name></object>', 'unreadable: .*missing or invalid'),
    ('', 'empty: .*one.jpg'),
    (box_xml(xmin=11, xmax=11), "tiny: .*one.jpg: a box of class 'cat' has 3.0x150.0 pixels"),
    (box_xml('dog'), "unknown: .*one.jpg has a box of class 'dog'")])
def test_problems_of_annotations(tmp_path, objects, pattern):
    report = check_folder(write_voc(tmp_path, {'one': objects}), train=['one'])
    assert re.search(pattern, findings_text(report)), findings_text(report)
    assert report.has_errors() == (not pattern.startswith(('empty', 'tiny')))


@pytest.mark.parametrize('damage, pattern', [
    (lambda _, xml: xml.unlink(), 'unreadable: .*one.xml is missing'),
    (lambda _, xml: xml.write_text('<annotation>'),
     'unreadable: .*one.xml is not well-formed XML'),
    (lambda jpeg, _: jpeg.unlink(), 'unreadable: .*one.xml: its image is missing'),
    (lambda jpeg, _: jpeg.write_bytes(b''), 'undecodable: .*one.jpg: not an image'),
    (lambda jpeg, _: jpeg.write_text('<html>'), 'undecodable: .*one.jpg: not an image'),
    (lambda jpeg, _: jpeg.write_bytes(jpeg.read_bytes()[:-300]),
     'undecodable: .*one.jpg: does not decode')])
def test_problems_of_files(tmp_path, damage, pattern):
    folder = write_voc(tmp_path, {'one': box_xml()})
    damage(folder / 'JPEGImages/one.jpg', folder / 'Annotations/one.xml')
    report = check_folder(folder, train=['one'])
    assert re.fullmatch(pattern + '.*', findings_text(report)), findings_text(report)
    assert report.has_errors() and report.num_images == {}


def test_valid_image(tmp_path):
    difficult = box_xml(more='<difficult>1</difficult>')
    folder = write_voc(tmp_path, {'one': difficult + box_xml(xmin=0, xmax=101)})
    report = check_folder(folder, train=['one'])
    assert report.findings() == [] and not report.has_errors()
    assert check_report.finding_lines(report, 9) == []
    assert report.class_counts == {'cat': {'train': [2, 1, 1]}}
    # The second box is clipped to the image.
    np.testing.assert_allclose(report.all_boxes(), [[.25, .1, .75, .5], [.25, 0, .75, 1]])


@pytest.fixture
def folder_with_duplicate(tmp_path):
    """A VOC folder with the images a, b, c and d; a and b are the same."""
    write_voc(tmp_path, {name: box_xml() for name in 'abcd'})
    for name, color in (('c', 'white'), ('d', 'blue')):
        two_colors('RGB', (100, 80), color).save(tmp_path / f'JPEGImages/{name}.jpg')
    return tmp_path


def test_image_in_two_splits(folder_with_duplicate):
    folder = folder_with_duplicate
    report = check_folder(folder, train=['a', 'c'], test=['b', 'd'])
    assert findings_text(report) == (f'duplicate: {folder}/JPEGImages/b.jpg is the same image as '
                                     f'{folder}/JPEGImages/a.jpg of train')
    assert not report.has_errors()


def test_duplicates_within_a_split_are_valid(folder_with_duplicate):
    assert findings_text(check_folder(folder_with_duplicate, train=['a', 'b'])) == ''


def test_split_contained_in_another_is_one_finding(folder_with_duplicate):
    report = check_folder(folder_with_duplicate, train=['a', 'c'], test=['b'])
    assert findings_text(report) == 'duplicate: all of test (1 image) is in train too'
    report = check_folder(folder_with_duplicate, train=['a', 'c'], trainval=['b', 'c'], test=['c'])
    assert 'all of trainval (2 images) is in train too' in findings_text(report)
    assert report.count('duplicate') == 2   # b, which is a, and c, which is in three splits
    assert report.num_distinct_images() == 2


def test_lines_of_the_report(tmp_path):
    folder = write_voc(tmp_path, {name: box_xml('dog') + box_xml('cat') for name in 'abc'})
    report = check_folder(folder, train='abc')
    assert check_report.class_table(report) == [
        'class      train: boxes   images difficult',
        'cat                   3        3         0',
        'dog                   3        3         0']
    lines = check_report.finding_lines(report, 2)
    assert len(lines) == 4
    assert lines[0] == 'error: labels that are not in the list of classes: 3'
    assert lines[1] == f"  train: {tmp_path}/JPEGImages/a.jpg has a box of class 'dog'"
    assert lines[3] == '  and 1 more'


def test_classes_that_a_flip_exchanges(tmp_path):
    objects = box_xml('left hand') + box_xml('right hand', xmin=20)
    report = check_folder(write_voc(tmp_path, {'one': objects}), None, train=['one'])
    assert findings_text(report) == (
        "mirrored: 'left hand' and 'right hand': a flipped image of one shows the other. Train "
        'with --horizontal_flip=false')
    lines = check_report.finding_lines(report, 9)
    assert lines[0] == 'note: pairs of classes that a horizontal flip exchanges: 1'
    assert not report.has_errors()


@pytest.mark.slow
def test_anchors_are_recommended_if_many_boxes_overlap_none(tmp_path):
    """A box of 4x4 of 100x80 pixels is 12x15 at the input size, less than half of any anchor."""
    small = box_xml(xmin=1, ymin=1, xmax=4, ymax=4)
    folder = write_voc(tmp_path / 'my voc', {'a': small + box_xml()})
    command = 'python fit_anchors.py --dataset_dir={} --dataset_split_name=train ' \
              '--model_name=ssd_300_vgg --output_file=anchors.txt'
    text = scripts.succeed('tf_convert_data.py', '--check', f'--dataset_dir={folder}')
    assert '1 of 2 boxes (50.0%) overlap no anchor' in text and 'no problems found' not in text
    assert ('recommended: fit anchors to the boxes after conversion with --output_dir=records, and '
            'train with --anchor_preset=anchors.txt:') in text
    assert command.format('records') in text
    records_folder = tmp_path / 'the records'
    scripts.succeed('tf_convert_data.py', f'--dataset_dir={folder}',
                    f'--output_dir={records_folder}')
    text = scripts.succeed('tf_convert_data.py', '--check', f'--dataset_dir={records_folder}')
    assert 'recommended: fit anchors to the boxes, and train' in text
    assert command.format(f"'{records_folder}'") in text


def write_record(folder, **changes):
    """Write a dataset of one record with a valid box.

    Args:
        folder: Folder to write to.
        **changes: Features to replace, without the prefix of box features, or None to remove them.
    """
    write_voc(folder / 'voc', {'one': ''})
    encoded = (folder / 'voc/JPEGImages/one.jpg').read_bytes()
    values = {'image/encoded': [encoded], **VALID_RECORD}
    values.update({key if key.startswith('image') else BBOX + key: value
                   for key, value in changes.items()})
    features = {key: make_feature(value) for key, value in values.items() if value}
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return write_serialized(folder, example.SerializeToString())


def make_feature(values):
    if isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if isinstance(values[0], int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
    return tf.train.Feature(float_list=tf.train.FloatList(value=values))


def write_serialized(folder, serialized):
    with records.ShardWriter(str(folder), 'pets', 'train', 1) as writer:
        writer.write(0, serialized)
    dataset_info.write_split(str(folder), 'pets', ['cat'], 'train', writer.counts)
    return dataset_factory.get_dataset('', 'train', str(folder))


def check_records(dataset):
    report = check_report.CheckReport(dataset.class_names, 300)
    dataset_check.check_datasets(report, [dataset])
    return report


@pytest.mark.parametrize('changes, pattern', [
    ({}, ''),
    ({'xmax': [1.3]},
     "outside: record 0 of .*'one.jpg'.: the box of a 'cat' .* lies outside its image"),
    ({'ymin': [-.2]}, 'outside: '),
    ({'xmax': [60.]}, 'outside: .*coordinates must be relative, from 0 to 1'),
    ({'xmin': [.6]}, 'inverted: .*is empty or inverted'), ({'ymin': [.9]}, 'inverted: '),
    ({'ymin': [float('nan')]}, 'inverted: '),
    ({'label': [2]}, "unknown: record 0 of .* has a box of class '2'"),
    ({'label': [0]}, "unknown: .*'0 .background: the labels seem to be 0-based"),
    ({'label': [2**32 + 1]}, "unknown: .*'4294967297'"), ({'label': [-1]}, "unknown: .*'-1'"),
    ({'label': [1, 1]}, 'unreadable: .* has 2 labels, but 1, 1, 1, 1 ymin'),
    ({'ymin': None}, 'unreadable: .* has 1 labels, but 0, 1, 1, 1 ymin'),
    ({'xmax': [.105]}, "tiny: .*a box of class 'cat' has 1.5x150.0 pixels"),
    (dict.fromkeys(['label', 'ymin', 'xmin', 'ymax', 'xmax']), 'empty: record 0 of '),
    ({'difficult': [0, 1, 1], 'xmin': [.6]}, 'inverted: '),
    ({'difficult': [0, 1, 1]}, "unreadable: record 0 of .* has 1 labels, but 3 difficult"),
    ({'image/encoded': [b'not an image']},
     "undecodable: record 0 of .*'one.jpg'.: Unknown image file format"),
    ({'image/encoded': None}, 'undecodable: .*image/encoded'),
    ({'image/encoded': [7]}, 'undecodable: .*image/encoded'),
    ({'label': [b'cat']}, 'undecodable: .*bbox/label'),
    ({'label': [1.]}, 'undecodable: .*bbox/label'),
    ({'xmin': [b'.1']}, 'undecodable: .*bbox/xmin')])
def test_problems_of_records(tmp_path, changes, pattern):
    report = check_records(write_record(tmp_path / 'records', **changes))
    assert re.search(pattern, findings_text(report)), findings_text(report)
    assert bool(pattern) == bool(report.findings())


def test_record_that_is_not_an_example(tmp_path):
    dataset = write_serialized(tmp_path, b'\xff' * 20)
    assert findings_text(check_records(dataset)).startswith('undecodable: record 0 of ')


@pytest.mark.slow
def test_check_and_conversion_of_bad_boxes(tmp_path):
    folder = write_voc(tmp_path / 'voc', {'a': box_xml() + box_xml(xmin=-9),
                                          'b': box_xml('dog') + box_xml()})
    (tmp_path / 'labels.txt').write_text('cat\n')
    arguments = ['tf_convert_data.py', f'--dataset_dir={folder}']
    labels, output = f'--labels_file={tmp_path}/labels.txt', f'--output_dir={tmp_path}/records'
    done = scripts.run(*arguments, '--check', labels)
    assert done.returncode == 1, done.stderr
    assert 'error: boxes outside their image: 1' in done.stdout
    assert "b.jpg has a box of class 'dog'" in done.stdout and not (tmp_path / 'records').exists()
    assert re.search(r'0 of 3 boxes \(0.0%\) overlap no anchor of ssd_300_vgg', done.stdout)

    done = scripts.run(*arguments, labels, output)
    assert done.returncode == 2 and 'lies outside' in done.stderr.splitlines()[-1]
    text = scripts.succeed(*arguments, labels, output, '--skip_bad_boxes')
    assert 'train: 2 images, 2 boxes, 1 class ' in text
    assert 'skipped 2 bad boxes, for example: ' in text
    (folder / 'ImageSets/Main/train.txt').unlink()
    assert 'has no splits' in scripts.rejection(*arguments, '--check')

    arguments = ['tf_convert_data.py', f'--dataset_dir={tmp_path}/records', '--check']
    text = scripts.succeed(*arguments)
    assert '2 valid images (1 different) with 2 valid boxes' in text and 'no problems found' in text
    shard, = (tmp_path / 'records').glob('*.tfrecord')
    shard.write_bytes(shard.read_bytes()[:-1] + b'!')
    done = scripts.run(*arguments)
    assert done.returncode == 1 and 'record 1 of ' in done.stdout
    assert 'does not match its checksum' in done.stdout
