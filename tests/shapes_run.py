"""Shared by the tests that start whole runs: a small dataset, and access to checkpoints."""
import tensorflow.compat.v1 as tf

import scripts
from datasets import shapes


def write_shapes(folder, **splits):
    """Write the embedded dataset and its records to `voc` and `records`; return the folder.

    Args:
        folder: Folder to write to.
        **splits: Number of images per split.
    """
    shapes.write_dataset(str(folder / 'voc'), splits=splits)
    scripts.succeed('tf_convert_data.py', f'--dataset_dir={folder}/voc',
                    f'--output_dir={folder}/records', '--dataset_name=shapes', '--num_shards=2')
    return folder


def checkpoint_values(train_dir):
    """Return all values of the latest checkpoint, {name: array}: variables, slots, global step."""
    reader = tf.train.NewCheckpointReader(tf.train.latest_checkpoint(str(train_dir)))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
