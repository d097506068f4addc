"""Times steps of the same global batch with one clone and with several, on logical CPU devices, in one run.

python -m benchmarks.clones [--model_name=ssd_300_vgg] [--global_batch=8] [--num_clones=1,2,4] [--steps=5]

All clones share the cores of this machine, so what several cost more than one is what the clones themselves cost:
smaller convolutions, splitting the batch, summing gradients. They take turns, and medians are printed: machines drift,
so trust the ratios of one run.
"""
import tempfile

from absl import flags

from cli import app
from common.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string('model_name', 'ssd_300_vgg', 'The net, as train_ssd_network.py names it.')
flags.DEFINE_integer('global_batch', 8, 'Images of a step, those of all clones.', lower_bound=1)
flags.DEFINE_list('num_clones', ['1', '2', '4'], 'Numbers of clones, with commas; others are held to the first.')
flags.DEFINE_integer('steps', 5, 'Timed steps of each.', lower_bound=1)


def check_flags():
    """Refuses clones that cannot share the batch evenly."""
    for count in FLAGS.num_clones:
        if not count.isdigit() or not int(count) or FLAGS.global_batch % int(count):
            raise UserError(f'--num_clones: {count} clones cannot share --global_batch={FLAGS.global_batch}')


def make_step(params, dataset, num_clones):
    """A function () that takes a step with so many clones, in a graph and a session of its own."""
    import tensorflow.compat.v1 as tf

    from benchmarks.training_step import training_step
    with tf.Graph().as_default() as graph:
        train_tensor, config = training_step(params, dataset, FLAGS.global_batch, num_clones)
        session = tf.Session(graph=graph, config=config)
        session.run(tf.global_variables_initializer())
        session.run(tf.tables_initializer())
    return lambda: session.run(train_tensor)


def main():
    """Builds a step for each number of clones, times them in turn."""
    from benchmarks.noisy_images import make_dataset
    from benchmarks.timing import median_seconds
    from nets import nets_factory
    params = nets_factory.get_params(FLAGS.model_name)
    counts = [int(count) for count in FLAGS.num_clones]
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(folder)
        medians = median_seconds({count: make_step(params, dataset, count) for count in counts}, FLAGS.steps)
    print(f'{params.name}, global batch {FLAGS.global_batch}, medians of {FLAGS.steps} turns')
    for count, median in medians.items():
        print(f'{count} clone{"s" * (count > 1)} of {FLAGS.global_batch // count}: {median:.3f} s a step, '
              f'{median / medians[counts[0]]:.3f} of the time of {counts[0]}')


if __name__ == '__main__':
    app.run(main, check_flags)
