r"""Compare exported nets with prediction from the checkpoint: matched detections, box distances.

python -m benchmarks.agreement --checkpoint_path=runs/mine/train --exported_dir=exported \
    --images=folder

Each format in --exported_dir is loaded by its runtime and sees the images twice: decoded and
resized as in prediction, and decoded by Pillow, as in programs without TensorFlow. A detection of
the checkpoint is matched if an exported detection of the same class overlaps it with an IoU above
0.5. Prints a Markdown table. Box distances are relative to the image: 0.005 is 1.5 of 300 pixels.
"""
import io
import os

from absl import flags

from cli import app
from common.errors import UserError
from exporting import exporters

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None,
                    'The exported checkpoint: a file, or a folder, whose latest checkpoint is '
                    'used.')
flags.DEFINE_string('exported_dir', 'exported', 'The --output_dir of export_ssd_network.py.')
flags.DEFINE_list('images', [], 'Comma-separated images: files, folders or globs.')
flags.DEFINE_float('min_score', .5, 'Minimum score of the detections to match.',
                   lower_bound=.01, upper_bound=1)


def check_flags():
    """Raise UserError for invalid flags that can be detected without TensorFlow."""
    app.require_flags(FLAGS, 'checkpoint_path', 'images')
    if not exported_paths():
        raise UserError(f'{FLAGS.exported_dir} has no exported net. Correct --exported_dir, or run '
                        f'export_ssd_network.py first')


def exported_paths():
    """Return a dict from each format in --exported_dir to its path."""
    paths = {name: os.path.join(FLAGS.exported_dir, export_format.output)
             for name, export_format in exporters.FORMATS.items()}
    return {name: path for name, path in paths.items() if os.path.exists(path)}


def predict(job, encoded_images):
    """Run the checkpoint of a job on encoded images one by one, as predict_ssd_network.py does.

    Returns:
        Two lists with one element per image: the resized image, [1, S, S, 3] uint8, and a dict of
        the arrays `exporting.graph.OUTPUT_NAMES`.
    """
    import tensorflow.compat.v1 as tf

    from checkpoints import trained_model
    from exporting import graph
    from preprocessing import ssd_preprocessing
    with graph.new_session() as session:
        encoded = tf.placeholder(tf.string, [None])
        resized = ssd_preprocessing.resize_for_eval(encoded, job.model.params.image_size)
        detections = trained_model.detect(resized, job.model, options=job.post_processing)
        trained_model.make_restore_fn(job.model, job.use_averages)(session)
        results = [session.run([resized, detections], {encoded: [image]})
                   for image in encoded_images]
    return ([image for image, _ in results],
            [dict(zip(graph.OUTPUT_NAMES, outputs, strict=True)) for _, outputs in results])


def match(reference, candidate, min_score):
    """Match the detections of one image.

    Args:
        reference: Dict of the arrays of the checkpoint, with a batch dimension of 1.
        candidate: The same of an exported net.
        min_score: Minimum score of the reference detections.

    Returns:
        List of bool, whether each reference detection is matched, and list of float, the largest
        difference of a coordinate between each matched detection and its match.
    """
    import numpy as np

    from nets import boxes as box_lib
    candidate_boxes, candidate_classes = (candidate[name][0, :candidate['count'][0]]
                                          for name in ('boxes', 'classes'))
    is_matched, distances = [], []
    for k in np.flatnonzero(reference['scores'][0, :reference['count'][0]] >= min_score):
        box, label = reference['boxes'][0, k], reference['classes'][0, k]
        overlaps = box_lib.iou(box[None], candidate_boxes, np)[0]
        overlaps = np.where(candidate_classes == label, overlaps, 0)
        is_matched.append(overlaps.max(initial=0) > .5)
        if is_matched[-1]:
            distances.append(np.abs(candidate_boxes[overlaps.argmax()] - box).max())
    return is_matched, distances


def read_with_pillow(encoded, size=None):
    """Decode an image: [1, H, W, 3] uint8, resized to a square if `size` is given."""
    import numpy as np
    from PIL import Image
    image = Image.open(io.BytesIO(encoded)).convert('RGB')
    return np.asarray(image.resize((size, size), Image.BILINEAR) if size else image)[None]


def format_cells(references, candidates, min_score):
    """Return three table cells: matched share, mean distance and largest distance of boxes.

    Args:
        references, candidates: Lists with one dict per image, see `match`.
        min_score: Minimum score of the reference detections.
    """
    import numpy as np
    matches = [match(reference, candidate, min_score)
               for reference, candidate in zip(references, candidates, strict=True)]
    is_matched, distances = (np.concatenate(parts) for parts in zip(*matches, strict=True))
    if not len(distances):
        return '0 | - | -'
    return f'{is_matched.mean():.2%} | {distances.mean():.1e} | {distances.max():.1e}'


def main():
    """Run the checkpoint, then each exported net, and print a row per format."""
    from benchmarks import runtimes
    from checkpoints import trained_model
    from datasets import images, input_pipeline
    from nets.post_processing import PostProcessingOptions
    model = trained_model.resolve_model(FLAGS.checkpoint_path)
    job = exporters.ExportJob(model, True, PostProcessingOptions())
    encoded = [images.read_upright(path).encoded for path in images.expand_paths(FLAGS.images)]
    resized, references = predict(job, encoded)
    count = sum(int((outputs['scores'] >= FLAGS.min_score).sum()) for outputs in references)
    print(f'{model.checkpoint}: {count} detections with a score of at least {FLAGS.min_score} in '
          f'{len(encoded)} images\n\n'
          '| format | matched | mean distance | largest '
          '| Pillow: matched | mean distance | largest |\n'
          f'|{" --- |" * 7}')
    for name, path in exported_paths().items():
        detect = runtimes.LOADERS[name](path, input_pipeline.num_cores())
        size = None if name in runtimes.ACCEPTS_ANY_SIZE else model.params.image_size
        cells = [format_cells(references, [detect(image) for image in inputs], FLAGS.min_score)
                 for inputs in (resized, (read_with_pillow(image, size) for image in encoded))]
        print(f'| {name} | {" | ".join(cells)} |', flush=True)


if __name__ == '__main__':
    app.run(main, check_flags)
