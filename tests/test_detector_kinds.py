"""Detectors of other programs in our nets: anchors, logits and offsets of the original programs."""
import detector_references
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from checkpoints import kinds, restoring
from checkpoints.sources import WeightSource
from nets import anchors, nets_factory, ssd

# Name in `detector_references` -> the net in our table, and the fields in which it differs.
_MEAN_AND_SCALE = {'mean', 'scale'}
NETS = {
    'torchvision_ssd300_vgg16': ('ssd_300_vgg', {'mean'}),
    'torchvision_ssdlite320_mobilenet_v3_large': (
        'ssdlite_320_mobilenet_v3_large', {'padding'}),
    'lufficc_vgg_ssd300': ('ssd_300_vgg', set()),
    'lufficc_vgg_ssd512': ('ssd_512_vgg', set()),
    'lufficc_mobilenet_v2_ssd320': (
        'ssdlite_300_mobilenet_v2', {'image_size', 'padding', 'linear_extra', 'extra_blocks',
                                     'feat_layers', 'heads', *_MEAN_AND_SCALE}),
    'amdegroot_ssd300': ('ssd_300_vgg', set()),
    'qfgaohao_vgg16_ssd': ('ssd_300_vgg', {'normalizations'}),
    'qfgaohao_mobilenet_v1_ssd': (
        'ssd_300_mobilenet_v1', {'padding', 'activation', 'extra_blocks', *_MEAN_AND_SCALE}),
    'qfgaohao_mb2_ssd_lite': (
        'ssdlite_300_mobilenet_v2', {'padding', 'linear_extra', 'extra_blocks', 'heads',
                                     *_MEAN_AND_SCALE}),
    'pierluigiferrari_ssd300': ('ssd_300_vgg', set()),
    'hikapok_ssd300': ('ssd_300_vgg', {'mean', 'extra_blocks'}),
    'chuanqi_mobilenet_ssd': (
        'ssd_300_mobilenet_v1', {'padding', 'activation', 'heads', 'scale'}),
    'odapi_ssd_mobilenet_v1': (
        'ssd_300_mobilenet_v1', {'extra_activation', 'extra_blocks', 'heads', 'scores'}),
    'odapi_ssd_mobilenet_v2': ('ssd_300_mobilenet_v2', {'separable_extra', 'scores'}),
    'odapi_ssd_mobilenet_v2_full_extras': ('ssd_300_mobilenet_v2', {'scores'}),
    'odapi_ssdlite_mobilenet_v2': ('ssdlite_300_mobilenet_v2', {'scores'})}


def make_source(arrays):
    shapes = {name: list(np.shape(array)) for name, array in arrays.items()}
    return WeightSource('a file', shapes, arrays.__getitem__)


def run(source, description, image):
    """Return logits [A, C] and offsets [A, 4] of our net with the weights of a file."""
    params = description.params
    predictions = ssd.build(ssd.normalize(image[np.newaxis], params), params,
                            description.num_classes, is_training=False)
    plan = restoring.make_plan(source, tf.model_variables(), params.name, params=params)
    restoring.check_plan(plan, params.name, ignore_missing=False)
    assert not plan.not_restored and len(plan.values) == len(tf.model_variables())
    with tf.Session() as session:   # no variable needs its initializer
        restoring.make_init_fn(plan)(session)
        return session.run([predictions.logits[0], predictions.offsets[0]])


@pytest.mark.parametrize('name', NETS)
def test_a_loaded_detector_gives_the_outputs_of_its_program(name):
    reference = detector_references.load(name)
    source = make_source(reference.weights)
    description = kinds.describe(source)
    params = description.params
    assert (description.model_name, set(nets_factory.differences_from_table(params))) == NETS[name]
    assert description.complete and params.scores == reference.kind.scores
    assert description.class_names[0] == {'voc': 'aeroplane', 'coco': 'person'}[
        reference.kind.classes]
    assert len(description.class_names) + 1 == description.num_classes
    # The order of the anchors is that of the file, so that no output is permuted.
    np.testing.assert_allclose(anchors.net_anchors(params), reference.anchors, atol=1e-5)
    logits, offsets = run(source, description, reference.image)
    detector_references.assert_equal_outputs(reference, anchors.net_anchors(params), logits,
                                             offsets)


@pytest.mark.parametrize('name', NETS)
def test_a_described_net_is_rebuilt_from_what_a_checkpoint_keeps(name):
    """The configuration beside a checkpoint holds differences and anchors as JSON."""
    layout = detector_references.reference_weights.read_layout(name)
    source = WeightSource('a file', {key: list(shape) for key, shape in layout.items()}, None)
    params = kinds.describe(source).params
    rebuilt = nets_factory.get_params(params.name, params.anchor_preset,
                                      nets_factory.differences_from_table(params))
    assert rebuilt == params
