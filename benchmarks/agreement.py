"""Holds exported nets to prediction: how many of its detections they find, and how far apart the boxes are.

python -m benchmarks.agreement --checkpoint_path=runs/mine/train --exported_dir=exported --images=folder

Each format that lies in the folder is loaded by its runtime, and sees the pictures twice: decoded and resized as
prediction does, and read by Pillow, as programs do that have no TensorFlow. A detection is found where one of the same
class overlaps it by more than a half. The table is Markdown; boxes are relative, so .005 is 1.5 pixels of 300.
"""
import io
import os

from absl import flags

from cli import app
from common.errors import UserError
from exporting import exporters

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None, 'The checkpoint that was exported.')
flags.DEFINE_string('exported_dir', 'exported', 'The folder of what was exported.')
flags.DEFINE_list('images', [], 'Pictures: files, folders, globs, with commas.')
flags.DEFINE_float('min_score', .5, 'Least score of the detections that are looked for.', lower_bound=.01,
                   upper_bound=1)


def check_flags():
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    app.require_flags(FLAGS, 'checkpoint_path', 'images')
    if not present():
        raise UserError(f'{FLAGS.exported_dir} holds nothing that export_ssd_network.py writes')


def present():
    """{format: path} of what lies in the folder."""
    paths = {name: os.path.join(FLAGS.exported_dir, row.output) for name, row in exporters.FORMATS.items()}
    return {name: path for name, path in paths.items() if os.path.exists(path)}


def predict(job, encoded):
    """What predict_ssd_network.py finds in encoded pictures, each by itself.

    Returns two lists: the resized pictures [1, S, S, 3] uint8, and {name: array} as exported nets have it.
    """
    import tensorflow.compat.v1 as tf

    from exporting import graph
    from nets.post_processing import PostProcessingOptions
    from preprocessing import ssd_preprocessing
    from run_folder import trained_model
    params, options = job.model.params, job.options
    with graph.session() as session:
        given = tf.placeholder(tf.string, [None])
        resized = ssd_preprocessing.resize_for_eval(given, params.image_size, params.mean)
        found = trained_model.detect(resized, job.model, options=PostProcessingOptions(
            select_threshold=options.min_score, nms_threshold=options.nms_threshold,
            keep_top_k=options.max_detections))
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        done = [session.run([resized, found], {given: [one]}) for one in encoded]
    return [image for image, _ in done], [dict(zip(graph.OUTPUTS, one, strict=True)) for _, one in done]


def compare(ours, theirs, least):
    """(found [n] bool, distance of boxes [m]) of our n detections of a picture that score `least`; m are found."""
    import numpy as np

    from nets import boxes as box_lib
    known = slice(theirs['count'][0])
    found, apart = [], []
    for k in np.flatnonzero(ours['scores'][0, :ours['count'][0]] >= least):
        box, label = ours['boxes'][0, k], ours['classes'][0, k]
        overlap = box_lib.iou(box[None], theirs['boxes'][0, known], np)[0]
        overlap = np.where(theirs['classes'][0, known] == label, overlap, 0)
        found.append(overlap.max(initial=0) > .5)
        if found[-1]:
            apart.append(np.abs(theirs['boxes'][0, overlap.argmax()] - box).max())
    return found, apart


def read_by_pillow(encoded, size=None):
    """[1, H, W, 3] uint8 as its file has it, or stretched to a square of this size."""
    import numpy as np
    from PIL import Image
    image = Image.open(io.BytesIO(encoded)).convert('RGB')
    return np.asarray(image.resize((size, size), Image.BILINEAR) if size else image)[None]


def cells(ours, theirs, least):
    """What the table says of one format and one way to read: share found, mean and largest distance of boxes."""
    import numpy as np
    pairs = [compare(one, other, least) for one, other in zip(ours, theirs, strict=True)]
    found, apart = (np.concatenate(parts) for parts in zip(*pairs, strict=True))
    if not len(apart):
        return '0 | - | -'
    return f'{found.mean():.2%} | {apart.mean():.1e} | {apart.max():.1e}'


def main():
    """Predicts, then asks format by format."""
    from benchmarks import runtimes
    from datasets import images, input_pipeline
    from run_folder import trained_model
    model = trained_model.resolve_model(FLAGS.checkpoint_path)
    job = exporters.Job(model, True, exporters.Options(.01, .45, 200), [])
    encoded = [images.read_jpeg(path).encoded for path in images.expand_paths(FLAGS.images)]
    resized, ours = predict(job, encoded)
    count = sum(int((one['scores'] >= FLAGS.min_score).sum()) for one in ours)
    print(f'{model.checkpoint}: {count} detections that score {FLAGS.min_score} in {len(encoded)} pictures\n\n'
          '| format | found | apart, mean | largest | read by Pillow: found | apart, mean | largest |\n'
          f'|{" --- |" * 7}')
    for name, path in present().items():
        detect = runtimes.LOADERS[name](path, input_pipeline.num_cores())
        size = None if name in runtimes.TAKES_ANY_SIZE else model.params.image_size
        ways = ([detect(image) for image in pictures] for pictures in
                (resized, (read_by_pillow(one, size) for one in encoded)))
        print(f'| {name} | {" | ".join(cells(ours, theirs, FLAGS.min_score) for theirs in ways)} |', flush=True)


if __name__ == '__main__':
    app.run(main, check_flags)
