r"""Detect objects in images and videos; write them as drawn images and videos and as JSON.

python predict_ssd_network.py --checkpoint_path=runs/voc2007 --output_dir=found \
    photo.jpg folder 'more/*.png' clip.mp4
"""
import functools
import itertools
import os
import time

from absl import flags

from cli import app
from cli.flag_help import flag_group
from common import files
from common.errors import UserError
from common.log import log
from common.text import counted, one_line
from nets import anchor_presets
from visualization import video

_RESULTS = 'detections.json'
_VIDEO_SUFFIXES = ('.mp4', '.partial.mp4')   # of a complete and of an incomplete drawn video
# A video with fewer than this share of the frames that its header declares is reported as damaged.
# The header may be an estimate.
_MIN_FRAMES_READ = .9

FLAGS = flags.FLAGS

flag_group('Input and output')
flags.DEFINE_string('checkpoint_path', None,
                    'Checkpoint of the net: a file, or a folder, whose latest checkpoint is used.')
flags.DEFINE_list('images', [],
                  'Comma-separated images and videos: files, folders or globs. They can also be '
                  'given without a flag, separated by spaces.')
flags.DEFINE_string('output_dir', 'predictions',
                    'Folder for the drawn images and videos and the JSON files.')
flags.DEFINE_integer('max_images', None,
                     'Maximum number of images, and of frames per video. Default: all.',
                     lower_bound=1)

flag_group('Net')
flags.DEFINE_string('model_name', '',
                    'Name of the net. Required only if the checkpoint folder has no config.json.')
flags.DEFINE_string('anchor_preset', '',
                    'Anchor sizes: voc, coco or a file. Required only if the checkpoint folder '
                    'has no config.json.')
flags.DEFINE_string('labels_file', '',
                    'File of class names, one per line. Required only if the checkpoint folder '
                    'has no config.json.')
flags.DEFINE_bool('use_moving_averages', True,
                  'Use the moving averages of the weights, if the checkpoint has them.')
flags.DEFINE_integer('batch_size', 8, 'Number of images or frames per batch.', lower_bound=1)
flags.DEFINE_float('gpu_memory_fraction', .8, 'Fraction of the GPU memory to use.',
                   lower_bound=.01, upper_bound=1)

flag_group('Post-processing')
flags.DEFINE_float('min_score', .5, 'Minimum score of a detection.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('nms_threshold', .45,
                   'IoU above which non-maximum suppression removes the box with the lower score.',
                   lower_bound=0, upper_bound=1)
flags.DEFINE_list('classes', [], 'Comma-separated names of the classes to detect. Default: all.')
flags.DEFINE_integer('max_detections', 200,
                     'Maximum number of detections per image or frame. Those with the highest '
                     'scores are kept.', lower_bound=1)


def check_flags(arguments):
    """Raise UserError for invalid flags and inputs that can be detected without TensorFlow.

    Args:
        arguments: Positional arguments, additional values of --images.
    """
    app.require_flags(FLAGS, 'checkpoint_path')
    if FLAGS.anchor_preset:
        anchor_presets.canonical_text(FLAGS.anchor_preset)
    if not FLAGS.images and not arguments:
        raise UserError('no images or videos to process. Name files, folders or globs after the '
                        'flags')
    for path in find_inputs(arguments)[1]:
        video.import_cv2(path)


def find_inputs(arguments):
    """Return the paths of all images and of all videos to process, without duplicates."""
    from datasets import images
    paths = images.expand_paths([*FLAGS.images, *arguments], _extensions(), 'image or video')
    return ([path for path in paths if not video.is_video(path)][:FLAGS.max_images],
            [path for path in paths if video.is_video(path)])


def _extensions():
    from datasets import images
    return images.EXTENSIONS + video.EXTENSIONS


def log_unused_files(arguments):
    """Log the files in the folders that are neither images nor videos, such as GIFs."""
    from datasets import images
    unused = images.unused_files([*FLAGS.images, *arguments], _extensions())
    if unused:
        log.info('not used, because of the extension: %s: %s. Name such files themselves to read '
                 'them', counted(len(unused), 'file'), images.list_names(unused))


def choose_output_paths(paths):
    """Return a dict from each input path to the path of its drawn image (.jpg) or video (.mp4).

    A drawn file has the name of its input, with a number if two inputs have the same name, and
    shortened if it would be too long for a file name.
    """
    # Beside a drawn video there is a JSON file of the same name, so that no video may take the name
    # of detections.json or of its partial file.
    output_paths = {}
    used = {_RESULTS.replace('.json', suffix) for suffix in _VIDEO_SUFFIXES}
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        # For a video, the longest name is that of the partial JSON file.
        suffixes, longest = (_VIDEO_SUFFIXES, '.partial.json') if video.is_video(path) \
            else (('.jpg',), '.jpg')
        for number in itertools.count(1):
            end = longest if number == 1 else f'_{number}{longest}'
            name = files.file_name(stem, end).removesuffix(longest)
            if not any(name + suffix in used for suffix in suffixes):
                break
        used.update(name + suffix for suffix in suffixes)
        output_paths[path] = os.path.join(FLAGS.output_dir, name + suffixes[0])
    return output_paths


