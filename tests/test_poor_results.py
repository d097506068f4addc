import json

import numpy as np
import pytest

from checkpoints.trained_model import Model
from nets import nets_factory
from run_folder import poor_results

LARGE, TINY = [.2, .2, .8, .8], [.5, .5, .51, .51]
TRAINED = {'checkpoint_path': 'vgg_16.ckpt', 'optimizer': 'momentum'}


def make_result(mean_ap, found):
    return {'mAP': {'VOC07': mean_ap}, 'confusion': {'found': found, 'min_score': .5}}


@pytest.mark.parametrize('mean_ap, found, expected', [
    (.04, 3, True), (.05, 3, False), (.3, 0, True)])
def test_is_poor(mean_ap, found, expected):
    assert poor_results.is_poor(make_result(mean_ap, found)) == expected


def reasons(folder, flags, step=5000, net='ssd_300_vgg', max_score=.9, boxes=(LARGE,)):
    """Return the lines for a checkpoint of a run with these flags."""
    if flags is not None:
        (folder / 'config.json').write_text(json.dumps({'model': {}, 'flags': flags}))
    model = Model(f'{folder}/model.ckpt-{step}', nets_factory.get_params(net), ['cat'])
    return poor_results.likely_reasons(
        model, make_result(0., 0), max_score, np.float32(boxes).reshape(-1, 4))


def test_no_reason(tmp_path):
    for flags in (None, {}, TRAINED):   # no configuration, an imported detector, a training
        line, = reasons(tmp_path, flags)
        assert line.startswith('no likely reason of this result was found (checked: ')


def test_few_steps(tmp_path):
    assert reasons(tmp_path, TRAINED, step=999) == [
        'likely reasons of this result:',
        '  - the checkpoint was trained for 999 steps only: train longer']
    assert len(reasons(tmp_path, {}, step=0)) == 1   # imported


@pytest.mark.parametrize('net, optimizer, advice', [
    ('ssd_300_vgg', 'adam', 'pass pretrained weights as --checkpoint_path'),
    ('ssd_300_mobilenet_v1', 'momentum',
     'pass pretrained weights as --checkpoint_path, or train with --recipe=strong'),
    ('ssd_300_mobilenet_v1', 'adam', 'pass pretrained weights as --checkpoint_path')])
def test_random_weights(tmp_path, net, optimizer, advice):
    flags = {'checkpoint_path': None, 'optimizer': optimizer}
    assert reasons(tmp_path, flags, net=net)[1:] == [
        f'  - {net} was trained from random weights: {advice}']


def test_low_scores(tmp_path):
    assert len(reasons(tmp_path, TRAINED, max_score=.5)) == 1
    line, = reasons(tmp_path, TRAINED, max_score=.31)[1:]
    assert line == ('  - the highest score is 0.310, and the error analysis counts detections from '
                    '--min_score=0.5 on: the net is not trained enough, or pass a smaller '
                    '--min_score')


def test_objects_without_anchors(tmp_path):
    """Boxes of 3 of 300 pixels overlap no anchor by more than 0.5: the smallest has 30 pixels."""
    assert len(reasons(tmp_path, TRAINED, boxes=[LARGE] * 3 + [TINY])) == 1   # a quarter
    line, = reasons(tmp_path, TRAINED, boxes=[LARGE] * 2 + [TINY])[1:]
    assert line == ('  - 33% of the objects overlap no anchor by more than 0.5, so they are hardly '
                    'learned: propose anchors with fit_anchors.py')
    assert len(reasons(tmp_path, TRAINED, boxes=[])) == 1
