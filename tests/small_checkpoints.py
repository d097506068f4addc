"""Checkpoints of one variable, for tests of what is done with files of checkpoints."""
import json

import tensorflow.compat.v1 as tf


def write_checkpoints(folder, *steps, **flags):
    """`model.ckpt-<step>` with the value of its step, and the configuration of a run with these flags."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'config.json').write_text(json.dumps({'model': {}, 'flags': flags}))
    with tf.Graph().as_default(), tf.Session() as session:
        value = tf.get_variable('value', [])
        saver = tf.train.Saver(max_to_keep=100)
        for step in steps:
            value.load(step, session)
            saver.save(session, str(folder / 'model.ckpt'), global_step=step)
    return folder


def delete(folder, step):
    """Deletes a checkpoint as a Saver does, index and all."""
    for path in folder.glob(f'model.ckpt-{step}.*'):
        path.unlink()


def value_in(folder):
    """The value of the checkpoint that a folder's list names."""
    return float(tf.train.load_checkpoint(str(folder)).get_tensor('value'))
