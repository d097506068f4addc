"""Every kind of bad input, in folders and in records, and the message that it gets."""
import functools
import re

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image
from voc_folder import box_xml, write_voc

import scripts
from datasets import dataset_factory, dataset_check, dataset_info, parallel_reading, records, voc

BBOX = 'image/object/bbox/'


def told(examination):
    """'kind: text' of all findings, one a line."""
    return '\n'.join(f'{finding.kind}: {finding.text}' for finding in examination.findings())


def examine(folder, classes=('cat',), **splits):
    """The examination of some pictures of a folder; splits: name -> identifiers."""
    examination = dataset_check.Examination(classes, 300)
    for split, identifiers in splits.items():
        for identifier in identifiers:
            read = functools.partial(voc.read_annotation, str(folder), identifier)
            dataset_check.examine(examination, split, parallel_reading.attempt(read))
    return examination


# Pictures are 100 wide and 80 high.
@pytest.mark.parametrize('objects, expected', [
    (box_xml(xmin=-9), "outside: .*one.xml: the box of a 'cat' .xmin -9,.* lies outside its picture of 100x80 pixels"),
    (box_xml(ymin=-9), 'outside: .*ymin -9'), (box_xml(xmax=130), 'outside: .*xmax 130'),
    (box_xml(ymax=130), 'outside: .*ymax 130'), (box_xml(xmin=101, xmax=102), 'outside: .*xmin 101'),
    (box_xml(xmin=60, xmax=50), 'inverted: .*xmin 60.* is inverted'), (box_xml(ymin=61, ymax=60), 'inverted: '),
    (box_xml(xmin='nan'), 'inverted: .*xmin nan'), (box_xml(xmax=''), 'unreadable: .*missing or unreadable coord'),
    (box_xml(ymax='wide'), 'unreadable: .*missing or unreadable'), (box_xml(''), 'unreadable: .*object has no <name>'),
    ('<object><name>cat</name></object>', 'unreadable: .*missing or unreadable'),
    ('', 'empty: .*one.jpg'), (box_xml(xmin=11, xmax=11), "tiny: .*one.jpg: a 'cat' of 3.0x150.0 pixels"),
    (box_xml('dog'), "unknown: .*one.jpg holds a 'dog'")])
def test_what_an_annotation_can_say(tmp_path, objects, expected):
    examination = examine(write_voc(tmp_path, {'one': objects}), train=['one'])
    assert re.search(expected, told(examination)), told(examination)
    assert examination.has_errors() == (not expected.startswith(('empty', 'tiny')))


@pytest.mark.parametrize('spoil, expected', [
    (lambda _, xml: xml.unlink(), 'unreadable: .*one.xml is missing'),
    (lambda _, xml: xml.write_text('<annotation>'), 'unreadable: .*one.xml is not well-formed XML'),
    (lambda jpeg, _: jpeg.unlink(), 'unreadable: .*one.xml has no picture'),
    (lambda jpeg, _: jpeg.write_bytes(b''), 'undecodable: .*one.jpg: is no picture that can be read'),
    (lambda jpeg, _: jpeg.write_text('<html>'), 'undecodable: .*one.jpg: is no picture that can be read'),
    (lambda jpeg, _: jpeg.write_bytes(jpeg.read_bytes()[:-300]), 'undecodable: .*one.jpg: does not decode')])
def test_what_files_can_be(tmp_path, spoil, expected):
    folder = write_voc(tmp_path, {'one': box_xml()})
    spoil(folder / 'JPEGImages/one.jpg', folder / 'Annotations/one.xml')
    examination = examine(folder, train=['one'])
    assert re.fullmatch(expected + '.*', told(examination)), told(examination)
    assert examination.has_errors() and examination.pictures == {}


