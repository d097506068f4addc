"""What the tests of whole runs share: a small data set, and what a run has written."""
import tensorflow.compat.v1 as tf

import scripts
from datasets import shapes


def write_shapes(folder, **splits):
    """The embedded data set, small, in `voc` and `records` of a folder; splits: name -> number of pictures."""
    shapes.write_dataset(str(folder / 'voc'), splits=splits)
    scripts.succeed('tf_convert_data.py', f'--dataset_dir={folder}/voc', f'--output_dir={folder}/records',
                    '--dataset_name=shapes', '--num_shards=2')
    return folder


def weights(train_dir):
    """Name -> value of everything in the latest checkpoint: variables, slots, averages, global step."""
    reader = tf.train.NewCheckpointReader(tf.train.latest_checkpoint(str(train_dir)))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
