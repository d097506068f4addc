"""TensorFlow Lite with convolutions in 8-bit integers: how far their numbers reach is seen on calibration pictures."""
import warnings

import tensorflow.compat.v1 as tf

from exporting import graph, tflite
from preprocessing import ssd_preprocessing

# What stays in floating point: the normalised picture, and all behind the heads, where 8 bits would leave a box 256
# places, and the heads of all layers one scale.
_FLOAT = ('ADD', 'CONCATENATION', 'DIV', 'EXP', 'GATHER', 'L2_NORMALIZATION', 'MAXIMUM', 'MINIMUM', 'MUL', 'PACK',
          'RELU', 'RELU_0_TO_1', 'RSQRT', 'SELECT', 'SELECT_V2', 'SOFTMAX', 'SPLIT', 'SQUARE', 'STRIDED_SLICE', 'SUB',
          'SUM', 'TOPK_V2', 'TRANSPOSE', 'UNPACK')


def export(path, job):
    """Writes the file, which takes and gives what that of `tflite.export` does."""
    pictures = resized(job)

    def examples():
        for picture in pictures:
            yield [picture]
    lite = tf.lite.experimental
    with tflite.converter(job) as converter, warnings.catch_warnings():
        warnings.simplefilter('ignore')   # of the interpreter that looks at the pictures
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = examples
        chosen = lite.QuantizationDebugger(converter=converter, debug_dataset=examples,
                                           debug_options=lite.QuantizationDebugOptions(denylisted_ops=list(_FLOAT)))
        tflite.write(path, chosen.get_nondebug_quantized_model(), job)


def resized(job):
    """The calibration pictures as the net sees them: a list of [1, S, S, 3] uint8."""
    params = job.model.params
    with graph.session() as session:
        encoded = tf.placeholder(tf.string, [None])
        pictures = ssd_preprocessing.resize_for_eval(encoded, params.image_size, params.mean)
        return [session.run(pictures, {encoded: [one]}) for one in job.calibration]