def check_no_input_is_overwritten(output_paths):
    """Raise UserError if a drawn file would overwrite an input.

    Args:
        output_paths: Dict as returned by `choose_output_paths`.
    """
    inputs = {os.path.realpath(path) for path in output_paths}
    for path in output_paths.values():
        if inputs & {os.path.realpath(path), os.path.realpath(files.partial_path(path))}:
            raise UserError(f'the output would overwrite the input {path}. Choose another '
                            f'--output_dir')


def read_or_skip(paths, read):
    """Yield (path, read(path)) of each file; log and skip a file if `read` raises UserError."""
    for path in paths:
        try:
            yield path, read(path)
        except UserError as error:
            log.info('skipped: %s', error)


class Throughput:
    """Counter of images per second. The first batch is not counted: TensorFlow warms up."""

    def __init__(self):
        self._num_images, self._start, self._end = 0, None, None

    def add(self, num_images):
        """Count a completed batch."""
        self._end = time.monotonic()
        if self._start is None:
            self._start = self._end
        else:
            self._num_images += num_images

    def __str__(self):
        """Return text to append to a log line; '' if there was only one batch."""
        if not self._num_images:
            return ''
        return f', {self._num_images / (self._end - self._start):.1f} images/s'


def build_net(model, labels):
    """Build the net in the default graph.

    Args:
        model: `run_folder.trained_model.Model`.
        labels: Labels of the classes to detect, or None for all.

    Returns:
        Two functions (session, batch) -> `Detections` of NumPy arrays. A batch of the first is a
        list of encoded images (bytes), a batch of the second is a list of frames, [H, W, 3] uint8
        RGB.
    """
    import tensorflow.compat.v1 as tf

    from checkpoints import trained_model
    from nets.post_processing import PostProcessingOptions
    from preprocessing import ssd_preprocessing
    size = model.params.image_size
    encoded = tf.placeholder(tf.string, [None])
    pixels = tf.placeholder(tf.uint8, [None, None, None, 3])
    with tf.device('/device:CPU:0'):
        resized_images = ssd_preprocessing.resize_for_eval(encoded, size)
        resized_frames = ssd_preprocessing.resize_pixels_for_eval(pixels, size)
    net_input = tf.placeholder(tf.uint8, [None, size, size, 3])
    detections = trained_model.detect(net_input, model, labels, PostProcessingOptions(
        select_threshold=FLAGS.min_score, nms_threshold=FLAGS.nms_threshold,
        keep_top_k=FLAGS.max_detections))

    def detect_in_images(session, batch):
        resized = session.run(resized_images, {encoded: batch})
        return session.run(detections, {net_input: resized})

    def detect_in_frames(session, batch):
        # Resizing frame by frame avoids a copy of all frames of the batch in full size.
        resized = [session.run(resized_frames, {pixels: [frame]})[0] for frame in batch]
        return session.run(detections, {net_input: resized})
    return detect_in_images, detect_in_frames


def detections_as_json(batch, index, height, width, class_names):
    """Return the detections of one image as a list of dicts, best first.

    Args:
        batch: `Detections` of a batch, NumPy arrays.
        index: Index of the image in the batch.
        height, width: Size of the image in pixels.
        class_names: Class names, label 1 first.
    """
    count = batch.count[index]
    boxes, scores, labels = (field[index, :count].tolist()
                             for field in (batch.boxes, batch.scores, batch.labels))
    detections = []
    for (ymin, xmin, ymax, xmax), score, label in zip(boxes, scores, labels, strict=True):
        detections.append({'class': class_names[label - 1], 'label': label, 'score': score,
                           'box': {'ymin': ymin, 'xmin': xmin, 'ymax': ymax, 'xmax': xmax},
                           'pixels': {'ymin': ymin * height, 'xmin': xmin * width,
                                      'ymax': ymax * height, 'xmax': xmax * width}})
    return detections


def draw(image, detections):
    """Return a copy of a PIL image with the detections (as JSON) drawn on it."""
    from visualization import drawing
    return drawing.draw_detections(image, [list(d['box'].values()) for d in detections],
                                   [f'{d["class"]} {d["score"]:.2f}' for d in detections],
                                   [d['label'] for d in detections])


def write_drawn_image(path, encoded, detections):
    """Draw detections on an encoded image and write it as JPEG."""
    import io

    from PIL import Image

    from visualization import drawing
    image = draw(Image.open(io.BytesIO(encoded)), detections)
    files.write_atomically(path, drawing.encode_jpeg(image))


