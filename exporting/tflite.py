"""TensorFlow Lite: resized pictures in, detections out, suppression all in built-in operators."""
import contextlib
import os
import tempfile
import zipfile

import numpy as np
import tensorflow.compat.v1 as tf

from cli.app import QuietStderr
from datasets import dataset_info
from exporting import graph
from nets import post_processing
from run_folder import trained_model

_REACH = (-1., 2.)   # no box that shows something of the picture reaches so far beyond it that more would count


def export(path, job):
    """Writes the file: one picture `images` [1, S, S, 3] uint8 RGB in, `graph.OUTPUTS` out."""
    with converter(job) as made:
        write(path, made.convert(), job)


def write(path, content, job):
    """The file, with labels.txt appended as TFLite's metadata lie: unzip reads it, the interpreter passes over it."""
    with open(path, 'wb') as file:
        file.write(content)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, 'a') as archive:
        dataset_info.write_labels(folder, job.model.class_names)
        archive.write(os.path.join(folder, dataset_info.LABELS_FILE), dataset_info.LABELS_FILE)


@contextlib.contextmanager
def converter(job):
    """A tf.lite.TFLiteConverter of the job's net, which is quiet."""
    size = job.model.params.image_size
    with tempfile.TemporaryDirectory() as folder, graph.session() as session:
        images = tf.placeholder(tf.uint8, [1, size, size, 3], 'images')
        outputs = _detect(images, job)
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        tf.saved_model.simple_save(session, os.path.join(folder, 'net'), {'images': images}, outputs)
        with QuietStderr():
            yield tf.lite.TFLiteConverter.from_saved_model(os.path.join(folder, 'net'))


def _detect(images, job):
    """{name: output}.

    The interpreter's own operator for all this (TFLite_Detection_PostProcess) passes over a class where it runs in
    several threads, and knows suppression class by class in no other way. The plain one, which knows no classes, keeps
    them apart when the boxes of each are moved to a place of their own.
    """
    options, num_objects = job.options, len(job.model.class_names)
    offsets, scores = graph.predict(images, job)                                # [1, A, 4], [1, A, C - 1]
    select = min(options.select_top_k, scores.shape.as_list()[1])
    scores, best = tf.nn.top_k(tf.transpose(scores[0]), select)                 # [C - 1, select]
    boxes = tf.gather(graph.decode(offsets[0], job.model.params), tf.reshape(best, [-1]))
    labels = tf.constant(np.repeat(np.arange(1, num_objects + 1, dtype=np.int32), select))
    apart = tf.clip_by_value(boxes, *_REACH) + tf.cast(labels, tf.float32)[:, None] * (_REACH[1] - _REACH[0])
    chosen, count = tf.image.non_max_suppression_padded(
        apart, tf.reshape(scores, [-1]), options.max_detections, options.nms_threshold, options.min_score,
        pad_to_max_output_size=True)
    real = tf.sequence_mask(count, options.max_detections)

    def gathered(values):
        found = tf.gather(values, chosen)
        return tf.where(real, found, tf.zeros_like(found))[None]
    return graph.named(post_processing.Detections(
        tf.clip_by_value(gathered(boxes), 0., 1.), gathered(tf.reshape(scores, [-1])), gathered(labels),
        tf.reshape(count, [1])), options)
