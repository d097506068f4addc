import io

import numpy as np
import tensorflow.compat.v1 as tf
from PIL import Image

from visualization import summary_ops


def test_scalar_is_float32_with_a_description(evaluate):
    op = summary_ops.scalar('a/b', tf.constant(2, tf.int64), 'A number.')
    value, = tf.Summary.FromString(evaluate(op)).value
    assert value.tag == 'a/b' and value.metadata.plugin_data.plugin_name == 'scalars'
    assert value.tensor.dtype == tf.float32.as_datatype_enum and tf.make_ndarray(value.tensor) == 2
    assert value.metadata.summary_description == 'A number.'


def test_image_is_a_jpeg_with_its_size(evaluate):
    op = summary_ops.image('images/1', tf.constant(np.full([20, 30, 3], 9, np.uint8)), 'An image.')
    value, = tf.Summary.FromString(evaluate(op)).value
    width, height, encoded = tf.make_ndarray(value.tensor)
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.format == 'JPEG' and image.size == (30, 20) == (int(width), int(height))
    assert value.metadata.plugin_data.plugin_name == 'images'


def test_scalar_proto_of_a_python_number():
    value, = summary_ops.scalar_proto('training/images_per_second', 16, 'Throughput.').value
    assert value.tag == 'training/images_per_second' and tf.make_ndarray(value.tensor) == 16
    assert value.metadata.summary_description == 'Throughput.'