def predict_images(detect, output_paths, class_names, throughput):
    """Detect objects in images; write the drawn images and detections.json.

    Args:
        detect: Function from a list of encoded images to `Detections`.
        output_paths: Dict from the path of each image to the path of its drawn image.
        class_names: Class names, label 1 first.
        throughput: `Throughput` to count the images with.

    Returns:
        Dict from the path of each readable image to its list of detections.
    """
    from tqdm import tqdm

    from datasets import images
    paths = iter(output_paths)
    results_path = os.path.join(FLAGS.output_dir, _RESULTS)
    with files.write_json_on_exit(results_path, 'image') as results, \
         tqdm(total=len(output_paths), unit=' images', disable=None) as progress:
        while batch_paths := list(itertools.islice(paths, FLAGS.batch_size)):
            batch = list(read_or_skip(batch_paths, images.read_upright))
            if batch:
                batch_detections = detect([image.encoded for _, image in batch])
                for index, (path, image) in enumerate(batch):
                    detections = detections_as_json(batch_detections, index, image.height,
                                                    image.width, class_names)
                    write_drawn_image(output_paths[path], image.encoded, detections)
                    results[path] = detections
                throughput.add(len(batch))
            progress.update(len(batch_paths))
    return results


def predict_video(detect, reader, path, output_path, class_names, throughput):
    """Detect objects in a video; write the drawn video and its JSON file.

    Args:
        detect: Function from a list of frames, [H, W, 3] uint8 RGB, to `Detections`.
        reader: `video.Reader` of the video; it is closed at the end.
        path: Path of the video.
        output_path: Path of the drawn video.
        class_names: Class names, label 1 first.
        throughput: `Throughput` to count the frames with.

    Returns:
        Number of frames, and number of detections in all frames.
    """
    import numpy as np
    from PIL import Image
    from tqdm import tqdm
    num_frames = num_detections = 0
    metadata = {'video': path, 'width': reader.width, 'height': reader.height, 'fps': reader.fps}
    expected_frames = min(reader.num_frames, FLAGS.max_images or reader.num_frames)
    with reader, \
         video.Writer(output_path, metadata, reader.height, reader.width, reader.fps) as writer, \
         tqdm(total=expected_frames or None, desc=one_line(os.path.basename(path)),
              unit=' frames', disable=None) as progress:
        frames = itertools.islice(reader, FLAGS.max_images)
        while batch := list(itertools.islice(frames, FLAGS.batch_size)):
            batch_detections = detect([frame.pixels for frame in batch])
            for index, frame in enumerate(batch):
                detections = detections_as_json(batch_detections, index, reader.height,
                                                reader.width, class_names)
                drawn = draw(Image.fromarray(frame.pixels), detections)
                writer.add(frame.time, np.asarray(drawn), detections)
                num_detections += len(detections)
            num_frames += len(batch)
            throughput.add(len(batch))
            progress.update(len(batch))
    if num_frames < _MIN_FRAMES_READ * expected_frames:
        log.info('%s: only %d of about %d frames can be read; the file seems to be damaged', path,
                 num_frames, expected_frames)
    return num_frames, num_detections


def resolve_model():
    """Return the `Model` of the checkpoint, and the labels of --classes, None for all."""
    from checkpoints import trained_model
    from datasets import dataset_info
    class_names = dataset_info.read_labels(FLAGS.labels_file) if FLAGS.labels_file else None
    model = trained_model.resolve_model(FLAGS.checkpoint_path, FLAGS.model_name,
                                        FLAGS.anchor_preset, class_names)
    if not FLAGS.classes:
        return model, None
    return model, trained_model.labels_from_names(FLAGS.classes, model.class_names)


def main(arguments):
    """Process all images, then the videos one by one.

    Args:
        arguments: Positional arguments, additional values of --images.

    Returns:
        Exit code: 2 if no input could be read.
    """
    import tensorflow.compat.v1 as tf

    from checkpoints import trained_model
    from deployment import model_deploy

    model, labels = resolve_model()
    image_paths, video_paths = find_inputs(arguments)
    log_unused_files(arguments)
    output_paths = choose_output_paths(image_paths + video_paths)
    check_no_input_is_overwritten(output_paths)
    detect_in_images, detect_in_frames = build_net(model, labels)
    restore = trained_model.make_restore_fn(model, FLAGS.use_moving_averages)

    files.make_output_folder(FLAGS.output_dir, 'output_dir')
    config = model_deploy.inference_session_config(FLAGS.gpu_memory_fraction)
    throughput, num_images, num_frames, num_detections = Throughput(), 0, 0, 0
    with tf.Session(config=config) as session:
        restore(session)
        if image_paths:
            results = predict_images(functools.partial(detect_in_images, session),
                                     {path: output_paths[path] for path in image_paths},
                                     model.class_names, throughput)
            num_images, num_detections = len(results), sum(map(len, results.values()))
        for path, reader in read_or_skip(video_paths, video.Reader):
            frames, detections = predict_video(
                functools.partial(detect_in_frames, session), reader, path, output_paths[path],
                model.class_names, throughput)
            num_frames += frames
            num_detections += detections

    log.info('%s in %s and %s%s, written to %s', counted(num_detections, 'detection'),
             counted(num_images, 'image'), counted(num_frames, 'video frame'), throughput,
             FLAGS.output_dir)
    return 0 if num_images or num_frames else 2


if __name__ == '__main__':
    app.run(main, check_flags, takes_arguments=True)
