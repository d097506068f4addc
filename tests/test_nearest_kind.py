import pytest

from checkpoints import kind, kinds, nearest_kind
from checkpoints.sources import WeightSource


def make_source(names):
    return WeightSource('a file', {name: [1] for name in names}, None)


def expected_names(title):
    return kind.expected_names(next(row for row in kinds.KINDS if row.title == title))


def test_a_file_of_no_kind_gets_all_kinds():
    text = nearest_kind.explain(make_source(['layer1.weight', 'layer1.bias', 'a', 'b']))
    assert text.startswith('its names, such as layer1.weight, layer1.bias, a and 1 more, are of no')
    assert "torchvision's ssd300_vgg16, lufficc's SSD512, lufficc's SSD300, amdegroot's" in text


def test_the_nearest_kind_and_what_differs():
    names = expected_names("amdegroot's SSD300") - {'L2Norm.weight'} | {'norm.weight'}
    text = nearest_kind.explain(make_source(names))
    # 13 + 2 convolutions, 8 of extra layers, 12 of predictions, and the scale.
    assert text.startswith("it is of no known kind of weights. The nearest is amdegroot's SSD300, "
                           'of which it holds 35 of 36 names: it lacks L2Norm.weight and it has '
                           'norm.weight. Known are checkpoints of this project, and')


@pytest.mark.parametrize('names, message', [
    (['layer.weight'], 'a file cannot be used: its names, such as layer.weight, are of no known'),
    (['block1_conv1/kernel'], "a file holds Keras's VGG16, but not a complete detector. Pass as "
                              '--model_name one of ssd_300_vgg, ssd_512_vgg'),
    (['resnet_v1_50/conv1/weights'],
     'a file does not tell which net it is of. Pass --model_name=ssd_300_resnet_50'),
    (['ssd_300_vgg/conv1/conv1_1/weights'],
     'a file does not tell which net it is of. Pass --model_name=ssd_300_vgg')])
def test_weights_without_a_net_name_those_that_fit(names, message):
    assert nearest_kind.explain_unknown_net(make_source(names)).startswith(message)


def test_no_file_has_the_signature_of_two_kinds_of_detectors():
    for row in kinds.KINDS:
        if row.is_detector:
            source = make_source(kind.expected_names(row) | set(row.signature))
            assert kinds.identify(source).title == row.title
