"""Finds objects in pictures and videos: writes each with boxes, names and scores, and all detections as JSON.

python predict_ssd_network.py --checkpoint_path=runs/voc2007 --output_dir=found photo.jpg folder 'more/*.png' clip.mp4
"""
import functools
import itertools
import os
import time

from absl import flags

from cli import app
from common import files
from common.errors import UserError
from common.log import log
from nets import anchor_presets
from visualization import video

_RESULTS = 'detections.json'
_VIDEO = ('.mp4', '.partial.mp4')   # endings of a drawn video, at the end and before
_MOST_OF = .9   # of the frames that a file says to have, which may be an estimate

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None, 'Checkpoint: a file, or a folder (its latest).')
flags.DEFINE_list('images', [], 'Pictures and videos: files, folders, globs, with commas; or without a flag, with '
                  'spaces.')
flags.DEFINE_string('output_dir', 'predictions', 'Folder for the drawn pictures and videos, and the JSON files.')
flags.DEFINE_integer('max_images', None, 'Takes only the first so many pictures, and frames of each video.',
                     lower_bound=1)
flags.DEFINE_string('model_name', '', 'The net; needed where no config.json lies beside the checkpoint.')
flags.DEFINE_string('anchor_preset', '', 'Sizes of its anchors (voc, coco, a file of your own); needed where '
                    'no config.json lies beside the checkpoint.')
