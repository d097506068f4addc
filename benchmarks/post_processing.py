"""Times the way out of the net (decode, top-k, suppression) beside the net's forward pass, in one run.

python -m benchmarks.post_processing [--model_names=ssd_300_vgg,ssd_300_mobilenet_v1] [--batch_size=32] [--turns=5]

With the paper's settings (0.01, top 400 of a class, overlap 0.45, top 200) and 21 classes, on predictions of two kinds:
"untrained", every score near 1/21 and every box anywhere, which is the most work there can be; and "trained", eight
objects in a picture and background elsewhere. Both are timed in turn with the forward pass, and medians are printed:
machines drift, so trust the shares of one run. --kernels lists what the way out spends its time on.
"""
import functools
import os

from absl import flags

from cli import app

FLAGS = flags.FLAGS
flags.DEFINE_list('model_names', ['ssd_300_vgg', 'ssd_300_mobilenet_v1'], 'Nets, with commas.')
flags.DEFINE_integer('batch_size', 32, 'Pictures in a batch.', lower_bound=1)
flags.DEFINE_integer('turns', 5, 'Timed runs of each.', lower_bound=1)
flags.DEFINE_bool('kernels', False, 'Lists the slowest kernels of the way out, from a trace.')

NUM_CLASSES = 21
_THRESHOLD = .01
_OBJECTS = 8          # in a picture of the trained kind
_BACKGROUND = 9.      # its logit; noise of deviation 1 alone lifts one score in a thousand above 0.01
_BY_OVERLAP = 20.     # logit of an object's class at an anchor that is its box: above the background from 0.45 on


def untrained(rng, anchors, batch_size):
    """(logits [B, A, C], offsets [B, A, 4]) as random weights give them, float32."""
    shape = (batch_size, len(anchors))
    return tuple(rng.normal(0, spread, [*shape, depth]).astype('float32')
                 for spread, depth in ((.1, NUM_CLASSES), (1., 4)))


def trained(rng, anchors, batch_size):
    """The same as of a net that finds objects: the more an anchor overlaps one, the surer it is."""
    import numpy as np

    from nets import boxes as box_lib
    logits = rng.normal(0, 1, [batch_size, len(anchors), NUM_CLASSES]).astype('float32')
    logits[..., 0] += _BACKGROUND
    corners = box_lib.to_corners(anchors, np)
    for picture in logits:
        objects = corners[rng.randint(len(anchors), size=_OBJECTS)]
        overlaps = box_lib.iou(corners, objects, np)
        for k, label in enumerate(rng.randint(1, NUM_CLASSES, size=_OBJECTS)):
            picture[:, label] += _BY_OVERLAP * overlaps[:, k]
    return logits, rng.normal(0, .1, [batch_size, len(anchors), 4]).astype('float32')


KINDS = {'untrained': untrained, 'trained': trained}


def above_threshold(logits):
    """How many scores of a picture are above the threshold, on average."""
    import numpy as np
    scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return np.count_nonzero(scores[..., 1:] > _THRESHOLD) / len(logits)


def print_kernels(session, fetches):
    """The slowest kernels of a run, in milliseconds."""
    import tensorflow.compat.v1 as tf
    trace = tf.RunMetadata()
    session.run(fetches, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE), run_metadata=trace)
    nodes = [node for device in trace.step_stats.dev_stats for node in device.node_stats]
    for node in sorted(nodes, key=lambda node: -node.op_end_rel_micros)[:8]:
        print(f'    {node.op_end_rel_micros / 1000:7.1f} ms  {node.node_name}')


def measure(params):
    """Prints what the forward pass of a net and the way out of it cost."""
    import numpy as np
    import tensorflow.compat.v1 as tf

    from benchmarks.timing import median_seconds
    from nets import anchors as anchor_lib
    from nets import post_processing, ssd
    anchors, rng = anchor_lib.net_anchors(params), np.random.RandomState(0)
    side = params.image_size
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.Variable(rng.randint(0, 256, [FLAGS.batch_size, side, side, 3]).astype('uint8'))
        predictions = ssd.build(ssd.normalize(images, params), params, NUM_CLASSES, is_training=False)
        ops, above = {'forward': [predictions.logits.op, predictions.offsets.op]}, {}
        for kind, make in KINDS.items():
            logits, offsets = make(rng, anchors, FLAGS.batch_size)
            above[kind] = above_threshold(logits)
            detections = post_processing.detect(tf.Variable(logits), tf.Variable(offsets), anchors, params.variances)
            ops[kind] = [field.op for field in detections]
        session.run(tf.global_variables_initializer())
        seconds = median_seconds({name: functools.partial(session.run, fetched) for name, fetched in ops.items()},
                                 FLAGS.turns)
        print(f'{params.name}, {len(anchors)} anchors, {NUM_CLASSES} classes, batch {FLAGS.batch_size}, medians of '
              f'{FLAGS.turns} turns on {os.cpu_count()} cores')
        print(f'forward pass        {seconds["forward"]:.3f} s')
        for kind in KINDS:
            print(f'way out, {kind:10} {seconds[kind]:.3f} s   {100 * seconds[kind] / seconds["forward"]:.1f}% of the '
                  f'forward pass   ({above[kind]:.0f} scores of a picture above {_THRESHOLD})')
            if FLAGS.kernels:
                print_kernels(session, ops[kind])


def main():
    """Measures net by net."""
    from nets import nets_factory
    for params in [nets_factory.get_params(name) for name in FLAGS.model_names]:
        measure(params)


if __name__ == '__main__':
    app.run(main, lambda: None)
