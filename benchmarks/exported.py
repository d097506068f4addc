"""Size and latency of exported nets, every net in every format, measured in turns in one run.

python -m benchmarks.exported [--model_names=ssd_300_vgg,ssd_300_mobilenet_v1] [--formats=saved_model,onnx] [--turns=20]

Each net gets random weights and 21 classes, is exported, loaded by its runtime on the CPU, and looks at one picture of
its own size at a time. A bias for the background leaves suppression nothing to do: trained nets have some dozens of
candidates in most pictures, which cost little.
The table is Markdown. Machines drift, so trust what stands beside each other, not milliseconds of two runs.
"""
import os
import tempfile

from absl import flags

from cli import app
from exporting import exporters
from nets import nets_factory

FLAGS = flags.FLAGS
flags.DEFINE_list('model_names', nets_factory.names(), 'The nets, with commas.')
flags.DEFINE_list('formats', list(exporters.FORMATS), 'The formats, with commas.')
flags.DEFINE_integer('turns', 10, 'Timed pictures of each.', lower_bound=1)
flags.DEFINE_integer('threads', 0, 'Threads of each runtime; 0: one for every processor core.', lower_bound=0)
_CLASSES = [f'class_{label}' for label in range(1, 21)]
_BACKGROUND = 6.   # logit of the background over those of the objects, which then score below --min_score


def check_flags():
    """Refuses formats that there are not, or that cannot be written here."""
    exporters.check(FLAGS.formats)


def write_checkpoint(folder, params):
    """A checkpoint of the net with random weights; its prefix."""
    import numpy as np
    import tensorflow.compat.v1 as tf

    from nets import ssd
    with tf.Graph().as_default(), tf.Session() as session:
        images = tf.zeros([1, params.image_size, params.image_size, 3])
        ssd.build(images, params, len(_CLASSES) + 1, is_training=False)
        session.run(tf.global_variables_initializer())
        for variable in tf.model_variables():
            if variable.op.name.endswith('conv_cls/biases'):
                anchors = variable.shape[0] // (len(_CLASSES) + 1)
                variable.load(np.tile([_BACKGROUND] + [0.] * len(_CLASSES), anchors), session)
        return tf.train.Saver().save(session, os.path.join(folder, params.name))


def export(folder, name):
    """Writes the net in all formats; {format: path}."""
    import numpy as np

    from benchmarks import noisy_images
    from run_folder import trained_model
    params = nets_factory.get_params(name)
    model = trained_model.Model(write_checkpoint(folder, params), params, _CLASSES)
    calibration = [noisy_images.encoded(np.random.RandomState(0))]
    job = exporters.Job(model, True, exporters.Options(.01, .45, 200), calibration)
    paths = {kind: os.path.join(folder, kind) for kind in FLAGS.formats}
    for kind, path in paths.items():
        exporters.exporter(kind)(path, job)
    return paths


def row(name):
    """The net's sizes in MB and milliseconds a picture: two lists of text, by format."""
    import numpy as np

    from benchmarks import runtimes, timing
    from datasets import input_pipeline
    from exporting import output_files
    from nets import ssd_params
    side = ssd_params.NETS[name].image_size
    picture = np.random.default_rng(0).integers(0, 256, [1, side, side, 3], np.uint8)
    with tempfile.TemporaryDirectory() as folder:
        paths = export(folder, name)
        loaded = {kind: runtimes.LOADERS[kind](path, FLAGS.threads or input_pipeline.num_cores())
                  for kind, path in paths.items()}
        seconds = timing.median_seconds(
            {kind: lambda detect=detect: detect(picture) for kind, detect in loaded.items()}, FLAGS.turns)
        return [f'{output_files.total_bytes(path) / 1e6:.1f}' for path in paths.values()], [
            f'{1000 * value:.0f}' for value in seconds.values()]


def main():
    """A line for each net, as it is done."""
    from datasets import input_pipeline
    for name in FLAGS.model_names:
        nets_factory.get_params(name)
    print(f'MB, and milliseconds a picture: medians of {FLAGS.turns} turns in '
          f'{FLAGS.threads or input_pipeline.num_cores()} threads\n')
    print(f'| net | {" | ".join(FLAGS.formats)} |\n|{" --- |" * (len(FLAGS.formats) + 1)}')
    for name in FLAGS.model_names:
        cells = ' | '.join(f'{size} MB, {time} ms' for size, time in zip(*row(name), strict=True))
        print(f'| `{name}` | {cells} |', flush=True)


if __name__ == '__main__':
    app.run(main, check_flags)
