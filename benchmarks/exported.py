r"""Measure size and latency of exported nets: every net in every format.

python -m benchmarks.exported [--model_names=ssd_300_vgg,ssd_300_mobilenet_v1] \
    [--formats=saved_model,onnx] [--turns=20]

Each net has random weights and 21 classes. It is exported, loaded by its runtime on the CPU, and
run on one image of its input size. A bias for the background leaves no boxes for suppression; a
trained net has some dozens per image, which add little time. The formats of a net are timed in
turn. Prints a Markdown table. The speed of a machine drifts, so compare values of one run only.
"""
import os
import tempfile

from absl import flags

from cli import app
from exporting import exporters
from nets import nets_factory

FLAGS = flags.FLAGS
flags.DEFINE_list('model_names', nets_factory.names(), 'Comma-separated names of the nets.')
flags.DEFINE_list('formats', list(exporters.FORMATS), 'Comma-separated export formats.')
flags.DEFINE_integer('turns', 10, 'Number of timed runs, of which the median is printed.',
                     lower_bound=1)
flags.DEFINE_integer('threads', 0, 'Number of threads per runtime. 0: one per processor core.',
                     lower_bound=0)
_CLASS_NAMES = [f'class_{label}' for label in range(1, 21)]
_BACKGROUND_LOGIT = 6.   # objects, whose logits are near 0, then score below 0.01


def check_flags():
    """Raise UserError for unknown formats, and for formats whose packages are not installed."""
    exporters.check_formats(FLAGS.formats)


def write_checkpoint(folder, params):
    """Write a checkpoint of a net with random weights, and return its prefix."""
    import numpy as np
    import tensorflow.compat.v1 as tf

    from nets import ssd
    num_classes = len(_CLASS_NAMES) + 1
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.zeros([1, params.image_size, params.image_size, 3])
        ssd.build(images, params, num_classes, is_training=False)
        session.run(tf.global_variables_initializer())
        for variable in tf.model_variables():
            if variable.op.name.endswith('conv_cls/biases'):
                anchors_per_cell = variable.shape[0] // num_classes
                biases = [_BACKGROUND_LOGIT] + [0.] * len(_CLASS_NAMES)
                variable.load(np.tile(biases, anchors_per_cell), session)
        return tf.train.Saver().save(session, os.path.join(folder, params.name))


def export(folder, model_name):
    """Export a net in all formats, and return a dict from format to path."""
    import numpy as np

    from benchmarks import noisy_images
    from checkpoints import trained_model
    from nets.post_processing import PostProcessingOptions
    params = nets_factory.get_params(model_name)
    model = trained_model.Model(write_checkpoint(folder, params), params, _CLASS_NAMES)
    calibration_images = [noisy_images.encode_noise(np.random.RandomState(0))]
    job = exporters.ExportJob(model, True, PostProcessingOptions(), calibration_images)
    paths = {name: os.path.join(folder, name) for name in FLAGS.formats}
    for name, path in paths.items():
        exporters.get_exporter(name)(path, job)
    return paths


def measure(model_name):
    """Return the table cells of a net, one per format: its size and its latency."""
    import numpy as np

    from benchmarks import runtimes, timing
    from exporting import output_files
    size = nets_factory.get_params(model_name).image_size
    image = np.random.default_rng(0).integers(0, 256, [1, size, size, 3], np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        paths = export(folder, model_name)
        nets = {name: runtimes.LOADERS[name](path, num_threads()) for name, path in paths.items()}
        seconds = timing.median_seconds(
            {name: lambda detect=detect: detect(image) for name, detect in nets.items()},
            FLAGS.turns)
        return [f'{output_files.total_bytes(path) / 1e6:.1f} MB, {1000 * seconds[name]:.0f} ms'
                for name, path in paths.items()]


def num_threads():
    """Return the number of threads per runtime."""
    from datasets import input_pipeline
    return FLAGS.threads or input_pipeline.num_cores()


def main():
    """Print a table row for each net as soon as it is measured."""
    for name in FLAGS.model_names:
        nets_factory.get_params(name)   # fails for an unknown name before anything is measured
    print(f'MB, and milliseconds per image: medians of {FLAGS.turns} turns, {num_threads()} '
          f'threads\n')
    print(f'| net | {" | ".join(FLAGS.formats)} |\n|{" --- |" * (len(FLAGS.formats) + 1)}')
    for name in FLAGS.model_names:
        print(f'| `{name}` | {" | ".join(measure(name))} |', flush=True)


if __name__ == '__main__':
    app.run(main, check_flags)
