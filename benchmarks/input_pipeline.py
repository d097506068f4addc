"""Times the input pipeline beside decoding alone, in one run, stage by stage.

python -m benchmarks.input_pipeline [--dataset_dir=data/voc2007] [--dataset_split_name=train]
                                    [--model_name=ssd_300_vgg] [--batch_size=32] [--seconds=0.4] [--turns=20] [--memory]

"decoding alone" reads the records in order and decodes each picture whole, on all cores, and does nothing else. The
stages are those of train_ssd_network.py, each measured with all before it; what a stage adds is the difference. All
are timed in short turns, and medians are printed: machines drift, so trust the ratio of one run, not speeds of two.
With --memory the most memory taken until 2,000 and until 20,000 pictures is printed instead.
"""
import contextlib
import resource
import statistics
import tempfile
import time

from absl import flags

from cli import app
from nets import nets_factory

FLAGS = flags.FLAGS
flags.DEFINE_string('dataset_dir', None, 'Folder of TFRecords; without it, 64 noisy pictures of 500x375.')
flags.DEFINE_string('dataset_split_name', 'train', 'Split to read.')
flags.DEFINE_string('dataset_name', '', 'Name of the data set; needed where its folder has no dataset.json.')
flags.DEFINE_integer('num_classes', 0, 'Classes, background included; 0: as the data set says.', lower_bound=0)
flags.DEFINE_string('model_name', 'ssd_300_vgg', 'The net whose size and anchors count.')
flags.DEFINE_integer('batch_size', 32, 'Images in a batch.', lower_bound=1)
flags.DEFINE_float('seconds', .4, 'Seconds of a stage in each turn.', lower_bound=.01)
flags.DEFINE_integer('turns', 20, 'Turns, of which medians are taken.', lower_bound=1)
flags.DEFINE_bool('memory', False, 'Measures memory, not speed.')

ALONE, WHOLE = 'decoding alone', 'match, encode'
MEMORY_AFTER = (2000, 20000)


def stages(params):
    """Name -> function (record, seed) of all that is done up to there, as the input pipeline calls it."""
    import tensorflow.compat.v1 as tf

    from nets import anchors, ssd_model
    from preprocessing import geometry, pixels, ssd_preprocessing
    from preprocessing.draws import Draws
    size, mean, table = params.image_size, params.mean, anchors.net_anchors(params)

    def read(record, seed):
        del seed
        return {'length': tf.strings.length(record['encoded']), 'labels': record['labels']}

    def place(record, seed):
        window, flip = geometry.sample(record['boxes'], Draws(seed, geometry.DRAWS))
        boxes, stay = geometry.transform_boxes(record['boxes'], window, flip)
        return {'window': window, 'boxes': boxes, 'stay': stay}

    def decode(record, seed):
        placed = place(record, seed)
        wanted = tf.minimum(size / (placed['window'][2:] - placed['window'][:2]), float(size))
        part = pixels.decode_part(record['encoded'], tf.clip_by_value(placed['window'], 0., 1.), wanted)
        return {'corner': part[0, 0], **placed}

    def resize(record, seed):
        placed = place(record, seed)
        return {'image': pixels.render(record['encoded'], placed['window'], size, mean), **placed}

    def augment(record, seed):
        return ssd_preprocessing.preprocess_for_train(record, seed, size, mean)

    def match(record, seed):
        return ssd_model.add_targets(augment(record, seed), table, params.variances, .5)
    return {'read, parse': read, 'geometry': place, 'decode the window': decode, 'resize, batch': resize,
            'colours, flip': augment, WHOLE: match}


def decoding_alone(dataset):
    """Batches of nothing, for which every picture has been read in order and decoded."""
    import tensorflow.compat.v1 as tf

    from datasets import input_pipeline

    def decode(serialized):
        key = 'image/encoded'
        encoded = tf.io.parse_single_example(serialized, {key: tf.io.FixedLenFeature([], tf.string)})[key]
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)[0, 0]
    return input_pipeline.prefetch(tf.data.TFRecordDataset(dataset.files).repeat().map(
        decode, input_pipeline.num_cores()).batch(FLAGS.batch_size))