flags.DEFINE_string('labels_file', '', 'Class names; needed where no config.json lies beside the checkpoint.')
flags.DEFINE_bool('use_moving_averages', True, 'Uses the moving averages of the weights where there are.')
flags.DEFINE_float('min_score', .5, 'Least score of a detection.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('nms_threshold', .45, 'Overlap from which a detection suppresses another.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_list('classes', [], 'Names of the classes to look for, with commas; without it, all.')
flags.DEFINE_integer('max_detections', 200, 'Most detections of a picture or frame, the best of --classes.',
                     lower_bound=1)
flags.DEFINE_integer('batch_size', 8, 'Pictures or frames in a batch.', lower_bound=1)
flags.DEFINE_float('gpu_memory_fraction', .8, 'Share of the GPU\'s memory to take.', lower_bound=.01, upper_bound=1)


def check_flags(arguments):
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    app.require_flags(FLAGS, 'checkpoint_path')
    if FLAGS.anchor_preset:
        anchor_presets.read(FLAGS.anchor_preset)
    FLAGS.images = [*FLAGS.images, *arguments]
    if not FLAGS.images:
        raise UserError('no pictures or videos given; name files, folders or globs behind the flags')
    for path in find_inputs()[1]:
        video.import_cv2(path)


def find_inputs():
    """(pictures, videos): the paths of all that --images names, each once."""
    from datasets import images
    found = images.expand_paths(FLAGS.images, images.EXTENSIONS + video.EXTENSIONS, 'picture or video')
    return ([path for path in found if not video.is_video(path)][:FLAGS.max_images],
            [path for path in found if video.is_video(path)])


def output_paths(paths):
    """Path -> that of what is drawn of it: its own name with .jpg or .mp4, numbered where two would be alike."""
    # Beside each video lies a JSON of its name, and before it is whole, both are called partial.
    drawn, used = {}, {_RESULTS.replace('.json', ending) for ending in _VIDEO}
    for path in paths:
        stem = name = os.path.splitext(os.path.basename(path))[0]
        endings, number = _VIDEO if video.is_video(path) else ('.jpg',), 1
        while any(name + ending in used for ending in endings):
            number += 1
            name = f'{stem}_{number}'
        used.update(name + ending for ending in endings)
        drawn[path] = os.path.join(FLAGS.output_dir, name + endings[0])
    return drawn


def refuse_overwriting(drawn):
    """UserError where a drawn picture or video would take the place of a given one."""
    given = {os.path.realpath(path) for path in drawn}
    for path in drawn.values():
        if given & {os.path.realpath(path), os.path.realpath(files.partial_path(path))}:
            raise UserError(f'what is drawn would overwrite {path} itself; choose another --output_dir')


def readable(paths, read):
    """(path, read(path)) of every file that can be read; what cannot is said and left out."""
    for path in paths:
        try:
            yield path, read(path)
        except UserError as error:
            log.info('left out: %s', error)


class Speed:
    """Images a second from the end of the first batch on, which warms up."""

    def __init__(self):
        self._images, self._start, self._end = 0, None, None

    def add(self, images):
        """A batch of so many is done."""
        self._end = time.monotonic()
        if self._start is None:
            self._start = self._end
        else:
            self._images += images

    def __str__(self):
        return f', {self._images / (self._end - self._start):.1f} images/s' if self._images else ''


def build(model, labels):
    """Two functions (session, list) -> `Detections` of NumPy arrays: of encoded pictures, and of frames' pixels."""
    import tensorflow.compat.v1 as tf

    from nets.post_processing import PostProcessingOptions
    from preprocessing import ssd_preprocessing
    from run_folder import trained_model
    size, mean = model.params.image_size, model.params.mean
    encoded, pixels = tf.placeholder(tf.string, [None]), tf.placeholder(tf.uint8, [None, None, None, 3])
    with tf.device('/device:CPU:0'):
        from_encoded = ssd_preprocessing.resize_for_eval(encoded, size, mean)
        from_pixels = ssd_preprocessing.resize_pixels_for_eval(pixels, size)
    images = tf.placeholder(tf.uint8, [None, size, size, 3])
    detections = trained_model.detect(images, model, labels, PostProcessingOptions(
        select_threshold=FLAGS.min_score, nms_threshold=FLAGS.nms_threshold,
        keep_top_k=FLAGS.max_detections))

    def find_in_pictures(session, batch):
        return session.run(detections, {images: session.run(from_encoded, {encoded: batch})})

    def find_in_frames(session, batch):
        # One by one, so that no frame's pixels lie in memory more often than they must.
        return session.run(detections, {images: [session.run(from_pixels, {pixels: [frame]})[0] for frame in batch]})
    return find_in_pictures, find_in_frames


def as_json(found, index, height, width, class_names):
    """The detections of one picture of a batch, best first; boxes relative and in pixels."""
    detections = []
    for box, score, label in zip(*(field[index, :found.count[index]].tolist()
                                   for field in (found.boxes, found.scores, found.labels)), strict=True):
        ymin, xmin, ymax, xmax = box
        detections.append({'class': class_names[label - 1], 'label': label, 'score': score,
                           'box': {'ymin': ymin, 'xmin': xmin, 'ymax': ymax, 'xmax': xmax},
                           'pixels': {'ymin': ymin * height, 'xmin': xmin * width,
                                      'ymax': ymax * height, 'xmax': xmax * width}})
    return detections


def draw(image, detections):
    """A PIL image with its detections."""
    from visualization import drawing
    return drawing.draw_detections(image, [list(d['box'].values()) for d in detections],
                                   [f'{d["class"]} {d["score"]:.2f}' for d in detections],
                                   [d['label'] for d in detections])


def write_picture(path, jpeg, detections):
    """The picture with its detections drawn."""
    import io

    from PIL import Image

    from visualization import drawing
    files.write_atomically(path, drawing.encode_jpeg(draw(Image.open(io.BytesIO(jpeg.encoded)), detections)))


def predict_pictures(find, drawn, class_names, speed):
    """Draws detections onto pictures; returns them, path -> list. drawn: path -> that of the drawn picture."""
    from tqdm import tqdm

    from datasets import images
    paths = iter(drawn)
    with files.write_json_on_exit(os.path.join(FLAGS.output_dir, _RESULTS), 'pictures') as results, \
         tqdm(total=len(drawn), unit=' pictures') as progress:
        while batch_paths := list(itertools.islice(paths, FLAGS.batch_size)):
            batch = list(readable(batch_paths, functools.partial(images.read_jpeg, upright=True)))
            if batch:
                found = find([jpeg.encoded for _, jpeg in batch])
                for index, (path, jpeg) in enumerate(batch):
                    detections = as_json(found, index, jpeg.height, jpeg.width, class_names)
                    write_picture(drawn[path], jpeg, detections)
                    results[path] = detections
                speed.add(len(batch))
            progress.update(len(batch_paths))
    return results


def predict_video(find, reader, path, drawn, class_names, speed):
    """Draws detections onto the frames of a video; returns (frames, detections), how many."""
    import numpy as np
    from PIL import Image
    from tqdm import tqdm
    count = total = 0
    facts = {'video': path, 'width': reader.width, 'height': reader.height, 'fps': reader.fps}
    expected = min(reader.num_frames, FLAGS.max_images or reader.num_frames)
    with reader, video.Writer(drawn, facts, reader.height, reader.width, reader.fps) as writer, \
         tqdm(total=expected or None, desc=os.path.basename(path), unit=' frames') as progress:
        frames = itertools.islice(reader, FLAGS.max_images)
        while batch := list(itertools.islice(frames, FLAGS.batch_size)):
            found = find([frame.pixels for frame in batch])
            for index, frame in enumerate(batch):
                detections = as_json(found, index, reader.height, reader.width, class_names)
                writer.add(frame.time, np.asarray(draw(Image.fromarray(frame.pixels), detections)), detections)
                total += len(detections)
            count += len(batch)
            speed.add(len(batch))
            progress.update(len(batch))
    if count < _MOST_OF * expected:
        log.info('%s: only %d of about %d frames can be read; the rest seems broken', path, count, expected)
    return count, total


def main():
    """Builds the net on pictures and frames, and goes through all that is given, batch by batch."""
    import tensorflow.compat.v1 as tf

    from datasets import dataset_info
    from deployment import model_deploy
    from run_folder import trained_model

    class_names = dataset_info.read_labels(FLAGS.labels_file) if FLAGS.labels_file else None
    model = trained_model.resolve_model(FLAGS.checkpoint_path, FLAGS.model_name, FLAGS.anchor_preset, class_names)
    labels = trained_model.labels_from_names(FLAGS.classes, model.class_names) if FLAGS.classes else None
    pictures, videos = find_inputs()
    drawn = output_paths(pictures + videos)
    refuse_overwriting(drawn)
    find_in_pictures, find_in_frames = build(model, labels)
    restore = trained_model.make_restore_fn(model, FLAGS.use_moving_averages)

    files.make_output_folder(FLAGS.output_dir, 'output_dir')
    config = model_deploy.inference_session_config(FLAGS.gpu_memory_fraction)
    speed, counts, total = Speed(), {'pictures': 0, 'frames': 0}, 0
    with tf.Session(config=config) as session:
        restore(session)
        if pictures:
            results = predict_pictures(functools.partial(find_in_pictures, session),
                                       {path: drawn[path] for path in pictures}, model.class_names, speed)
            counts['pictures'], total = len(results), sum(map(len, results.values()))
        for path, reader in readable(videos, video.Reader):
            frames, detections = predict_video(functools.partial(find_in_frames, session), reader, path, drawn[path],
                                               model.class_names, speed)
            counts['frames'] += frames
            total += detections

    done = ' and '.join(f'{count} {what}' for what, count in counts.items() if count) or '0 pictures'
    log.info('%d detections in %s%s, drawn and written to %s', total, done, speed, FLAGS.output_dir)
    return 0 if any(counts.values()) else 2


if __name__ == '__main__':
    app.run(main, check_flags, takes_arguments=True)
