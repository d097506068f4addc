"""ONNX, by tf2onnx: resize, net and suppression in the operators of opset 17."""
import json

import tensorflow.compat.v1 as tf

from exporting import frozen_graph, graph, onnx_resize
from nets import post_processing
from preprocessing import ssd_preprocessing
from run_folder import trained_model

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
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        frozen = frozen_graph.freeze(session, outputs.values())
    model = to_onnx(frozen, job.model.params.name, graph.OUTPUTS)
    model.metadata_props.add(key='class_names', value=json.dumps(graph.labels(job.model)))
    with open(path, 'wb') as file:
        file.write(model.SerializeToString())


def to_onnx(frozen, name, outputs):
    """The onnx.ModelProto of a frozen graph that takes `images`; outputs: names of nodes."""
    import logging

    import onnx
    import tf2onnx
    logging.getLogger('tf2onnx').setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_graph_def(
        frozen, name=name, input_names=[f'{INPUT}:0'], output_names=[f'{output}:0' for output in outputs], opset=OPSET,
        tensors_to_rename={f'{node}:0': node for node in (INPUT, *outputs)})
    for value in (*model.graph.input, *model.graph.output):
        axes = zip(value.type.tensor_type.shape.dim, _AXES.get(value.name, ('batch',)), strict=False)
        for dimension, axis in axes:
            dimension.dim_param = axis   # tf2onnx calls it unk__1340
    onnx.checker.check_model(model)   # it refuses an operator that tf2onnx left as it was
    return model


def _detect(images, job):
    """{name: output}. tf2onnx converts only suppression of boxes that all classes share, so all anchors go into it."""
    resized = ssd_preprocessing.resize_pixels_for_eval(images, job.model.params.image_size, **onnx_resize.KERNELS)
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
