"""TensorFlow Lite in 8-bit integers: what each layer's numbers reach is learned from pictures, the calibration set."""
import numpy as np
import tensorflow.compat.v1 as tf

from exporting import graph, tflite
from preprocessing import ssd_preprocessing


def export(path, job):
    """Writes the file, as of `tflite.export`."""
    params = job.model.params
    with graph.session() as session:
        encoded = tf.placeholder(tf.string, [None])
        resized = ssd_preprocessing.resize_for_eval(encoded, params.image_size, params.mean)
        pictures = [session.run(resized, {encoded: [one]}) for one in job.calibration]

    def examples():
        for picture in pictures:
            yield [np.float32(picture)]
    content = tflite.convert(job, tf.float32, optimizations=[tf.lite.Optimize.DEFAULT],
                             representative_dataset=examples, inference_input_type=tf.uint8)
    tflite.write(path, content, job)
