"""A frozen graph: one GraphDef with the weights as constants, as TF1's C++, Java and Go programs load it."""
import tensorflow.compat.v1 as tf

from exporting import graph
from run_folder import trained_model


def export(path, job):
    """Writes the file. Its nodes are those of `graph.signatures`, and `class_names` [C] string, by label."""
    with graph.session() as session:
        ways = graph.signatures(job)
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        frozen = freeze(session, [tensor for _, outputs in ways.values() for tensor in outputs.values()])
    with open(path, 'wb') as file:
        file.write(frozen.SerializeToString(deterministic=True))


def freeze(session, outputs):
    """The GraphDef of what leads to these tensors, variables as constants."""
    return tf.graph_util.convert_variables_to_constants(
        session, session.graph.as_graph_def(), [tensor.op.name for tensor in outputs])
