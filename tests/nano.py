"""A small net that nobody has trained, but that finds something else in every picture."""
import json

import numpy as np
import tensorflow.compat.v1 as tf

from nets import nets_factory
from run_folder import trained_model

NAME = 'ssd_160_mobilenet_v1_025'
_GAMMA = 3.5   # random weights fade from layer to layer; this keeps logits at about 4


def write_checkpoint(folder, class_names):
    """A checkpoint with its configuration in a folder; returns the folder."""
    with tf.Graph().as_default(), tf.Session() as session:
        model = trained_model.Model('', nets_factory.get_params(NAME), list(class_names))
        trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), model)
        session.run(tf.global_variables_initializer())
        for variable in tf.model_variables():
            if variable.op.name.endswith('/gamma'):
                variable.load(np.full(variable.shape.as_list(), _GAMMA, np.float32), session)
        tf.train.Saver(tf.model_variables()).save(session, str(folder / 'model.ckpt'), global_step=1)
    (folder / 'config.json').write_text(json.dumps({'flags': {}, 'model': {
        'model_name': NAME, 'anchor_preset': 'voc', 'class_names': list(class_names)}}))
    return folder


def images(count):
    """Coloured squares, another lot in each picture: [count, 160, 160, 3] uint8."""
    return np.random.RandomState(0).randint(0, 256, [count, 20, 20, 3], np.uint8).repeat(8, 1).repeat(8, 2)
