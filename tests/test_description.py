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


def test_backbone_and_incomplete_detector_tell_nothing(ssd300, tmp_path):
    weights = dict(np.load(ssd300))
    del weights['loc.5.bias']
    np.savez(tmp_path / 'incomplete.npz', **weights)
    assert description.describe_weights(str(tmp_path / 'incomplete.npz'))[1] == {}


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