def test_nothing_is_wrong(tmp_path):
    folder = write_voc(tmp_path, {'one': box_xml(more='<difficult>1</difficult>') + box_xml(xmin=0, xmax=101)})
    examination = examine(folder, train=['one'])
    assert examination.findings() == [] and not examination.has_errors() and dataset_check.finding_lines(examination, 9) == []
    assert examination.classes == {'cat': {'train': [2, 1, 1]}}
    np.testing.assert_allclose(examination.all_boxes(), [[.25, .1, .75, .5], [.25, 0, .75, 1]])   # cut to the picture


def write_three(folder):
    """Three pictures, the first two of which are the same."""
    write_voc(folder, {name: box_xml() for name in 'abc'})
    Image.new('RGB', (100, 80), 'white').save(folder / 'JPEGImages/c.jpg')
    return folder


def test_the_same_picture_in_two_splits(tmp_path):
    examination = examine(write_three(tmp_path), train=['a', 'c'], test=['b'])
    assert told(examination) == 'duplicate: all 1 pictures of test are in train too'
    examination = examine(tmp_path, train=['a', 'c'], trainval=['b', 'c'], test=['c'])
    assert 'all 2 pictures of trainval are in train too' in told(examination)
    Image.new('RGB', (100, 80), 'blue').save(tmp_path / 'JPEGImages/d.jpg')
    (tmp_path / 'Annotations/d.xml').write_text(f'<annotation>{box_xml()}</annotation>')
    examination = examine(tmp_path, train=['a', 'c'], test=['b', 'd'])
    assert told(examination) == (f'duplicate: {tmp_path}/JPEGImages/b.jpg is the same picture as '
                                 f'{tmp_path}/JPEGImages/a.jpg of train')
    assert not examination.has_errors()
    assert told(examine(tmp_path, train=['a', 'b'])) == ''          # twice in one split is a matter of taste


def test_the_lines_of_a_report(tmp_path):
    folder = write_voc(tmp_path, {name: box_xml('dog') + box_xml('cat') for name in 'abc'})
    examination = examine(folder, train='abc')
    assert dataset_check.class_table(examination) == [
        'class      train: boxes pictures difficult', 'cat                   3        3         0',
        'dog                   3        3         0']
    lines = dataset_check.finding_lines(examination, 2)
    assert lines[0] == 'error: 3 labels that are not in the list' and lines[3] == '  and 1 more' and len(lines) == 4
    assert lines[1] == f"  train: {tmp_path}/JPEGImages/a.jpg holds a 'dog'"


def write_record(folder, **change):
    """A data set of one record with a good box, changed; a value of None takes the key away."""
    folder.mkdir(exist_ok=True)
    write_voc(folder / 'voc', {'one': ''})
    values = {'image/encoded': [(folder / 'voc/JPEGImages/one.jpg').read_bytes()], 'image/filename': [b'one.jpg'],
              BBOX + 'label': [1], **{BBOX + side: [value] for side, value in
                                      (('ymin', .1), ('xmin', .1), ('ymax', .6), ('xmax', .6))}}
    values.update({key if key.startswith('image') else BBOX + key: value for key, value in change.items()})
    kinds = {bytes: ('bytes_list', tf.train.BytesList), int: ('int64_list', tf.train.Int64List),
             float: ('float_list', tf.train.FloatList)}
    feature = {key: tf.train.Feature(**{kinds[type(value[0])][0]: kinds[type(value[0])][1](value=value)})
               for key, value in values.items() if value}
    with records.ShardWriter(str(folder), 'pets', 'train', 1) as writer:
        writer.write(0, tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString())
    dataset_info.write_split(str(folder), 'pets', ['cat'], 'train', writer.counts)
    return dataset_factory.get_dataset('', 'train', str(folder))


def examine_all(dataset):
    """The examination of all records of a data set."""
    examination = dataset_check.Examination(dataset.class_names, 300)
    for look in dataset_check.examine_records(examination, dataset):
        look()
    return examination


