"""Damaged images and records: every failure is one sentence, and all readers agree."""
import io
import os
import pathlib
import random

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from common.errors import UserError
from datasets import broken_records, dataset_factory, dataset_info, images, records, schema
from datasets.annotation import Annotation
from preprocessing import pixels

# Seeded, so that each run tries the same files. FUZZ_ROUNDS=10000 tries more.
ROUNDS = int(os.environ.get('FUZZ_ROUNDS', '60'))
NOISE = Image.effect_noise((40, 30), 80).convert('RGB')


def encode(image, file_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def damage(content, rng):
    """Return the bytes of a file with one to three of them changed, removed, added or cut off."""
    content = bytearray(content)
    for _ in range(rng.choice([1, 1, 2, 3])):
        position = rng.randrange(len(content) or 1)
        kind = rng.choice(['change', 'marker', 'remove', 'add', 'cut'])
        if kind in ('change', 'marker'):
            content[position:position + 1] = bytes([0xff if kind == 'marker'
                                                    else rng.randrange(256)])
        elif kind == 'remove':
            del content[position:position + rng.randrange(1, 30)]
        elif kind == 'add':
            content[position:position] = rng.randbytes(rng.randrange(1, 30))
        else:
            del content[max(position, 1):]
    return bytes(content)


def read_all(content):
    """Read the content as all readers do; return the images of those that did not fail."""
    results = []
    for read in (images.to_jpeg, images.to_upright):
        try:
            results.append(read(content, 'photo.jpg'))
        except images.BadImage as error:
            assert str(error).startswith('photo.jpg: ') and '\n' not in str(error)
    return results


@pytest.mark.parametrize('file_format, options', [
    ('JPEG', {}), ('JPEG', {'progressive': True}), ('JPEG', {'restart_marker_rows': 1}),
    ('PNG', {}), ('BMP', {}), ('GIF', {}), ('WEBP', {}), ('TIFF', {}), ('PPM', {}), ('TGA', {})])
def test_damaged_images(file_format, options):
    """Each damaged file fails with a sentence, or evaluation and training decode it too."""
    rng, original = random.Random(0), encode(NOISE, file_format, **options)
    accepted = [image for _ in range(ROUNDS) for image in read_all(damage(original, rng))]
    assert accepted
    encoded = tf.placeholder(tf.string, [])
    windows = [([0., 0., 1., 1.], [30., 40.]), ([.2, .3, .9, .8], [20., 20.])]
    decoded = [pixels.decode_image(encoded), *(
        pixels.decode_window(encoded, tf.constant(window), tf.constant(size))[0]
        for window, size in windows)]
    with tf.Session() as session:
        for image in accepted:
            shapes = [image_pixels.shape
                      for image_pixels in session.run(decoded, {encoded: image.encoded})]
            assert shapes[:2] == [(image.height, image.width, 3)] * 2


def test_random_bytes_are_no_images():
    rng = random.Random(0)
    starts = (b'', b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n', b'GIF89a', b'BM', b'II*\0', b'RIFF',
              b'%!PS-Adobe-3.0 EPSF-3.0\n')
    for _ in range(ROUNDS):
        assert read_all(rng.choice(starts) + rng.randbytes(rng.randrange(400))) == []


def random_values(rng, kind):
    """Return values of a feature: mostly valid, sometimes too many or of another kind."""
    label, number = [0, 1, 2, 3, -1, 2**32 + 1], [0., .2, .7, 1., 1.5, -3., 60., float('nan')]
    values = rng.choices(label if kind == 'label' else number, k=rng.choice([0, 1, 1, 2]))
    if rng.random() < .1:
        return [b'text'] * len(values)
    return values


def random_record(rng, encoded):
    features = {'image/encoded': [encoded], 'image/filename': [b'a.jpg']}
    for name in ('label', 'ymin', 'xmin', 'ymax', 'xmax', 'difficult'):
        values = random_values(rng, 'label' if name in ('label', 'difficult') else 'coordinate')
        features[f'image/object/bbox/{name}'] = values
    if rng.random() < .5:   # all lists of one length, and valid coordinates
        for name in ('label', 'ymin', 'xmin', 'ymax', 'xmax'):
            features[f'image/object/bbox/{name}'] = rng.choices(
                [1, 2] if name == 'label' else [.1, .9], k=2)
        features['image/object/bbox/difficult'] = []

    def to_feature(values):
        if values and isinstance(values[0], bytes):
            return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        if values and isinstance(values[0], int):
            return tf.train.Feature(int64_list=tf.train.Int64List(value=values))
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    features = {key: to_feature(values) for key, values in features.items()
                if values or rng.random() < .1}
    serialized = tf.train.Example(
        features=tf.train.Features(feature=features)).SerializeToString()
    return damage(serialized, rng) if rng.random() < .1 else serialized


def test_records_that_are_not_broken_can_be_used(tmp_path):
    """`find_error` in NumPy and the ops of TensorFlow agree about random records."""
    rng, encoded = random.Random(0), encode(NOISE, 'JPEG')
    contents = [random_record(rng, encoded) for _ in range(ROUNDS)]
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 1) as writer:
        for content in contents:
            writer.write(0, content)
    dataset_info.write_split(str(tmp_path), 'pets', ['cat', 'dog'], 'train', writer.counts)
    dataset = dataset_factory.get_dataset('', 'train', str(tmp_path))
    broken = {record.index for record in broken_records.find_broken_records(dataset)}
    assert 0 < len(broken) < ROUNDS
    for index in set(range(ROUNDS)) - broken:
        assert schema.find_error(schema.parse_raw(contents[index]), 3) is None, index


def test_damaged_files_of_records(tmp_path):
    """A damaged shard and a damaged dataset.json fail with one sentence, or name valid records."""
    annotation = Annotation('a.jpg', encode(NOISE, 'JPEG'), 30, 40, [(0, 0, 1, 1)], ['cat'],
                            [False], [False])
    with records.ShardWriter(str(tmp_path), 'pets', 'train', 1) as writer:
        for _ in range(3):
            writer.write(0, schema.serialize(annotation, {'cat': 1}))
    dataset_info.write_split(str(tmp_path), 'pets', ['cat'], 'train', writer.counts)
    rng = random.Random(0)
    for path in tmp_path.iterdir():
        original = path.read_bytes()
        for _ in range(ROUNDS):
            path.write_bytes(damage(original, rng))
            try:
                dataset = dataset_factory.get_dataset('', 'train', str(tmp_path))
                paths = {pathlib.Path(name).parent for name in dataset.files}
                assert paths == {tmp_path} and np.isin(dataset.num_examples, [3])
            except UserError as error:
                assert '\n' not in str(error)
        path.write_bytes(original)
