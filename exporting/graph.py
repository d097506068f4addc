"""The exported graph: images in, detections out, with the same output names in every format.

B is the batch size, K the maximum number of detections of an image, C the number of classes
including the background.

    boxes    [B, K, 4] float32   ymin, xmin, ymax, xmax in [0, 1]
    scores   [B, K] float32      descending
    classes  [B, K] int32        labels from 1 to C - 1
    names    [B, K] string       class names; in the SavedModel and the frozen graph only
    count    [B] int32           number of detections

After the first `count` rows, boxes, scores and classes are zero, and names are 'background'.
"""
import contextlib

import tensorflow.compat.v1 as tf

from checkpoints import trained_model
from datasets import dataset_info
from nets import anchors, box_coder, post_processing, ssd
from preprocessing import ssd_preprocessing

OUTPUT_NAMES = ('boxes', 'scores', 'classes', 'count')   # of all formats


def all_class_names(model):
    """Return the class names of a model, indexed by label: the background is first."""
    return [dataset_info.BACKGROUND, *model.class_names]


@contextlib.contextmanager
def new_session():
    """Yield a session on a new graph, which is the default graph of the context."""
    with tf.Graph().as_default(), tf.Session() as session:
        yield session


def build_signatures(job):
    """Build the net in the default graph, with two signatures that share its variables.

    'serving_default' takes `images` [B, H, W, 3] uint8 RGB of any size, 'encoded' takes `encoded`
    [B] string: the bytes of JPEG, PNG, GIF or BMP files. The output nodes have the names of the
    outputs, in 'encoded' with the prefix `from_encoded/`.

    Args:
        job: `exporters.ExportJob`.

    Returns:
        Dict from the name of a signature to (inputs, outputs), two dicts of tensors by name.
    """
    images = tf.placeholder(tf.uint8, [None, None, None, 3], 'images')
    encoded = tf.placeholder(tf.string, [None], 'encoded')
    class_names = tf.constant(all_class_names(job.model), name='class_names')
    size = job.model.params.image_size
    with tf.device('/device:CPU:0'):
        resized = {'': ssd_preprocessing.resize_pixels_for_eval(images, size),
                   'from_encoded/': ssd_preprocessing.resize_for_eval(encoded, size)}
    outputs = {}
    for prefix, net_input in resized.items():
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            detections = trained_model.detect(net_input, job.model, options=job.post_processing)
        outputs[prefix] = name_outputs(detections, job.post_processing.keep_top_k, prefix)
        outputs[prefix]['names'] = tf.gather(class_names, outputs[prefix]['classes'],
                                             name=f'{prefix}names')
    return {'serving_default': ({'images': images}, outputs['']),
            'encoded': ({'encoded': encoded}, outputs['from_encoded/'])}


def name_outputs(detections, length, prefix=''):
    """Return a dict of the output nodes by name, padded with zeros.

    Args:
        detections: `nets.post_processing.Detections` of static length, at most `length`.
        length: K of the outputs.
        prefix: Prefix of the node names.
    """
    boxes, scores, classes, count = detections
    return {'boxes': tf.identity(_pad(boxes, length), f'{prefix}boxes'),
            'scores': tf.identity(_pad(scores, length), f'{prefix}scores'),
            'classes': tf.identity(_pad(classes, length), f'{prefix}classes'),
            'count': tf.identity(count, f'{prefix}count')}


def _pad(values, length):
    """Pad [B, k, ...] with zeros to [B, length, ...]. The dimension k is static."""
    missing = length - values.shape.as_list()[1]
    if not missing:
        return values
    return tf.pad(values, [[0, 0], [0, missing]] + [[0, 0]] * (values.shape.rank - 2))


def predict(images, job):
    """Return the boxes and scores of all anchors, before thresholds and suppression.

    Args:
        images: [B, S, S, 3] uint8 RGB, resized to the input size of the net.
        job: `exporters.ExportJob`.

    Returns:
        boxes [B, A, 4] float32, decoded but not clipped, and scores [B, A, C - 1] float32 without
        the background.
    """
    params = job.model.params
    predictions = ssd.build(ssd.normalize(images, params), params, len(all_class_names(job.model)),
                            is_training=False)
    boxes = box_coder.decode(predictions.offsets, anchors.net_anchors(params), params.variances)
    return boxes, post_processing.class_scores(predictions.logits, params.scores)
