import logging

import numpy as np
import tensorflow.compat.v1 as tf

from checkpoints import report, restoring
from checkpoints.sources import WeightSource


def plan_for(source, **names_and_shapes):
    """The plan for a net with these variables, the last one excluded; __ stands for the slash in names."""
    source = {name: np.asarray(value, np.float32) for name, value in source.items()}
    made = [tf.get_variable(name.replace('__', '/'), initializer=tf.zeros(shape))
            for name, shape in names_and_shapes.items()]
    return restoring.make_plan(WeightSource('the_file', {name: list(value.shape) for name, value in source.items()},
                                      source.__getitem__), made, 'net', made[-1:])


def test_the_table(caplog):
    plan = plan_for({'net/conv1/weights': [1, 2], 'net/conv1/weights/Momentum': [1, 2], 'net/fc8/weights': [1, 2, 3],
                     'net/conv1/weights/ExponentialMovingAverage': [1, 2], 'net/head/weights': [1], 'global_step': 7},
                    net__conv1__weights=[2], net__head__weights=[3], net__block9__conv1x1__weights=[2, 5],
                    net__block9__conv3x3__weights=[1, 5], net__block10__biases=[4])
    with caplog.at_level(logging.INFO, 'ssd'):
        report.log_restore_table(plan)
    assert [' '.join(line.split()) for line in caplog.messages] == [
        'starting from the_file',
        'variables parameters',
        'restored 1 2',
        'initial values: of another shape 1 3 net/head/weights [1] there, [3] here',
        'initial values: not in the checkpoint 2 15 block9',
        'initial values: excluded 1 4 block10',
        'in the checkpoint, not used 1 3 fc8']      # neither slots nor averages nor the step


def test_layers_whose_moments_are_not_restored_are_named(caplog):
    plan = plan_for({'net/conv1/BatchNorm/moving_mean': [1.]}, net__conv1__BatchNorm__moving_mean=[1],
                    net__block9__BatchNorm__moving_mean=[1], net__last__weights=[1])
    with caplog.at_level(logging.INFO, 'ssd'):
        report.log_unrestored_moments(plan)
    assert caplog.messages == ['  frozen batch norm is a plain scale and shift in the 1 layers whose moments are not '
                               'restored: block9']


def test_long_rows_are_cut(caplog):
    plan = plan_for({f'layer{i}/weights': [1.] for i in range(9)}, net__conv1__weights=[2])
    with caplog.at_level(logging.INFO, 'ssd'):
        report.log_restore_table(plan)
    assert caplog.messages[-1].endswith('layer0, layer1, layer2, layer3, layer4, layer5 and 3 more')
