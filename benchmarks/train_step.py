"""Time a whole training step and its bare convolutions in one run.

python -m benchmarks.train_step [--model_name=ssd_300_vgg] [--batch_size=8] [--steps=5]

"bare" runs every convolution of the net forward, and backward to its weights and its input, and
nothing else: a lower bound for any trainer on this machine and this TensorFlow. "step" is a step of
train_ssd_network.py: reading, augmentation, matching, net, loss, gradients, optimizer. Both are
timed in turn, and medians are printed. The speed of a machine drifts, so compare values of one run
only.
"""
import functools
import tempfile

from absl import flags

from cli import app

FLAGS = flags.FLAGS
flags.DEFINE_string('model_name', 'ssd_300_vgg', 'Name of the net.')
flags.DEFINE_integer('batch_size', 8, 'Number of images per batch.', lower_bound=1)
flags.DEFINE_integer('steps', 5, 'Number of timed runs, of which the median is printed.',
                     lower_bound=1)


def bare_convolutions():
    """Add ops that run every convolution of the first clone once forward and once backward.

    Returns:
        List of the ops, and number of convolutions.
    """
    import tensorflow.compat.v1 as tf
    convolutions = [op for op in tf.get_default_graph().get_operations()
                    if op.type in ('Conv2D', 'DepthwiseConv2dNative')
                    and op.name.startswith('clone_0/')]
    ops, previous = [], []
    for index, op in enumerate(convolutions):
        inputs, weights, outputs = (
            tf.Variable(tf.random.normal(tensor.shape, stddev=.1), trainable=False)
            for tensor in (op.inputs[0], op.inputs[1], op.outputs[0]))
        options = {name: op.get_attr(name) for name in ('strides', 'dilations')}
        options['padding'] = op.get_attr('padding').decode()
        forward, backprop_input, backprop_filter = (
            getattr(tf.raw_ops, op.type + suffix)
            for suffix in ('', 'BackpropInput', 'BackpropFilter'))
        with tf.control_dependencies(previous):   # one convolution at a time, as in a net
            tensors = [forward(input=inputs, filter=weights, **options),
                       backprop_filter(input=inputs, filter_sizes=weights.shape,
                                       out_backprop=outputs, **options)]
            if index:   # training does not need the gradient of the image
                tensors.append(backprop_input(input_sizes=inputs.shape, filter=weights,
                                              out_backprop=outputs, **options))
        previous = [tensor.op for tensor in tensors]
        ops += previous
    return ops, len(convolutions)


def main():
    """Build both in one graph, time them in turn, and print a line for each."""
    import tensorflow.compat.v1 as tf

    from benchmarks.noisy_images import make_dataset
    from benchmarks.timing import median_seconds
    from benchmarks.training_step import training_step
    from nets import nets_factory
    from training.options import TrainOptions
    params = nets_factory.get_params(FLAGS.model_name)
    with tempfile.TemporaryDirectory() as folder, tf.Session() as session:
        train_tensor, _ = training_step(params, make_dataset(folder),
                                        TrainOptions(batch_size=FLAGS.batch_size))
        bare_ops, num_convolutions = bare_convolutions()
        session.run(tf.global_variables_initializer())
        session.run(tf.tables_initializer())
        medians = median_seconds({'bare': functools.partial(session.run, bare_ops),
                                  'step': functools.partial(session.run, train_tensor)},
                                 FLAGS.steps)
    bare, step = (medians[name] / FLAGS.batch_size for name in ('bare', 'step'))
    print(f'{params.name}, batch {FLAGS.batch_size}, medians of {FLAGS.steps} turns')
    print(f'bare: {bare:.3f} s per image ({num_convolutions} convolutions, forward and backward)')
    print(f'step: {step:.3f} s per image (input, network, loss, gradients, optimizer)')
    print(f'step / bare: {step / bare:.2f}')


if __name__ == '__main__':
    app.run(main, lambda: None)
