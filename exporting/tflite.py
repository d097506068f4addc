"""TensorFlow Lite: a resized image in, detections out, all in built-in operators."""
import contextlib
import os
import tempfile
import zipfile

import numpy as np
import tensorflow.compat.v1 as tf

from checkpoints import trained_model
from common.native_stderr import suppress_native_stderr
from datasets import dataset_info
from exporting import graph
from nets import post_processing

# Boxes are clipped to this range before suppression. The image is [0, 1]; of a box that reaches
# further, next to nothing is inside the image.
_BOX_RANGE = (-1., 2.)


def export(path, job):
    """Write the file: `images` [1, S, S, 3] uint8 RGB in, `graph.OUTPUT_NAMES` out."""
    with make_converter(job) as converter:
        write(path, converter.convert(), job.model.class_names)


def write(path, content, class_names):
    """Write a TensorFlow Lite file, and append labels.txt in the way of TFLite metadata.

    The result is a valid zip file as well: `unzip` extracts labels.txt, the interpreter ignores it.
    """
    with open(path, 'wb') as file:
        file.write(content)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, 'a') as archive:
        dataset_info.write_labels(folder, class_names)
        archive.write(os.path.join(folder, dataset_info.LABELS_FILE), dataset_info.LABELS_FILE)


@contextlib.contextmanager
def make_converter(job):
    """Yield a `tf.lite.TFLiteConverter` of the net. In the context, stderr is suppressed."""
    size = job.model.params.image_size
    with tempfile.TemporaryDirectory() as folder, graph.new_session() as session:
        images = tf.placeholder(tf.uint8, [1, size, size, 3], 'images')
        outputs = _detect(images, job)
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        saved_model = os.path.join(folder, 'net')
        tf.saved_model.simple_save(session, saved_model, {'images': images}, outputs)
        with suppress_native_stderr():
            yield tf.lite.TFLiteConverter.from_saved_model(saved_model)


def _detect(images, job):
    """Return the output nodes by name, for `images` [1, S, S, 3] uint8.

    TFLite_Detection_PostProcess, the interpreter's own operator for this, misses a class if it runs
    in several threads, and is the only one with suppression per class. The plain suppression knows
    no classes, so the boxes of each class are shifted to a range of their own.
    """
    options, num_objects = job.post_processing, len(job.model.class_names)
    boxes, scores = graph.predict(images, job)                                # A anchors
    select = min(options.select_top_k, scores.shape.as_list()[1])
    scores, indices = tf.nn.top_k(tf.transpose(scores[0]), select)            # [C - 1, select]
    boxes = tf.gather(boxes[0], tf.reshape(indices, [-1]))
    scores = tf.reshape(scores, [-1])
    labels = tf.constant(np.repeat(np.arange(1, num_objects + 1, dtype=np.int32), select))
    shift = tf.cast(labels, tf.float32)[:, None] * (_BOX_RANGE[1] - _BOX_RANGE[0])
    selected, count = tf.image.non_max_suppression_padded(
        tf.clip_by_value(boxes, *_BOX_RANGE) + shift, scores, options.keep_top_k,
        options.nms_threshold, options.select_threshold, pad_to_max_output_size=True)
    is_valid = tf.sequence_mask(count, options.keep_top_k)

    def gather_selected(values):
        gathered = tf.gather(values, selected)
        return tf.where(is_valid, gathered, tf.zeros_like(gathered))[None]
    return graph.name_outputs(post_processing.Detections(
        tf.clip_by_value(gather_selected(boxes), 0., 1.), gather_selected(scores),
        gather_selected(labels), tf.reshape(count, [1])), options.keep_top_k)
