r"""Time training steps of the same global batch with one and with several clones on the CPU.

python -m benchmarks.clones [--model_name=ssd_300_vgg] [--global_batch=8] [--num_clones=1,2,4] \
    [--steps=5] [--sync_batch_norm]

The clones run on logical CPU devices and share the cores. The time that several clones take beyond
that of one is their overhead: smaller convolutions, splitting the batch, summing gradients. The
steps are timed in turn, and medians are printed. The speed of a machine drifts, so compare values
of one run only.
"""
import tempfile

from absl import flags

from cli import app
from common.errors import UserError

FLAGS = flags.FLAGS
flags.DEFINE_string('model_name', 'ssd_300_vgg', 'Name of the net.')
flags.DEFINE_integer('global_batch', 8, 'Number of images per step, of all clones together.',
                     lower_bound=1)
flags.DEFINE_list('num_clones', ['1', '2', '4'],
                  'Comma-separated numbers of clones. Each is compared with the first.')
flags.DEFINE_bool('sync_batch_norm', False, 'Compute batch norm moments over all clones.')
flags.DEFINE_integer('steps', 5, 'Number of timed steps, of which the median is printed.',
                     lower_bound=1)


def check_flags():
    """Raise UserError if the global batch cannot be split evenly."""
    for count in FLAGS.num_clones:
        if not count.isdigit() or not int(count) or FLAGS.global_batch % int(count):
            raise UserError(f'--num_clones={count} does not divide '
                            f'--global_batch={FLAGS.global_batch}. Pass divisors of it')


def make_step(params, dataset, num_clones):
    """Return a function () that runs a training step, in a graph and a session of its own."""
    import tensorflow.compat.v1 as tf

    from benchmarks.training_step import training_step
    from training.options import TrainOptions
    options = TrainOptions(batch_size=FLAGS.global_batch // num_clones, num_clones=num_clones,
                           sync_batch_norm=FLAGS.sync_batch_norm)
    with tf.Graph().as_default() as graph:
        train_tensor, config = training_step(params, dataset, options)
        session = tf.Session(graph=graph, config=config)
        session.run(tf.global_variables_initializer())
        session.run(tf.tables_initializer())
    return lambda: session.run(train_tensor)


def main():
    """Time a step for each number of clones, and print a line for each."""
    from benchmarks.noisy_images import make_dataset
    from benchmarks.timing import median_seconds
    from nets import nets_factory
    params = nets_factory.get_params(FLAGS.model_name)
    counts = [int(count) for count in FLAGS.num_clones]
    with tempfile.TemporaryDirectory() as folder:
        dataset = make_dataset(folder)
        steps = {count: make_step(params, dataset, count) for count in counts}
        medians = median_seconds(steps, FLAGS.steps)
    print(f'{params.name}, global batch {FLAGS.global_batch}, medians of {FLAGS.steps} steps')
    for count, median in medians.items():
        print(f'{count} clone{"s" * (count > 1)} of {FLAGS.global_batch // count}: {median:.3f} '
              f's/step, {median / medians[counts[0]]:.3f} of the time with {counts[0]}')


if __name__ == '__main__':
    app.run(main, check_flags)
