"""TensorBoard summaries with a description, which those of tf.compat.v1.summary do not have."""
import tensorflow.compat.v1 as tf


def scalar(tag, value, description):
    """Return a summary op of a scalar tensor of any numeric dtype."""
    value = tf.cast(value, tf.float32)   # TensorBoard ignores float64
    return tf.summary.tensor_summary(tag, value, summary_metadata=_metadata('scalars', description))


def image(tag, pixels, description):
    """Return a summary op of an image [H, W, 3] uint8.

    The image is stored as JPEG. PNGs would add up to gigabytes in a long run.
    """
    height, width = (tf.as_string(tf.shape(pixels)[axis]) for axis in (0, 1))
    # The image plugin expects width, height and the encoded images, as strings.
    value = tf.stack([width, height, tf.io.encode_jpeg(pixels, quality=85)])
    return tf.summary.tensor_summary(tag, value, summary_metadata=_metadata('images', description))


def scalar_proto(tag, value, description):
    """Return a tf.Summary of a Python number."""
    return tf.Summary(value=[tf.Summary.Value(
        tag=tag, tensor=tf.make_tensor_proto(float(value), tf.float32),
        metadata=_metadata('scalars', description))])


def _metadata(plugin, description):
    """Return the tf.SummaryMetadata of a TensorBoard plugin."""
    metadata = tf.Summary.Value().metadata
    metadata.plugin_data.plugin_name = plugin
    metadata.summary_description = description
    return metadata
