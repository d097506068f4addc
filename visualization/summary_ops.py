"""Summaries with a sentence that TensorBoard shows beside their names, which those of tf.compat.v1 have not."""
import tensorflow.compat.v1 as tf


def scalar(tag, value, description):
    """A summary of a number, a [] tensor."""
    value = tf.cast(value, tf.float32)   # TensorBoard passes over float64
    return tf.summary.tensor_summary(tag, value, summary_metadata=_metadata('scalars', description))


def image(tag, pixels, description):
    """A summary of a picture, [H, W, 3] uint8. As JPEG: the files of a long run would hold gigabytes of PNGs."""
    height, width = (tf.as_string(tf.shape(pixels)[axis]) for axis in (0, 1))
    shown = tf.stack([width, height, tf.io.encode_jpeg(pixels, quality=85)])   # the form of the plugin
    return tf.summary.tensor_summary(tag, shown, summary_metadata=_metadata('images', description))


def scalar_now(tag, value, description):
    """The tf.Summary of a number."""
    return tf.Summary(value=[tf.Summary.Value(tag=tag, tensor=tf.make_tensor_proto(float(value), tf.float32),
                                              metadata=_metadata('scalars', description))])


def _metadata(plugin, description):
    metadata = tf.Summary.Value().metadata
    metadata.plugin_data.plugin_name = plugin
    metadata.summary_description = description
    return metadata
