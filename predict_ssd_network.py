"""Finds objects in pictures: writes each with boxes, names and scores, and all detections as JSON.

python predict_ssd_network.py --checkpoint_path=runs/voc2007 --output_dir=found photo.jpg folder 'more/*.png'
"""
import glob
import os

from absl import flags

from deployment import command, files
from deployment.console import log
from nets import anchor_presets

FLAGS = flags.FLAGS
flags.DEFINE_string('checkpoint_path', None, 'Checkpoint: a file, or a folder (its latest).')
flags.DEFINE_list('images', [], 'Pictures: files, folders, globs, with commas; or without a flag, with spaces.')
flags.DEFINE_string('output_dir', 'predictions', 'Folder for the pictures and detections.json.')
flags.DEFINE_integer('max_images', None, 'Takes only the first so many pictures.', lower_bound=1)
flags.DEFINE_string('model_name', '', 'The net; needed where no config.json lies beside the checkpoint.')
flags.DEFINE_string('anchor_preset', '', 'Sizes of its anchors (voc, coco, a file of your own), likewise.')
flags.DEFINE_string('labels_file', '', 'Class names, likewise.')
flags.DEFINE_bool('use_moving_averages', True, 'Uses the moving averages of the weights where there are.')
flags.DEFINE_float('min_score', .5, 'Least score of a detection.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('nms_threshold', .45, 'Overlap from which a detection suppresses another.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_integer('max_detections', 200, 'Most detections of a picture.', lower_bound=1)
flags.DEFINE_integer('batch_size', 8, 'Images in a batch.', lower_bound=1)
flags.DEFINE_float('gpu_memory_fraction', .8, 'Share of the GPU\'s memory to take.', lower_bound=.01, upper_bound=1)


def check_flags(arguments):
    """Refuses what can be known to be wrong before TensorFlow is loaded."""
    command.require(FLAGS, 'checkpoint_path')
    if FLAGS.anchor_preset:
        anchor_presets.read(FLAGS.anchor_preset)
    FLAGS.images = [*FLAGS.images, *arguments]
    if not FLAGS.images:
        raise command.UserError('no pictures given; name files, folders or globs behind the flags')


def find_pictures():
    """Paths of all pictures that --images names, each once."""
    from datasets.images import EXTENSIONS
    found = []
    for name in FLAGS.images:
        if os.path.isdir(name):
            there = sorted(entry.path for entry in os.scandir(name)
                           if entry.is_file() and entry.name.lower().endswith(EXTENSIONS))
        else:
            there = [name] if os.path.exists(name) else sorted(glob.glob(name, recursive=True))
        if not there:
            raise command.UserError(f"'{name}' is no picture, no folder with pictures, and no glob that matches any")
        found += there
    return list(dict.fromkeys(found))[:FLAGS.max_images]


def output_names(paths):
    """Path -> name of the drawn picture: its own as .jpg, numbered where two are alike."""
    names, used = {}, set()
    for path in paths:
        stem = os.path.splitext(os.path.basename(path))[0]
        name, number = f'{stem}.jpg', 1
        while name in used:
            number += 1
            name = f'{stem}_{number}.jpg'
        used.add(name)
        names[path] = name
    return names


def refuse_overwriting(pictures, names):
    """UserError where a drawn picture would take the place of a given one."""
    given = {os.path.realpath(path) for path in pictures}
    for name in names.values():
        path = os.path.join(FLAGS.output_dir, name)
        if os.path.realpath(path) in given:
            raise command.UserError(f'the drawn picture would overwrite {path} itself; choose another --output_dir')


def readable(paths):
    """(path, Jpeg) of every picture that can be read; what cannot is said and left out."""
    from datasets import images
    for path in paths:
        try:
            yield path, images.read_jpeg(path, upright=True)
        except command.UserError as error:
            log.info('left out: %s', error)


def as_json(jpeg, found, index, class_names):
    """The detections of one picture, best first; boxes relative and in pixels."""
    detections = []
    for box, score, label in zip(*(field[index, :found.count[index]].tolist()
                                   for field in (found.boxes, found.scores, found.labels)), strict=True):
        ymin, xmin, ymax, xmax = box
        detections.append({'class': class_names[label - 1], 'label': label, 'score': score,
                           'box': {'ymin': ymin, 'xmin': xmin, 'ymax': ymax, 'xmax': xmax},
                           'pixels': {'ymin': ymin * jpeg.height, 'xmin': xmin * jpeg.width,
                                      'ymax': ymax * jpeg.height, 'xmax': xmax * jpeg.width}})
    return detections


def write_picture(path, jpeg, detections):
    """The picture with its detections drawn."""
    import io

    from PIL import Image

    from visualization import drawing
    image = drawing.draw_detections(
        Image.open(io.BytesIO(jpeg.encoded)), [list(d['box'].values()) for d in detections],
        [f'{d["class"]} {d["score"]:.2f}' for d in detections], [d['label'] for d in detections])
    image.save(path, quality=92)


def main():
    """Builds the net on encoded pictures, and goes through them batch by batch."""
    import tensorflow.compat.v1 as tf
    from tqdm import tqdm

    from datasets import facts
    from deployment import model_deploy
    from nets import inference
    from preprocessing import ssd_preprocessing

    class_names = facts.read_labels(FLAGS.labels_file) if FLAGS.labels_file else None
    model = inference.find_model(FLAGS.checkpoint_path, FLAGS.model_name, FLAGS.anchor_preset, class_names)
    pictures = find_pictures()
    encoded = tf.placeholder(tf.string, [None])
    with tf.device('/device:CPU:0'):
        resized = ssd_preprocessing.resize_for_eval(encoded, model.params.image_size, model.params.mean)
    detections = inference.detect(resized, model, select_threshold=FLAGS.min_score,
                                  nms_threshold=FLAGS.nms_threshold, keep_top_k=FLAGS.max_detections)
    restore = inference.restorer(model, FLAGS.use_moving_averages)

    results, names = {}, output_names(pictures)
    refuse_overwriting(pictures, names)
    os.makedirs(FLAGS.output_dir, exist_ok=True)
    config = model_deploy.session_config(model_deploy.deploy(
        1, False, len(tf.config.list_physical_devices('GPU'))), FLAGS.gpu_memory_fraction)
    with tf.Session(config=config) as session, tqdm(total=len(pictures), unit=' pictures') as progress:
        restore(session)
        for start in range(0, len(pictures), FLAGS.batch_size):
            end = min(start + FLAGS.batch_size, len(pictures))
            batch = list(readable(pictures[start:end]))
            found = session.run(detections, {encoded: [jpeg.encoded for _, jpeg in batch]}) if batch else None
            for index, (path, jpeg) in enumerate(batch):
                results[path] = as_json(jpeg, found, index, model.class_names)
                write_picture(os.path.join(FLAGS.output_dir, names[path]), jpeg, results[path])
            progress.update(end - start)

    files.write_json(os.path.join(FLAGS.output_dir, 'detections.json'), results)
    log.info('%d detections in %d pictures, drawn and written to %s', sum(map(len, results.values())),
             len(results), FLAGS.output_dir)
    return 0 if results else 2


if __name__ == '__main__':
    command.run(main, check_flags, takes_arguments=True)
