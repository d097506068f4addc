"""Times a whole training step beside its bare convolutions, in one run.

python -m benchmarks.train_step [--model_name=ssd_300_vgg] [--batch_size=8] [--steps=5]

"bare" is every convolution of the net forward, and backward to its weights and its input, and nothing else: what
no trainer can go below on this machine and this TensorFlow. "step" is a step of train_ssd_network.py: records
read, augmented and matched, network, loss, gradients, optimizer. Both are timed in turn, and medians are printed:
machines drift, so trust the ratio of one run, not seconds of two.
"""
import functools
import tempfile

from absl import flags

from cli import app

FLAGS = flags.FLAGS
flags.DEFINE_string('model_name', 'ssd_300_vgg', 'The net, as train_ssd_network.py names it.')
flags.DEFINE_integer('batch_size', 8, 'Images in a batch.', lower_bound=1)
flags.DEFINE_integer('steps', 5, 'Timed runs of each.', lower_bound=1)


def bare_convolutions():
    """Ops that run every convolution of the default graph's network once forward and once backward."""
    import tensorflow.compat.v1 as tf
    found = [op for op in tf.get_default_graph().get_operations()
             if op.type in ('Conv2D', 'DepthwiseConv2dNative') and op.name.startswith('clone_0/')]
    ops, previous = [], []
    for index, op in enumerate(found):
        inputs, weights, outputs = (tf.Variable(tf.random.normal(tensor.shape, stddev=.1), trainable=False)
                                    for tensor in (op.inputs[0], op.inputs[1], op.outputs[0]))
        options = {name: op.get_attr(name) for name in ('strides', 'dilations')}
        options['padding'] = op.get_attr('padding').decode()
        forward, to_input, to_weights = (getattr(tf.raw_ops, op.type + what)
                                         for what in ('', 'BackpropInput', 'BackpropFilter'))
        with tf.control_dependencies(previous):   # one after the other, as in a chain of layers
            made = [forward(input=inputs, filter=weights, **options),
                    to_weights(input=inputs, filter_sizes=weights.shape, out_backprop=outputs, **options)]
            if index:   # nothing wants the gradient of the picture
                made.append(to_input(input_sizes=inputs.shape, filter=weights, out_backprop=outputs, **options))
        previous = [tensor.op for tensor in made]
        ops += previous
    return ops, len(found)


def main():
    """Builds both in one graph, times them in turn."""
    import tensorflow.compat.v1 as tf

    from benchmarks.noisy_images import make_dataset
    from benchmarks.training_step import training_step
    from benchmarks.timing import median_seconds
    from nets import nets_factory
    params = nets_factory.get_params(FLAGS.model_name)
    with tempfile.TemporaryDirectory() as folder, tf.Session() as session:
        step, _ = training_step(params, make_dataset(folder), FLAGS.batch_size)
        bare, count = bare_convolutions()
        session.run(tf.global_variables_initializer())
        session.run(tf.tables_initializer())
        medians = median_seconds({'bare': functools.partial(session.run, bare),
                                  'step': functools.partial(session.run, step)}, FLAGS.steps)
    bare, step = (medians[name] / FLAGS.batch_size for name in ('bare', 'step'))
    print(f'{params.name}, batch {FLAGS.batch_size}, medians of {FLAGS.steps} turns')
    print(f'bare: {bare:.3f} s per image ({count} convolutions, forward and backward)')
    print(f'step: {step:.3f} s per image (input, network, loss, gradients, optimizer)')
    print(f'step / bare: {step / bare:.2f}')


if __name__ == '__main__':
    app.run(main, lambda: None)
