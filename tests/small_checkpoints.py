"""Checkpoints of one variable, for tests that handle checkpoint files."""
import json

import tensorflow.compat.v1 as tf


def write_checkpoints(folder, *steps, **flags):
    """Write `model.ckpt-<step>` for each step, and a configuration with these flags.

    Each checkpoint holds one variable, `value`: its step, float32.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps({'model': {}, 'flags': flags}))
    with tf.Graph().as_default(), tf.Session() as session:
        value = tf.get_variable('value', [])
        saver = tf.train.Saver(max_to_keep=100)
        for step in steps:
            value.load(step, session)
            saver.save(session, str(folder / 'model.ckpt'), global_step=step)
    return folder


def delete_checkpoint(folder, step):
    """Delete all files of a checkpoint, as a Saver does."""
    for path in folder.glob(f'model.ckpt-{step}.*'):
        path.unlink()


def listed_value(folder):
    """Return the value in the latest checkpoint of the folder's checkpoint list."""
    return float(tf.train.load_checkpoint(str(folder)).get_tensor('value'))
