"""TensorFlow Lite with 8-bit integer convolutions; calibration images give the value ranges."""
import warnings

import tensorflow.compat.v1 as tf

from exporting import graph, tflite
from preprocessing import ssd_preprocessing

# Operators that stay in floating point: the normalization of the image, and everything behind the
# prediction layers. With 8 bits, a box coordinate could take only 256 values, and the predictions
# of all layers would share one scale.
_FLOAT_OPERATORS = [
    'ADD', 'CONCATENATION', 'DIV', 'EXP', 'GATHER', 'L2_NORMALIZATION', 'MAXIMUM', 'MINIMUM', 'MUL',
    'PACK', 'RELU', 'RELU_0_TO_1', 'RSQRT', 'SELECT', 'SELECT_V2', 'SOFTMAX', 'SPLIT', 'SQUARE',
    'STRIDED_SLICE', 'SUB', 'SUM', 'TOPK_V2', 'TRANSPOSE', 'UNPACK']


def export(path, job):
    """Write the file, which has the inputs and outputs of `tflite.export`."""
    images = _resize_calibration_images(job)

    def representative_dataset():
        for image in images:
            yield [image]
    experimental = tf.lite.experimental
    with tflite.make_converter(job) as converter, warnings.catch_warnings():
        warnings.simplefilter('ignore')   # the calibration uses a deprecated interpreter
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = representative_dataset
        # The converter itself has no option that keeps operators in floating point.
        debugger = experimental.QuantizationDebugger(
            converter=converter, debug_dataset=representative_dataset,
            debug_options=experimental.QuantizationDebugOptions(denylisted_ops=_FLOAT_OPERATORS))
        tflite.write(path, debugger.get_nondebug_quantized_model(), job.model.class_names)


def _resize_calibration_images(job):
    """Return the calibration images as net inputs: a list of [1, S, S, 3] uint8 arrays."""
    with graph.new_session() as session:
        encoded = tf.placeholder(tf.string, [None])
        resized = ssd_preprocessing.resize_for_eval(encoded, job.model.params.image_size)
        return [session.run(resized, {encoded: [image]}) for image in job.calibration_images]
