"""SavedModel, as TensorFlow Serving and every TensorFlow load it: variables beside the graph."""
import os

import tensorflow.compat.v1 as tf

from datasets import facts
from exporting import graph
from nets import inference


def export(path, job):
    """Writes the folder; labels.txt is among its assets."""
    with graph.session() as session:
        ways = graph.signatures(job)
        inference.restorer(job.model, job.use_averages)(session)
        facts.write_labels(os.path.dirname(path), job.model.class_names)
        assets = tf.constant(os.path.join(os.path.dirname(path), facts.LABELS))
        tf.add_to_collection(tf.GraphKeys.ASSET_FILEPATHS, assets)
        builder = tf.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING],
            {name: tf.saved_model.predict_signature_def(*way) for name, way in ways.items()},
            assets_collection=tf.get_collection(tf.GraphKeys.ASSET_FILEPATHS))
        builder.save()