@pytest.mark.parametrize('change, expected', [
    ({}, ''), ({'xmax': [1.3]}, "outside: record 0 of .*'one.jpg'.: the box of a 'cat' .* lies outside its picture"),
    ({'ymin': [-.2]}, 'outside: '), ({'xmax': [60.]}, 'outside: .*coordinates are relative, from 0 to 1'),
    ({'xmin': [.6]}, 'inverted: .*is empty or inverted'), ({'ymin': [.9]}, 'inverted: '),
    ({'ymin': [float('nan')]}, 'inverted: '), ({'label': [2]}, "unknown: record 0 of .* holds a '2'"),
    ({'label': [0]}, "unknown: .*'0'"), ({'label': [-1]}, "unknown: .*'-1'"),
    ({'label': [1, 1]}, 'unreadable: .*it has 2 labels, but 1, 1, 1, 1 ymin'),
    ({'ymin': None}, 'unreadable: .*it has 1 labels, but 0, 1, 1, 1 ymin'),
    ({'xmax': [.105]}, "tiny: .*a 'cat' of 1.5x150.0 pixels"),
    (dict.fromkeys(['label', 'ymin', 'xmin', 'ymax', 'xmax']), 'empty: record 0 of '),
    ({'image/encoded': [b'no picture']}, "undecodable: record 0 of .*'one.jpg'.: Unknown image file format"),
    ({'difficult': [0, 1, 1], 'xmin': [.6]}, 'inverted: '),
    ({'image/encoded': None}, 'undecodable: .*image/encoded'), ({'image/encoded': [7]}, 'undecodable: .*image/encoded'),
    ({'label': [b'cat']}, 'undecodable: .*bbox/label'), ({'label': [1.]}, 'undecodable: .*bbox/label'),
    ({'xmin': [b'.1']}, 'undecodable: .*bbox/xmin')])
def test_what_records_can_hold(tmp_path, change, expected):
    dataset = write_record(tmp_path / 'records', **change)
    examination = examine_all(dataset)
    assert re.search(expected, told(examination)), told(examination)
    assert bool(expected) == bool(examination.findings())


def test_a_record_of_something_else(tmp_path):
    dataset = write_record(tmp_path)
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 1) as writer:
        writer.write(0, b'\xff' * 20)
    assert told(examine_all(dataset)).startswith('undecodable: record 0 of ')


@pytest.mark.slow
def test_the_command(tmp_path):
    folder = write_voc(tmp_path / 'voc', {'a': box_xml() + box_xml(xmin=-9), 'b': box_xml('dog') + box_xml()})
    arguments = ['tf_convert_data.py', f'--dataset_dir={folder}']
    (tmp_path / 'labels.txt').write_text('cat\n')
    labels, out = f'--labels_file={tmp_path}/labels.txt', f'--output_dir={tmp_path}/records'
    done = scripts.run(*arguments, '--check', labels)
    assert done.returncode == 1 and 'error: 1 boxes outside their picture' in done.stdout, done.stderr
    assert "b.jpg holds a 'dog'" in done.stdout and not (tmp_path / 'records').exists()
    assert re.search(r'0 of 3 boxes \(0.0%\) overlap no anchor of ssd_300_vgg', done.stdout)
    done = scripts.run(*arguments, labels, out)
    assert done.returncode == 2 and 'lies outside' in done.stderr.splitlines()[-1]
    text = scripts.succeed(*arguments, labels, out, '--skip_bad_boxes')
    assert 'train: 2 pictures, 2 boxes, 1 classes' in text and 'left out 2 bad boxes, such as: ' in text
    text = scripts.succeed('tf_convert_data.py', f'--dataset_dir={tmp_path}/records', '--check')
    assert '2 pictures and 2 boxes are usable' in text and 'nothing is wrong' in text
    shard, = (tmp_path / 'records').glob('*.tfrecord')
    shard.write_bytes(shard.read_bytes()[:-1] + b'!')
    done = scripts.run('tf_convert_data.py', f'--dataset_dir={tmp_path}/records', '--check')
    assert done.returncode == 1 and 'record 1 of ' in done.stdout and 'do not fit their checksum' in done.stdout
    (folder / 'ImageSets/Main/train.txt').unlink()
    assert 'has no split lists' in scripts.refusal(*arguments, '--check')
