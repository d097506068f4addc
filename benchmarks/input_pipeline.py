r"""Time the stages of the input pipeline, and decoding alone, in one run.

python -m benchmarks.input_pipeline [--dataset_dir=data/voc2007] [--dataset_split_name=train] \
    [--model_name=ssd_300_vgg] [--batch_size=32] [--seconds=0.4] [--turns=20] [--memory]

"decoding alone" reads the records in order and decodes each image in full, on all cores. Each
stage of the input pipeline of train_ssd_network.py is measured together with all stages before it;
the last column is the difference. The stages are timed in turn, and medians are printed. The speed
of a machine drifts, so compare values of one run only. With --memory, the peak memory after 2,000
and after 20,000 images (--memory_after) is printed instead.
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
flags.DEFINE_string('dataset_dir', None,
                    'Folder of TFRecords. Default: 64 noisy images of 500x375 pixels.')
flags.DEFINE_string('dataset_split_name', 'train', 'Split to read.')
flags.DEFINE_string('dataset_name', '',
                    'Name of the dataset. Required only if dataset_dir has no dataset.json.')
flags.DEFINE_integer('num_classes', 0,
                     'Number of classes, background included. 0: as in the dataset.', lower_bound=0)
flags.DEFINE_string('model_name', 'ssd_300_vgg',
                    'Name of the net, which determines image size and anchors.')
flags.DEFINE_integer('batch_size', 32, 'Number of images per batch.', lower_bound=1)
flags.DEFINE_float('seconds', .4, 'Seconds per stage and turn.', lower_bound=.01)
flags.DEFINE_integer('turns', 20, 'Number of turns, of which the median is printed.', lower_bound=1)
flags.DEFINE_bool('memory', False, 'Measure memory instead of speed.')
flags.DEFINE_list('memory_after', ['2000', '20000'],
                  'Two numbers of images, ascending, after which the peak memory is printed.')

_DECODING_ALONE, _LAST_STAGE = 'decoding alone', 'match, encode'


def make_stages(params):
    """Return a dict from the name of each stage to a function that does all work up to it.

    The functions (record, seed) -> dict of tensors are arguments of
    `input_pipeline.training_batches`.
    """
    import tensorflow.compat.v1 as tf

    from nets import anchors, ssd_model
    from preprocessing import geometry, pixels, ssd_preprocessing
    from preprocessing.draws import RandomDraws
    size, mean, net_anchors = params.image_size, params.mean, anchors.net_anchors(params)

    def read(record, _):
        return {'length': tf.strings.length(record['encoded']), 'labels': record['labels']}

    def sample_geometry(record, seed):
        draws = RandomDraws(seed, geometry.NUM_DRAWS)
        window, flip = geometry.sample_window(record['boxes'], draws)
        return {'window': window, 'flip': flip}

    def decode(record, seed):
        sampled = sample_geometry(record, seed)
        window = sampled['window']
        target_size = tf.minimum(size / (window[2:] - window[:2]), float(size))
        decoded, _ = pixels.decode_window(
            record['encoded'], tf.clip_by_value(window, 0., 1.), target_size)
        return {'corner': decoded[0, 0], **sampled}

    def resize(record, seed):
        window = sample_geometry(record, seed)['window']
        image, window = pixels.render_window(record['encoded'], window, size, mean)
        return {'image': image, 'window': window}

    def augment(record, seed):
        return ssd_preprocessing.preprocess_for_train(record, seed, size, mean)

    def match(record, seed):
        return ssd_model.add_targets(augment(record, seed), net_anchors, params.variances, .5)
    return {'read, parse': read, 'geometry': sample_geometry, 'decode the window': decode,
            'resize, batch': resize, 'boxes, color, flip': augment, _LAST_STAGE: match}


def decode_in_order(dataset):
    """Return a `tf.data.Dataset` that reads and decodes all images in order, in full.

    An element is one pixel of each image of a batch, so that no time goes into copying images.
    """
    import tensorflow.compat.v1 as tf

    from datasets import input_pipeline

    def decode(serialized):
        features = {'image/encoded': tf.io.FixedLenFeature([], tf.string)}
        encoded = tf.io.parse_single_example(serialized, features)['image/encoded']
        return tf.io.decode_image(encoded, channels=3, expand_animations=False)[0, 0]
    examples = tf.data.TFRecordDataset(dataset.files).repeat().map(
        decode, input_pipeline.num_cores())
    return input_pipeline.prefetch(examples.batch(FLAGS.batch_size))


class Reader:
    """An input pipeline with a session of its own."""

    def __init__(self, dataset, stage=None):
        """Start the pipeline.

        Args:
            dataset: `dataset_factory.Dataset`.
            stage: Function as of `make_stages`. None: decoding alone.
        """
        import tensorflow.compat.v1 as tf

        from datasets import input_pipeline
        with tf.Graph().as_default() as graph:
            global_step = tf.train.create_global_step()
            if stage is None:
                iterator = tf.data.make_initializable_iterator(decode_in_order(dataset))
                tf.add_to_collection(tf.GraphKeys.TABLE_INITIALIZERS, iterator.initializer)
                batch = {'corner': iterator.get_next()}
            else:
                order = input_pipeline.ExampleOrder(seed=0, batch_size=FLAGS.batch_size)
                batch = input_pipeline.training_batches(dataset, stage, order, global_step)
            # Running the op makes the batch; fetching its values would copy them.
            self._next = next(iter(batch.values())).op
            self._session = tf.Session(graph=graph)
            self._session.run(tf.global_variables_initializer())
            self._session.run(tf.tables_initializer())

    def read(self, num_batches):
        """Make batches and discard them."""
        for _ in range(num_batches):
            self._session.run(self._next)

    def images_per_second(self, seconds):
        """Measure the speed over a time, after the prefetched batches are used up."""
        self.read(3)
        start, num_batches = time.monotonic(), 0
        while time.monotonic() - start < seconds:
            self.read(1)
            num_batches += 1
        return num_batches * FLAGS.batch_size / (time.monotonic() - start)


def print_speeds(dataset, params):
    """Time all stages in turn, and print a table."""
    from datasets import input_pipeline
    readers = {_DECODING_ALONE: Reader(dataset),
               **{name: Reader(dataset, stage) for name, stage in make_stages(params).items()}}
    speeds = {name: [] for name in readers}
    for _ in range(FLAGS.turns):
        for name, reader in readers.items():
            speeds[name].append(reader.images_per_second(FLAGS.seconds))
    medians = {name: statistics.median(values) for name, values in speeds.items()}
    num_cores = input_pipeline.num_cores()
    print(f'medians of {FLAGS.turns} turns on {num_cores} cores')
    print(f'{"up to and including":20}{"images/s":>10}{"core ms per image":>25}{"added":>8}')
    previous_cost = 0
    for name, speed in medians.items():
        cost = 1000 * num_cores / speed
        row = f'{name:20}{speed:10.0f}{cost:25.2f}'
        if name != _DECODING_ALONE:
            row += f'{cost - previous_cost:8.2f}'
            previous_cost = cost
        print(row)
    print(f'whole pipeline / decoding alone: {medians[_LAST_STAGE] / medians[_DECODING_ALONE]:.2f}')


def print_memory(dataset, params):
    """Read images, and print the peak memory of the process on the way and its growth."""
    reader, num_read, peaks = Reader(dataset, make_stages(params)[_LAST_STAGE]), 0, []
    for count in map(int, FLAGS.memory_after):
        reader.read(-(-(count - num_read) // FLAGS.batch_size))
        num_read = count
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        print(f'after {count} images: peak memory {peaks[-1]:.0f} MiB')
    print(f'growth: {100 * (peaks[1] / peaks[0] - 1):.1f}%')


def main():
    """Measure the dataset of --dataset_dir, or a synthetic one."""
    from benchmarks.noisy_images import make_dataset
    from datasets import broken_records, dataset_factory
    params = nets_factory.get_params(FLAGS.model_name)
    with contextlib.ExitStack() as stack:
        if FLAGS.dataset_dir:
            dataset = dataset_factory.get_dataset(
                FLAGS.dataset_name, FLAGS.dataset_split_name, FLAGS.dataset_dir, FLAGS.num_classes)
        else:
            dataset = make_dataset(stack.enter_context(tempfile.TemporaryDirectory()))
        print(f'{dataset.name} {dataset.split}, {dataset.num_examples} images; {params.name}, '
              f'batch {FLAGS.batch_size}')
        with broken_records.report_broken_records(dataset):
            (print_memory if FLAGS.memory else print_speeds)(dataset, params)


if __name__ == '__main__':
    app.run(main, lambda: None)
