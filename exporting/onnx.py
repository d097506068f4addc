"""ONNX, by tf2onnx: resize, net and suppression in the operators of opset 17."""
import json

import tensorflow.compat.v1 as tf

from exporting import frozen_graph, graph
from nets import inference, post_processing
from preprocessing import ssd_preprocessing

OPSET = 17
INPUT = 'images'
_AXES = {INPUT: ('batch', 'height', 'width')}


def export(path, job):
    """Writes the file: `images` [B, H, W, 3] uint8 RGB of any size in, `graph.OUTPUTS` out.

    Its metadata hold `class_names`, a JSON list of the names by label.
    """
    with graph.session() as session:
        images = tf.placeholder(tf.uint8, [None, None, None, 3], INPUT)
        outputs = _detect(images, job)
        inference.restorer(job.model, job.use_averages)(session)
        frozen = frozen_graph.freeze(session, outputs.values())
    with open(path, 'wb') as file:
        file.write(_convert(frozen, job).SerializeToString())


def _convert(frozen, job):
    """The onnx.ModelProto of a frozen graph."""
    import logging

    import onnx
    import tf2onnx
    logging.getLogger('tf2onnx').setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_graph_def(
        frozen, name=job.model.params.name, input_names=[f'{INPUT}:0'],
        output_names=[f'{name}:0' for name in graph.OUTPUTS], opset=OPSET,
        tensors_to_rename={f'{name}:0': name for name in (INPUT, *graph.OUTPUTS)})
    for value in (*model.graph.input, *model.graph.output):
        for dimension, axis in zip(value.type.tensor_type.shape.dim, _AXES.get(value.name, ('batch',)), strict=False):
            if dimension.dim_param:   # tf2onnx calls it unk__1340
                dimension.dim_param = axis
    onnx.helper.set_model_props(model, {'class_names': json.dumps(graph.labels(job.model))})
    onnx.checker.check_model(model)   # it would refuse an operator that tf2onnx left as it was
    return model


def _detect(images, job):
    """{name: output}. tf2onnx converts only suppression of boxes that all classes share, so all anchors go into it."""
    resized = ssd_preprocessing.resize_pixels_for_eval(images, job.model.params.image_size, area=area_by_products)
    offsets, scores = graph.predict(resized, job)
    options = job.options
    kept = tf.image.combined_non_max_suppression(
        graph.decode(offsets, job.model.params)[:, :, None], _best(scores, options.select_top_k),
        max_output_size_per_class=options.select_top_k, max_total_size=options.max_detections,
        iou_threshold=options.nms_threshold, score_threshold=options.min_score, clip_boxes=True)
    real = tf.sequence_mask(kept.valid_detections, options.max_detections)
    classes = tf.where(real, tf.cast(kept.nmsed_classes, tf.int32) + 1, tf.zeros_like(real, tf.int32))
    return graph.named(post_processing.Detections(kept.nmsed_boxes, kept.nmsed_scores, classes,
                                                  kept.valid_detections), options)


def _best(scores, select):
    """Scores [B, A, C - 1] with 0 where so many of the class are better: what `nets.post_processing` leaves out."""
    by_class = tf.transpose(scores, [0, 2, 1])
    least = tf.nn.top_k(by_class, min(select, by_class.shape.as_list()[-1])).values[..., -1:]   # [B, C - 1, 1]
    return tf.transpose(tf.where(by_class >= least, by_class, tf.zeros_like(by_class)), [0, 2, 1])


def area_by_products(pixels, size):
    """`preprocessing.pixels.resize`'s means of areas by two products of matrices: ONNX has no operator for them.

    pixels: [B, h, w, 3] float32, size: [2] int32 -> [B, height, width, 3].
    """
    shape = tf.shape(pixels)
    columns, rows = _shares(shape[2], size[1]), _shares(shape[1], size[0])
    narrow = tf.einsum('bhwc,xw->bhxc', pixels, columns)
    return tf.einsum('bhxc,yh->byxc', narrow, rows)


def _shares(before, after):
    """[after, before] float32: how much of a pixel of the small side each of the large side makes."""
    scale = tf.cast(before, tf.float32) / tf.cast(after, tf.float32)
    start = tf.cast(tf.range(after), tf.float32)[:, None] * scale
    pixel = tf.cast(tf.range(before), tf.float32)[None]
    covered = tf.minimum(start + scale, pixel + 1) - tf.maximum(start, pixel)
    return tf.maximum(covered, 0.) / scale
