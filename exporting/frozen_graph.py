"""Frozen graph: one GraphDef with the weights as constants, for TF1 programs in C++, Java or Go."""
import tensorflow.compat.v1 as tf

from checkpoints import trained_model
from exporting import graph


def export(path, job):
    """Write the frozen graph.

    Its inputs and outputs are those of `graph.build_signatures`. The node `class_names` holds the
    class names, [C] string, indexed by label.
    """
    with graph.new_session() as session:
        signatures = graph.build_signatures(job)
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        frozen = freeze(session, [tensor for _, outputs in signatures.values()
                                  for tensor in outputs.values()])
    with open(path, 'wb') as file:
        file.write(frozen.SerializeToString(deterministic=True))


def freeze(session, outputs):
    """Return a GraphDef of the nodes that `outputs` depend on, with variables as constants."""
    return tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(), [tensor.op.name for tensor in outputs])
