"""SavedModel, as TensorFlow Serving and every TensorFlow load it: variables beside the graph."""
import os

import tensorflow.compat.v1 as tf

from datasets import dataset_info
from exporting import graph
from run_folder import trained_model

_EXTRA = 'assets.extra'   # where Estimators, too, put files that are not for the graph


def export(path, job):
    """Writes the folder, with labels.txt among its extra assets."""
    with graph.session() as session:
        ways = graph.signatures(job)
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        builder = tf.saved_model.Builder(path)
        builder.add_meta_graph_and_variables(
            session, [tf.saved_model.SERVING],
            {name: tf.saved_model.predict_signature_def(*way) for name, way in ways.items()})
        builder.save()
    os.mkdir(os.path.join(path, _EXTRA))
    dataset_info.write_labels(os.path.join(path, _EXTRA), job.model.class_names)
