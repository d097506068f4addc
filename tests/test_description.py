import json

import detector_references
import numpy as np
import pytest

from checkpoints import description
from common.errors import UserError
from nets import nets_factory


@pytest.fixture
def ssd300(tmp_path):
    """A file of amdegroot's SSD300 with 21 classes."""
    path = tmp_path / 'ssd300.npz'
    np.savez(path, **detector_references.load('amdegroot_ssd300').weights)
    return str(path)


def test_detector_of_another_program(ssd300):
    source, known = description.describe_weights(ssd300)
    assert source.path == ssd300 and len(source.shapes) == 71
    assert known['model_name'] == 'ssd_300_vgg' and known['num_classes'] == 21
    assert known['class_names'][14] == 'person' and known['anchor_preset'].endswith(' clip')


def test_config_beside_another_programs_file_does_not_describe_it(ssd300, tmp_path):
    model = {'model_name': 'ssd_512_vgg', 'anchor_preset': 'voc', 'class_names': ['cat']}
    (tmp_path / 'config.json').write_text(json.dumps({'model': model, 'flags': {}}))
    assert description.describe_weights(ssd300)[1]['model_name'] == 'ssd_300_vgg'


@pytest.mark.parametrize('names, known', [
    (['conv1.weight', 'layer3.5.conv3.weight'],
     {'backbone': 'resnet_v1_50', 'net': {'stride_unit': 'first', 'padding': 'symmetric'}}),
    (['features.1.conv.0.0.weight', 'features.18.0.weight'],
     {'backbone': 'mobilenet_v2', 'net': {'padding': 'symmetric'}}),
    (['features.16.0.weight', 'features.15.block.2.fc1.weight'],
     {'backbone': 'mobilenet_v3_large', 'net': {'padding': 'symmetric'}}),
    (['conv_dw_1/kernel'], {'backbone': 'mobilenet_v1', 'net': {}}),
    # An incomplete detector; its scores and its extra blocks mean nothing in another net.
    (['base_net.13.3.weight', 'extras.0.2.weight', 'classification_headers.0.weight'],
     {'backbone': 'mobilenet_v1', 'net': {'padding': 'symmetric', 'activation': 'relu',
                                          'mean': [127.] * 3, 'scale': 1 / 128}}),
    (['conv1'], {})])
def test_backbones_and_incomplete_detectors_tell_fields_of_the_backbone(tmp_path, names, known):
    np.savez(tmp_path / 'w.npz', **{name: np.ones((1, 1, 1, 1), np.float32) for name in names})
    assert description.describe_weights(str(tmp_path / 'w.npz'))[1] == known


def test_detector_with_anchors_of_its_own(ssd300, tmp_path):
    weights = dict(np.load(ssd300))
    for name, size in (('loc.5', 4), ('conf.5', 21)):   # three instead of four anchors
        for part in ('weight', 'bias'):
            weights[f'{name}.{part}'] = weights[f'{name}.{part}'][:3 * size]
    path = str(tmp_path / 'own.npz')
    np.savez(path, **weights)
    with pytest.raises(UserError, match=r'not \[4, 6, 6, 6, 4, 4\] of .* as --anchor_preset'):
        description.describe_weights(path)
    words = '30,60 60,111 111,162 162,213 213,264 264'
    assert description.describe_weights(path, words)[1]['anchor_preset'] == words


def test_flags_complete_what_is_known_and_must_not_contradict_it(ssd300):
    source, known = description.describe_weights(ssd300)
    with pytest.raises(UserError, match='was trained with the anchors .* not coco. Leave out'):
        description.with_flags(source, known, anchor_preset='coco')
    # VOC's classes are assumed, because there are 20; the file itself has no names.
    assert description.with_flags(source, known, class_names=['cat'], model_name='') == {
        **known, 'class_names': ['cat']}
    del known['class_names']   # of another number of classes, for which the anchors are assumed
    assert description.with_flags(source, known, anchor_preset='coco')['anchor_preset'] == 'coco'


def test_config_of_a_net():
    params = nets_factory.get_params('ssd_300_vgg', 'coco')
    assert description.model_config(params, 3, ['cat', 'dog']) == {
        'model_name': 'ssd_300_vgg', 'anchor_preset': 'coco', 'num_classes': 3,
        'class_names': ['cat', 'dog']}
    assert description.model_config(params._replace(scores='sigmoid'), 3, None) == {
        'model_name': 'ssd_300_vgg', 'net': {'scores': 'sigmoid'}, 'anchor_preset': 'coco',
        'num_classes': 3}
    assert description.model_config(params._replace(padding='symmetric'), anchors_known=False) == {
        'model_name': 'ssd_300_vgg', 'net': {'padding': 'symmetric'}}
