"""ONNX by tf2onnx: resize, net and suppression in operators of opset 17."""
import json

import tensorflow.compat.v1 as tf

from checkpoints import trained_model
from exporting import frozen_graph, graph, onnx_resize
from nets import post_processing
from preprocessing import ssd_preprocessing

_OPSET = 17
_INPUT = 'images'
_AXES = {_INPUT: ('batch', 'height', 'width')}   # of the outputs, only the batch is dynamic


def export(path, job):
    """Write the ONNX file.

    The input is `images` [B, H, W, 3] uint8 RGB of any size, the outputs are
    `graph.OUTPUT_NAMES`. The metadata entry `class_names` is a JSON list of the class names,
    indexed by label.
    """
    with graph.new_session() as session:
        images = tf.placeholder(tf.uint8, [None, None, None, 3], _INPUT)
        outputs = _detect(images, job)
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        frozen = frozen_graph.freeze(session, outputs.values())
    model = convert(frozen, job.model.params.name, graph.OUTPUT_NAMES)
    model.metadata_props.add(key='class_names', value=json.dumps(graph.all_class_names(job.model)))
    with open(path, 'wb') as file:
        file.write(model.SerializeToString())


def convert(frozen, model_name, output_names):
    """Convert a frozen graph whose input node is `images`.

    Args:
        frozen: GraphDef without variables.
        model_name: Name of the ONNX graph.
        output_names: Names of the output nodes.

    Returns:
        `onnx.ModelProto`, checked, with named dynamic dimensions.
    """
    import logging

    import onnx
    import tf2onnx
    logging.getLogger('tf2onnx').setLevel(logging.ERROR)
    model, _ = tf2onnx.convert.from_graph_def(
        frozen, name=model_name, opset=_OPSET, input_names=[f'{_INPUT}:0'],
        output_names=[f'{name}:0' for name in output_names],
        tensors_to_rename={f'{name}:0': name for name in (_INPUT, *output_names)})
    for value in (*model.graph.input, *model.graph.output):
        axes = zip(value.type.tensor_type.shape.dim, _AXES.get(value.name, ('batch',)),
                   strict=False)
        for dimension, axis in axes:
            dimension.dim_param = axis   # tf2onnx writes names such as unk__1340
    onnx.checker.check_model(model)   # fails on operators that tf2onnx did not convert
    return model


def _detect(images, job):
    """Return the output nodes by name, for `images` [B, H, W, 3] uint8.

    tf2onnx converts `combined_non_max_suppression` only if all classes share the same boxes.
    So all anchors are passed to it, instead of the best `select_top_k` of each class.
    """
    params, options = job.model.params, job.post_processing
    boxes, scores = graph.predict(
        ssd_preprocessing.resize_pixels_for_eval(images, params.image_size, **onnx_resize.KERNELS),
        job)
    suppressed = tf.image.combined_non_max_suppression(
        boxes[:, :, None], _zero_below_top_k(scores, options.select_top_k),
        max_output_size_per_class=options.select_top_k, max_total_size=options.keep_top_k,
        iou_threshold=options.nms_threshold, score_threshold=options.select_threshold,
        clip_boxes=True)
    is_valid = tf.sequence_mask(suppressed.valid_detections, options.keep_top_k)
    classes = tf.where(is_valid, tf.cast(suppressed.nmsed_classes, tf.int32) + 1,
                       tf.zeros_like(is_valid, tf.int32))
    return graph.name_outputs(post_processing.Detections(
        suppressed.nmsed_boxes, suppressed.nmsed_scores, classes, suppressed.valid_detections),
        options.keep_top_k)


def _zero_below_top_k(scores, k):
    """Set scores [B, A, C - 1] to zero that are not among the best k of their class."""
    by_class = tf.transpose(scores, [0, 2, 1])
    k = min(k, by_class.shape.as_list()[-1])
    smallest = tf.nn.top_k(by_class, k).values[..., -1:]   # [B, C - 1, 1]
    return tf.transpose(tf.where(by_class >= smallest, by_class, tf.zeros_like(by_class)),
                        [0, 2, 1])
