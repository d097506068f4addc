"""TensorFlow Lite: resized pictures in, detections out, suppression by the operator that its runtimes bring along."""
import tempfile
import zipfile

import tensorflow.compat.v1 as tf

from datasets import facts
from deployment.command import QuietStderr
from exporting import graph
from nets import anchors, box_coder, inference, post_processing

_OPERATOR = 'TFLite_Detection_PostProcess'


def export(path, job):
    """Writes the file: one picture `images` [1, S, S, 3] uint8 RGB in, `graph.OUTPUTS` out."""
    write(path, convert(job, tf.uint8), job)


def write(path, content, job):
    """The file, with labels.txt appended as TFLite's metadata lie: unzip reads it, the interpreter passes over it."""
    with open(path, 'wb') as file:
        file.write(content)
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path, 'a') as archive:
        facts.write_labels(folder, job.model.class_names)
        archive.write(f'{folder}/{facts.LABELS}', facts.LABELS)


def convert(job, input_dtype, **options):
    """The bytes of the model. options: attributes of tf.lite.TFLiteConverter."""
    with tempfile.TemporaryDirectory() as folder, graph.session() as session:
        size = job.model.params.image_size
        images = tf.placeholder(input_dtype, [1, size, size, 3], 'images')
        outputs = _detect(images, job)
        inference.restorer(job.model, job.use_averages)(session)
        tf.saved_model.simple_save(session, f'{folder}/net', {'images': images}, outputs)
        converter = tf.lite.TFLiteConverter.from_saved_model(f'{folder}/net')
        for name, value in {'allow_custom_ops': True, **options}.items():
            setattr(converter, name, value)
        with QuietStderr():
            return converter.convert()


def _detect(images, job):
    """{name: output}; the interpreter's operator decodes boxes and suppresses them class by class."""
    params, options = job.model.params, job.options
    offsets, scores = graph.predict(images, job)
    dx, dy, dw, dh = tf.unstack(offsets, axis=-1)
    dh, dw = (tf.minimum(side, box_coder.MAX_LOG_RATIO / variance)
              for side, variance in zip((dh, dw), params.variances[3:1:-1], strict=True))
    boxes, classes, scores, count = _suppression(options, params.variances, len(job.model.class_names))(
        tf.stack([dy, dx, dh, dw], axis=-1), scores, tf.constant(anchors.net_anchors(params)))
    count = tf.cast(count, tf.int32)
    real = tf.sequence_mask(count, options.max_detections)
    classes = tf.where(real, tf.cast(classes, tf.int32) + 1, tf.zeros_like(classes, tf.int32))
    boxes = tf.minimum(tf.maximum(boxes, 0.), 1.)   # in this order one operator, which stays in floating point
    return graph.named(post_processing.Detections(boxes, scores, classes, count), options)


def _suppression(options, variances, num_objects):
    """The operator: a function that the converter knows by its name, and puts the operator in the place of."""
    x, y, w, h = (1 / variance for variance in variances)
    attributes = [('max_detections', 'i', options.max_detections), ('max_classes_per_detection', 'i', 1),
                  ('detections_per_class', 'i', options.max_detections), ('num_classes', 'i', num_objects),
                  ('use_regular_nms', 'b', 'true'), ('nms_score_threshold', 'f', options.min_score),
                  ('nms_iou_threshold', 'f', options.nms_threshold),
                  ('y_scale', 'f', y), ('x_scale', 'f', x), ('h_scale', 'f', h), ('w_scale', 'f', w)]
    text = ' '.join(f'attr {{ key: "{key}" value {{ {kind}: {value} }} }}' for key, kind, value in attributes)

    @tf.function(experimental_implements=f'name: "{_OPERATOR}" {text}')
    def suppress(offsets, scores, anchors):
        del offsets, scores, anchors   # TensorFlow itself has no such operator: only the shapes of what comes out count
        length = options.max_detections
        return tf.zeros([1, length, 4]), tf.zeros([1, length]), tf.zeros([1, length]), tf.zeros([1])
    return suppress