class Reader:
    """One pipeline with a session of its own."""

    def __init__(self, dataset, stage=None):
        """stage: function (record, seed), or None for decoding alone."""
        import tensorflow.compat.v1 as tf

        from datasets import input_pipeline
        with tf.Graph().as_default() as graph:
            step = tf.train.create_global_step()
            if stage is None:
                iterator = tf.data.make_initializable_iterator(decoding_alone(dataset))
                tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
                batch = {'corner': iterator.get_next()}
            else:
                order = input_pipeline.ExampleOrder(seed=0, batch_size=FLAGS.batch_size)
                batch = input_pipeline.training_batches(dataset, stage, order, step)
            # Running the op makes the batch; fetching its values would copy them.
            self._next = next(iter(batch.values())).op
            self._session = tf.Session(graph=graph)
            self._session.run(tf.global_variables_initializer())
            self._session.run(tf.tables_initializer())

    def read(self, num_batches):
        """Makes so many batches."""
        for _ in range(num_batches):
            self._session.run(self._next)

    def speed(self, seconds):
        """Images a second, the batches made ahead not counted."""
        self.read(3)
        start, count = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            self.read(1)
            count += 1
        return count * FLAGS.batch_size / (time.monotonic() - start)


def print_speeds(dataset, params):
    """Times all stages in turn, and prints the table."""
    from datasets import input_pipeline
    readers = {ALONE: Reader(dataset), **{name: Reader(dataset, stage) for name, stage in stages(params).items()}}
    speeds = {name: [] for name in readers}
    for _ in range(FLAGS.turns):
        for name, reader in readers.items():
            speeds[name].append(reader.speed(FLAGS.seconds))
    medians = {name: statistics.median(found) for name, found in speeds.items()}
    cores = input_pipeline.num_cores()
    print(f'medians of {FLAGS.turns} turns on {cores} cores')
    print(f'{"up to and with":20}{"images/s":>10}{"ms of a core per image":>25}{"added":>8}')
    before = 0
    for name, speed in medians.items():
        cost = 1000 * cores / speed
        print(f'{name:20}{speed:10.0f}{cost:25.2f}' + (f'{cost - before:8.2f}' if name != ALONE else ''))
        before = cost if name != ALONE else 0
    print(f'whole pipeline / decoding alone: {medians[WHOLE] / medians[ALONE]:.2f}')


def print_memory(dataset, params):
    """Reads many pictures and prints the most memory taken on the way."""
    reader, done, peaks = Reader(dataset, stages(params)[WHOLE]), 0, []
    for count in MEMORY_AFTER:
        reader.read(-(-(count - done) // FLAGS.batch_size))
        done = count
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(f'after {count} pictures: {peaks[-1]:.0f} MiB at most')
    print(f'growth: {100 * (peaks[1] / peaks[0] - 1):.1f}%')


def main():
    """Reads the data set that was asked for, or makes one."""
    from benchmarks.noisy_images import make_dataset
    from datasets import broken_records, dataset_factory
    params = nets_factory.get_params(FLAGS.model_name)
    with contextlib.ExitStack() as stack:
        if FLAGS.dataset_dir:
            dataset = dataset_factory.get_dataset(
                FLAGS.dataset_name, FLAGS.dataset_split_name, FLAGS.dataset_dir, FLAGS.num_classes)
        else:
            dataset = make_dataset(stack.enter_context(tempfile.TemporaryDirectory()))
        print(f'{dataset.name} {dataset.split}, {dataset.num_examples} pictures; {params.name}, '
              f'batch {FLAGS.batch_size}')
        with broken_records.report_broken_records(dataset):
            (print_memory if FLAGS.memory else print_speeds)(dataset, params)


if __name__ == '__main__':
    app.run(main, lambda: None)
