"""The graph that is exported: pictures in, detections out, under the same names in every format.

    boxes    [B, K, 4] float32, inside [0, 1]     K = max_detections, best first
    scores   [B, K] float32
    classes  [B, K] int32                         1 to C - 1; 0, the background, where there are fewer than K
    names    [B, K] string                        of the classes; only TensorFlow's own formats have it
    count    [B] int32                            how many of K are real
"""
import contextlib

import tensorflow.compat.v1 as tf

from nets import anchors, box_coder, ssd
from preprocessing import ssd_preprocessing
from run_folder import trained_model

BACKGROUND = 'background'
OUTPUTS = ('boxes', 'scores', 'classes', 'count')


def labels(model):
    """Names of all classes, by label."""
    return [BACKGROUND, *model.class_names]


@contextlib.contextmanager
def session():
    """A session on a graph of its own."""
    with tf.Graph().as_default(), tf.Session() as opened:
        yield opened


def _pad(found, length):
    """The tensor [B, k, ...] with zeros up to [B, length, ...]; k is known."""
    missing = length - found.shape.as_list()[1]
    return tf.pad(found, [[0, 0], [0, missing]] + [[0, 0]] * (found.shape.rank - 2)) if missing else found


def signatures(job):
    """Two ways into the net of a job, in the default graph: name -> ({name: input}, {name: output}).

    'serving_default' takes `images` [B, H, W, 3] uint8 RGB of any size, 'encoded' takes `encoded` [B] string: JPEG,
    PNG, GIF or BMP. Both share the net's variables. The outputs' nodes are called as their keys, those of the second
    `from_encoded/boxes` and so on.
    """
    images = tf.placeholder(tf.uint8, [None, None, None, 3], 'images')
    encoded = tf.placeholder(tf.string, [None], 'encoded')
    class_names = tf.constant(labels(job.model), name='class_names')
    size, mean = job.model.params.image_size, job.model.params.mean
    with tf.device('/device:CPU:0'):
        resized = {'': ssd_preprocessing.resize_pixels_for_eval(images, size),
                   'from_encoded/': ssd_preprocessing.resize_for_eval(encoded, size, mean)}
    outputs = {}
    for scope, pictures in resized.items():
        with tf.variable_scope(tf.get_variable_scope(), reuse=tf.AUTO_REUSE):
            found = trained_model.detect(
                pictures, job.model, select_threshold=job.options.min_score, select_top_k=job.options.select_top_k,
                nms_threshold=job.options.nms_threshold, keep_top_k=job.options.max_detections)
        outputs[scope] = named(found, job.options, scope)
        outputs[scope]['names'] = tf.gather(class_names, outputs[scope]['classes'], name=f'{scope}names')
    return {'serving_default': ({'images': images}, outputs['']),
            'encoded': ({'encoded': encoded}, outputs['from_encoded/'])}


def named(detections, options, scope=''):
    """{name: output} of `Detections`, as nodes of these names."""
    boxes, scores, classes, count = detections
    length = options.max_detections
    return {'boxes': tf.identity(_pad(boxes, length), f'{scope}boxes'),
            'scores': tf.identity(_pad(scores, length), f'{scope}scores'),
            'classes': tf.identity(_pad(classes, length), f'{scope}classes'),
            'count': tf.identity(count, f'{scope}count')}


def predict(images, job):
    """Of resized uint8 images: offsets [B, A, 4], and scores [B, A, C - 1] of the objects."""
    params = job.model.params
    predictions = ssd.build(ssd.normalize(images, params), params, len(labels(job.model)), is_training=False)
    return predictions.offsets, tf.nn.softmax(predictions.logits)[..., 1:]


def decode(offsets, params):
    """Boxes [B, A, 4] of offsets [B, A, 4] to the net's anchors."""
    return box_coder.decode(offsets, anchors.net_anchors(params), params.variances)
