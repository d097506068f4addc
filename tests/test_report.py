import logging

import numpy as np
import tensorflow.compat.v1 as tf

from checkpoints import report, restoring
from checkpoints.sources import WeightSource


def make_plan(arrays, **names_and_shapes):
    """Return the plan for a net with these variables; the last one is excluded.

    Args:
        arrays: name -> value in the source.
        **names_and_shapes: variables of the net; '__' stands for the slash in names.
    """
    arrays = {name: np.asarray(value, np.float32) for name, value in arrays.items()}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    source = WeightSource('the_file', shapes, arrays.__getitem__)
    variables = [tf.get_variable(name.replace('__', '/'), initializer=tf.zeros(shape))
                 for name, shape in names_and_shapes.items()]
    return restoring.make_plan(source, variables, 'net', excluded=variables[-1:])


def test_the_table_lists_each_outcome_without_slots_averages_and_step(caplog):
    plan = make_plan(
        {'net/conv1/weights': [1, 2], 'net/conv1/weights/Momentum': [1, 2],
         'net/fc8/weights': [1, 2, 3], 'net/conv1/weights/ExponentialMovingAverage': [1, 2],
         'net/head/weights': [1], 'global_step': 7},
        net__conv1__weights=[2], net__head__weights=[3], net__block9__conv1x1__weights=[2, 5],
        net__block9__conv3x3__weights=[1, 5], net__block10__biases=[4])
    with caplog.at_level(logging.INFO, 'ssd'):
        report.log_restore_table(plan)
    assert [' '.join(line.split()) for line in caplog.messages] == [
        'starting from the_file',
        'variables parameters',
        'restored 1 2',
        'initial values: another shape 1 3 net/head/weights [1] in the checkpoint, [3] in the net',
        'initial values: not in the checkpoint 2 15 block9',
        'initial values: excluded 1 4 block10',
        'in the checkpoint, not used 1 3 fc8']


def test_the_table_of_an_import_says_what_is_left_out(caplog):
    plan = make_plan({'net/conv1/weights': [1, 2]}, net__conv1__weights=[2],
                     net__block9__weights=[2, 5], net__last__weights=[1])
    with caplog.at_level(logging.INFO, 'ssd'):
        report.log_restore_table(plan, 'importing', 'left out')
    assert caplog.messages[0] == 'importing the_file'
    assert caplog.messages[3].split() == ['left', 'out:', 'not', 'in', 'the',
                                          'checkpoint', '1', '10', 'block9']


def test_restored_class_layers_without_a_configuration_are_pointed_out(caplog):
    plan = make_plan({'net/a_box/conv_cls/weights': [1, 2]},
                     net__a_box__conv_cls__weights=[2], net__last__weights=[1])
    with caplog.at_level(logging.INFO, 'ssd'):
        report.log_restore_table(plan)
    assert 'the checkpoint has no config.json: make sure that' in caplog.messages[-1]


def test_layers_without_restored_moments_are_named(caplog):
    plan = make_plan(
        {'net/conv1/BatchNorm/moving_mean': [1.]}, net__conv1__BatchNorm__moving_mean=[1],
        net__block9__BatchNorm__moving_mean=[1], net__last__weights=[1])
    with caplog.at_level(logging.INFO, 'ssd'):
        report.log_unrestored_moments(plan)
    assert caplog.messages == [
        '  frozen batch norm without restored moments is only a scale and shift, in 1 layer: '
        'block9']


def test_long_rows_are_shortened(caplog):
    plan = make_plan({f'layer{i}/weights': [1.] for i in range(9)}, net__conv1__weights=[2])
    with caplog.at_level(logging.INFO, 'ssd'):
        report.log_restore_table(plan)
    assert caplog.messages[-1].endswith(
        'layer0, layer1, layer2, layer3, layer4, layer5 and 3 more')
