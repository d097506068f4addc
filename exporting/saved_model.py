"""SavedModel, the format of TensorFlow Serving: the graph, and the weights as variables."""
import os

import tensorflow.compat.v1 as tf

from checkpoints import trained_model
from datasets import dataset_info
from exporting import graph

_EXTRA_ASSETS = 'assets.extra'   # the folder for files that the graph does not read


def export(path, job):
    """Write the SavedModel folder, with labels.txt among its extra assets."""
    with graph.new_session() as session:
        signatures = graph.build_signatures(job)
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        builder = tf.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING],
            {name: tf.saved_model.predict_signature_def(inputs, outputs)
             for name, (inputs, outputs) in signatures.items()})
        builder.save()
    extra_assets = os.path.join(path, _EXTRA_ASSETS)
    os.mkdir(extra_assets)
    dataset_info.write_labels(extra_assets, job.model.class_names)
