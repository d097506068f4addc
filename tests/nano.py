"""A small net with random weights whose detections differ from image to image."""
import json

import numpy as np
import tensorflow.compat.v1 as tf

from checkpoints import trained_model
from nets import nets_factory

NAME = 'ssd_160_mobilenet_v1_025'
_GAMMA = 3.5   # random weights shrink the activations of each layer; this keeps logits at about 4


def write_checkpoint(folder, class_names):
    """Write a checkpoint and config.json to a folder (`pathlib.Path`); return the folder."""
    with tf.Graph().as_default(), tf.Session() as session:
        model = trained_model.Model('', nets_factory.get_params(NAME), list(class_names))
        trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), model)
        session.run(tf.global_variables_initializer())
        for variable in tf.model_variables():
            if variable.op.name.endswith('/gamma'):
                gamma = np.full(variable.shape.as_list(), _GAMMA, np.float32)
                variable.load(gamma, session)
        saver = tf.train.Saver(tf.model_variables())
        saver.save(session, str(folder / 'model.ckpt'), global_step=1)
    config = {'flags': {}, 'model': {
        'model_name': NAME, 'anchor_preset': 'voc', 'class_names': list(class_names)}}
    (folder / 'config.json').write_text(json.dumps(config))
    return folder


def images(count):
    """Return different images of random color squares: [count, 160, 160, 3] uint8."""
    squares = np.random.RandomState(0).randint(0, 256, [count, 20, 20, 3], np.uint8)
    return squares.repeat(8, 1).repeat(8, 2)
