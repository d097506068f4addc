r"""Time post-processing (decoding, top-k, suppression) and the forward pass in one run.

python -m benchmarks.post_processing [--model_names=ssd_300_vgg,ssd_300_mobilenet_v1] \
    [--batch_size=32] [--turns=5] [--kernels]

Post-processing has the paper's options and 21 classes. It runs on two kinds of predictions:
"untrained", with all scores near 1/21 and boxes everywhere, is the worst case; "trained" has eight
objects per image and background elsewhere. Both are timed in turn with the forward pass, and
medians are printed. The speed of a machine drifts, so compare values of one run only. --kernels
lists the slowest kernels of post-processing.
"""
import functools
import os

from absl import flags

from cli import app

FLAGS = flags.FLAGS
flags.DEFINE_list('model_names', ['ssd_300_vgg', 'ssd_300_mobilenet_v1'],
                  'Comma-separated names of the nets.')
flags.DEFINE_integer('batch_size', 32, 'Number of images per batch.', lower_bound=1)
flags.DEFINE_integer('turns', 5, 'Number of timed runs, of which the median is printed.',
                     lower_bound=1)
flags.DEFINE_bool('kernels', False, 'List the slowest kernels of post-processing, from a trace.')

_NUM_CLASSES = 21
_SELECT_THRESHOLD = .01    # the default of `PostProcessingOptions`
# Of the "trained" predictions:
_OBJECTS_PER_IMAGE = 8
_BACKGROUND_LOGIT = 9.     # noise of deviation 1 then lifts one score in a thousand above 0.01
_LOGIT_PER_IOU = 20.       # an object's logit exceeds the background's from an IoU of 0.45


def make_untrained(rng, anchors, batch_size):
    """Return logits [B, A, C] and offsets [B, A, 4] float32 like those of random weights."""
    shape = (batch_size, len(anchors))
    logits = rng.normal(0, .1, [*shape, _NUM_CLASSES]).astype('float32')
    return logits, rng.normal(0, 1., [*shape, 4]).astype('float32')


def make_trained(rng, anchors, batch_size):
    """Return logits [B, A, C] and offsets [B, A, 4] float32 like those of a trained net.

    The logit of an object's class grows with the IoU of the anchor and the object.
    """
    import numpy as np

    from nets import boxes as box_lib
    logits = rng.normal(0, 1, [batch_size, len(anchors), _NUM_CLASSES]).astype('float32')
    logits[..., 0] += _BACKGROUND_LOGIT
    corners = box_lib.to_corners(anchors, np)
    for image_logits in logits:
        objects = corners[rng.randint(len(anchors), size=_OBJECTS_PER_IMAGE)]
        overlaps = box_lib.iou(corners, objects, np)
        for k, label in enumerate(rng.randint(1, _NUM_CLASSES, size=_OBJECTS_PER_IMAGE)):
            image_logits[:, label] += _LOGIT_PER_IOU * overlaps[:, k]
    return logits, rng.normal(0, .1, [batch_size, len(anchors), 4]).astype('float32')


MAKE_PREDICTIONS = {'untrained': make_untrained, 'trained': make_trained}


def scores_above_threshold(logits):
    """Return the mean number of object scores per image that are above the threshold."""
    import numpy as np
    scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    return np.count_nonzero(scores[..., 1:] > _SELECT_THRESHOLD) / len(logits)


def print_kernels(session, fetches):
    """Trace a run, and print its eight slowest kernels."""
    import tensorflow.compat.v1 as tf
    metadata = tf.RunMetadata()
    session.run(fetches, options=tf.RunOptions(trace_level=tf.RunOptions.FULL_TRACE),
                run_metadata=metadata)
    nodes = [node for device in metadata.step_stats.dev_stats for node in device.node_stats]
    for node in sorted(nodes, key=lambda node: -node.op_end_rel_micros)[:8]:
        print(f'    {node.op_end_rel_micros / 1000:7.1f} ms  {node.node_name}')


def measure(params):
    """Time the forward pass of a net and the post-processing, and print a line for each."""
    import numpy as np
    import tensorflow.compat.v1 as tf

    from benchmarks.timing import median_seconds
    from nets import anchors as anchor_lib
    from nets import post_processing, ssd
    anchors, rng = anchor_lib.net_anchors(params), np.random.RandomState(0)
    size = params.image_size
    with tf.Graph().as_default(), tf.Session() as session:
        pixels = rng.randint(0, 256, [FLAGS.batch_size, size, size, 3]).astype('uint8')
        images = tf.Variable(pixels)
        predictions = ssd.build(ssd.normalize(images, params), params, _NUM_CLASSES,
                                is_training=False)
        ops = {'forward': [predictions.logits.op, predictions.offsets.op]}
        num_scores = {}
        for name, make_predictions in MAKE_PREDICTIONS.items():
            logits, offsets = make_predictions(rng, anchors, FLAGS.batch_size)
            num_scores[name] = scores_above_threshold(logits)
            detections = post_processing.detect(tf.Variable(logits), tf.Variable(offsets), anchors,
                                                params.variances)
            ops[name] = [field.op for field in detections]
        session.run(tf.global_variables_initializer())
        seconds = median_seconds(
            {name: functools.partial(session.run, fetches) for name, fetches in ops.items()},
            FLAGS.turns)
        print(f'{params.name}, {len(anchors)} anchors, {_NUM_CLASSES} classes, '
              f'batch {FLAGS.batch_size}, medians of {FLAGS.turns} turns on {os.cpu_count()} cores')
        print(f'forward pass                {seconds["forward"]:.3f} s')
        for name in MAKE_PREDICTIONS:
            print(f'post-processing, {name:10} {seconds[name]:.3f} s   '
                  f'{100 * seconds[name] / seconds["forward"]:.1f}% of the forward pass   '
                  f'({num_scores[name]:.0f} scores per image above {_SELECT_THRESHOLD})')
            if FLAGS.kernels:
                print_kernels(session, ops[name])


def main():
    """Measure the nets one by one."""
    from nets import nets_factory
    for params in [nets_factory.get_params(name) for name in FLAGS.model_names]:
        measure(params)


if __name__ == '__main__':
    app.run(main, lambda: None)
