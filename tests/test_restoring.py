import caffe_writer
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from checkpoints import kinds, restoring, sources
from checkpoints.sources import WeightSource
from common.errors import UserError
from nets import nets_factory, ssd
from run_folder.saved_checkpoints import MOVING_AVERAGE_SUFFIX


def make_source(arrays):
    """Return a `WeightSource` of name -> value."""
    arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    return WeightSource('the_file', shapes, arrays.__getitem__)


def make_variables(*names_and_shapes):
    return [tf.get_variable(name, initializer=tf.zeros(shape)) for name, shape in names_and_shapes]


def make_net(scope='net'):
    """Create a net of two variables, of shapes [2] and [3]."""
    return make_variables((f'{scope}/conv1/weights', [2]),
                          (f'{scope}/block4_box/conv_cls/weights', [3]))


def build(net_name, num_classes):
    """Build a real net and return its variables."""
    params = nets_factory.get_params(net_name)
    images = tf.zeros([1, params.image_size, params.image_size, 3])
    ssd.build(images, params, num_classes, is_training=False)
    return tf.model_variables()


def source_of_net(net_name, num_classes):
    """Return a `WeightSource` of zeros with the variables of a real net."""
    with tf.Graph().as_default():
        variables = build(net_name, num_classes)
        return make_source({v.op.name: np.zeros(v.shape.as_list()) for v in variables})


def names_not_restored(plan, reason):
    return [variable.op.name for variable, _ in plan.not_restored[reason]]


def test_variables_are_found_by_name():
    source = make_source({'net/conv1/weights': [1, 2], 'global_step': 5})
    plan = restoring.make_plan(source, make_net(), 'net')
    assert {name: value.tolist() for name, value in plan.values.items()} == {
        'net/conv1/weights': [1, 2]}
    (variable, source_shape), = plan.not_restored[restoring.MISSING]
    assert variable.op.name == 'net/block4_box/conv_cls/weights' and source_shape is None


def test_a_variable_of_another_shape_is_not_restored():
    source = make_source({
        'net/conv1/weights': [1, 2], 'net/block4_box/conv_cls/weights': [1, 2, 3, 4]})
    plan = restoring.make_plan(source, make_net(), 'net')
    (variable, source_shape), = plan.not_restored[restoring.SHAPE_MISMATCH]
    assert variable.op.name == 'net/block4_box/conv_cls/weights' and source_shape == [4]
    assert len(plan.values) == 1


def test_excluded_variables_are_not_restored():
    variables = make_net()
    source = make_source({
        'net/conv1/weights': [1, 2], 'net/block4_box/conv_cls/weights': [1, 2, 3]})
    plan = restoring.make_plan(source, variables, 'net', excluded=variables[:1])
    assert list(plan.values) == ['net/block4_box/conv_cls/weights']
    assert plan.not_restored == {restoring.EXCLUDED: [(variables[0], None)]}


def test_moving_averages_are_restored_on_request():
    source = make_source({
        'net/conv1/weights': [1, 2], f'net/conv1/weights{MOVING_AVERAGE_SUFFIX}': [3, 4],
        'net/block4_box/conv_cls/weights': [5, 6, 7]})
    variables = make_net()
    plan = restoring.make_plan(source, variables, 'net')
    assert plan.values['net/conv1/weights'].tolist() == [1, 2]
    plan = restoring.make_plan(source, variables, 'net', use_averages=True)
    # The second variable has no average, as the moments of batch norm.
    assert [value.tolist() for value in plan.values.values()] == [[3, 4], [5, 6, 7]]
    with pytest.raises(UserError, match='the_file holds no moving averages'):
        restoring.make_plan(
            make_source({'net/conv1/weights': [1, 2]}), variables, 'net', use_averages=True)


@pytest.mark.parametrize('source_scope, model_scope', [('mine', 'mine'), ('ssd_300_vgg', None)])
def test_variables_are_found_in_another_scope_and_in_another_net(source_scope, model_scope):
    source = make_source({f'{source_scope}/conv1/weights': [1, 2],
                          f'{source_scope}/block4_box/conv_cls/weights': [1, 2, 3]})
    plan = restoring.make_plan(source, make_net('ssd_512_vgg'), 'ssd_512_vgg',
                               model_scope=model_scope)
    assert len(plan.values) == 2 and not plan.not_restored
    restoring.check_plan(plan, 'ssd_512_vgg', ignore_missing=False)


def test_an_incomplete_checkpoint_of_the_same_net_needs_ignore_missing():
    source = make_source({'net/block4_box/conv_cls/weights': [1, 2, 3]})
    plan = restoring.make_plan(source, make_net(), 'net')
    message = 'lacks 1 variables of this net, such as net/conv1/weights. .*ignore_missing'
    with pytest.raises(UserError, match=message):
        restoring.check_plan(plan, 'net', ignore_missing=False)
    restoring.check_plan(plan, 'net', ignore_missing=True)


def test_a_backbone_may_lack_the_other_layers():
    plan = restoring.make_plan(make_source({'net/conv1/weights': [1, 2]}), make_net(), 'net')
    restoring.check_plan(plan, 'net', ignore_missing=False)


@pytest.mark.parametrize('arrays, message', [
    ({'vgg_16/conv1/weights': [1, 2]},
     'does not fit net: the net has net/conv1/weights, and the most similar names .* are '
     'vgg_16/conv1/weights. Pass --checkpoint_model_scope to map net/'),
    ({}, 'its names, such as none, are of no known kind of weights. Known are checkpoints of'),
    ({'net/conv1/weights': [1, 2, 3]},
     r'that of net/conv1/weights: \[3\] in the checkpoint, \[2\] in the net')])
def test_a_source_without_any_matching_variable_is_rejected(arrays, message):
    plan = restoring.make_plan(make_source(arrays), make_net(), 'net')
    with pytest.raises(UserError, match=message):
        restoring.check_plan(plan, 'net', ignore_missing=True)


def test_the_error_for_another_width_of_mobilenet_v2_names_the_nets_of_this_width():
    variables = make_variables(('MobilenetV2/Conv/weights', [3, 3, 3, 16]),
                               ('MobilenetV2/expanded_conv_16/project/weights', [1, 1, 672, 112]))
    source = make_source({'MobilenetV2/Conv/weights': np.zeros([3, 3, 3, 16]),   # as for 0.35
                          'MobilenetV2/expanded_conv_16/project/weights':
                              np.zeros([1, 1, 960, 160])})
    plan = restoring.make_plan(source, variables, 'ssd_300_mobilenet_v2_035')
    with pytest.raises(UserError, match=r'project/weights: \[1, 1, 960, 160\] in the checkpoint, '
                                        r'\[1, 1, 672, 112\] in the net; nets of this width: '
                                        r'ssd_300_mobilenet_v2_050, ssdlite_300_mobilenet_v2_050$'):
        restoring.check_plan(plan, 'ssd_300_mobilenet_v2_035', ignore_missing=True)


def test_a_checkpoint_of_another_net_names_this_net():
    source = make_source({'ssd_512_vgg/conv9/weights': [1, 2]})
    plan = restoring.make_plan(source, make_net(), 'net')
    with pytest.raises(UserError, match='it holds ssd_512_vgg. Pass --model_name=ssd_512_vgg'):
        restoring.check_plan(plan, 'net', ignore_missing=True)


def test_the_error_for_another_width_names_the_nets_of_this_width():
    variables = make_variables(('MobilenetV1/Conv2d_0/weights', [3, 3, 3, 8]))
    source = make_source({'conv_dw_1/kernel': [1], 'conv1/kernel': np.zeros([3, 3, 3, 24])})
    plan = restoring.make_plan(source, variables, 'ssd_160_mobilenet_v1_025')
    with pytest.raises(UserError, match='nets of this width: ssd_300_mobilenet_v1_075'):
        restoring.check_plan(plan, 'ssd_160_mobilenet_v1_025', ignore_missing=False)


def test_weights_of_another_backbone_are_rejected():
    source = make_source({'vgg_16/conv1/conv1_1/weights': [1]})
    message = "the_file holds tf-slim's vgg_16, but the backbone of ssd_300_mobil"
    with pytest.raises(UserError, match=message):
        restoring.make_plan(source, [], 'ssd_300_mobilenet_v1')


def test_the_init_fn_assigns_the_planned_values():
    variables = make_net()
    plan = restoring.make_plan(make_source({'net/conv1/weights': [1, 2]}), variables, 'net')
    init_fn = restoring.make_init_fn(plan)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        init_fn(session)
        assert [value.tolist() for value in session.run(variables)] == [[1, 2], [0, 0, 0]]


def write_public_checkpoint(names_and_shapes, path):
    """Write a TensorFlow checkpoint; the value of each variable is its index in the list."""
    with tf.Graph().as_default(), tf.Session() as session:
        for index, (name, shape) in enumerate(names_and_shapes):
            tf.get_variable(name, initializer=tf.fill(shape, float(index)))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, path, write_meta_graph=False)


@pytest.mark.parametrize('num_classes, num_class_variables', [(21, 0), (4, 12)])
def test_a_public_detector_is_restored_except_for_other_classes(
        shared, tmp_path, num_classes, num_class_variables):
    lines = (shared / 'fixtures/variables/ssd_300_vgg.txt').read_text().splitlines()
    names_and_shapes = [
        (name, [int(size) for size in shape.strip('[]').split(',')])
        for name, shape in (line.split(' ', 1) for line in lines)]
    write_public_checkpoint(names_and_shapes, str(tmp_path / 'public.ckpt'))
    source = sources.open_source(str(tmp_path / 'public.ckpt'))
    assert restoring.count_classes(source, nets_factory.get_params('ssd_300_vgg')) == 21
    plan = restoring.make_plan(source, build('ssd_300_vgg', num_classes), 'ssd_300_vgg')
    restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=False)
    mismatched = [v.op.name for v, _ in plan.not_restored.pop(restoring.SHAPE_MISMATCH, [])]
    assert not plan.not_restored
    assert len(plan.values) == 71 - num_class_variables
    assert len(mismatched) == num_class_variables
    assert all('/conv_cls/' in name for name in mismatched)
    for index, (name, _) in enumerate(names_and_shapes):
        assert name in mismatched or np.all(plan.values[name] == index)


def test_ssd512_is_restored_from_ssd300():
    source = source_of_net('ssd_300_vgg', 21)
    plan = restoring.make_plan(source, build('ssd_512_vgg', 21), 'ssd_512_vgg')
    restoring.check_plan(plan, 'ssd_512_vgg', ignore_missing=False)

    def blocks(reason):
        return {name.split('/')[1] for name in names_not_restored(plan, reason)}
    # block10_box has six instead of four anchors per cell; block12 is new.
    assert blocks(restoring.SHAPE_MISMATCH) == {'block10_box'}
    assert blocks(restoring.MISSING) == {'block12', 'block12_box'}


def test_class_convolutions_of_other_anchors_are_not_restored_if_shapes_match():
    """4 anchors of 3 classes and 6 anchors of 2 classes are both 12 channels of block10_box."""
    source = source_of_net('ssd_300_vgg', 3)
    plan = restoring.make_plan(source, build('ssd_512_vgg', 2), 'ssd_512_vgg')
    assert not any('block10_box' in name or 'conv_cls' in name for name in plan.values)


def test_only_layers_with_another_number_of_anchors_are_dropped():
    """Layer a had 3 anchors of 4 classes and has 4 anchors of 3 classes: 12 channels both."""
    source = make_source({
        'net/conv1/weights': [1, 2],
        'net/a_box/conv_loc/biases': np.zeros(3 * 4), 'net/a_box/conv_cls/weights': np.zeros(12),
        'net/a_box/conv_cls/biases': np.zeros(12),
        'net/b_box/conv_loc/biases': np.ones(4), 'net/b_box/conv_cls/biases': np.ones(3)})
    variables = make_variables(
        ('net/conv1/weights', [2]), ('net/a_box/conv_loc/biases', [4 * 4]),
        ('net/a_box/conv_cls/weights', [12]), ('net/a_box/conv_cls/biases', [12]),
        ('net/b_box/conv_loc/biases', [4]), ('net/b_box/conv_cls/biases', [3]))
    plan = restoring.make_plan(source, variables, 'net')
    assert list(plan.values) == [
        'net/conv1/weights', 'net/b_box/conv_loc/biases', 'net/b_box/conv_cls/biases']
    assert names_not_restored(plan, restoring.ANCHOR_MISMATCH) == [
        'net/a_box/conv_cls/weights', 'net/a_box/conv_cls/biases']


@pytest.mark.parametrize('num_anchors, num_classes', [(3, 4), (4, 3)])
def test_count_classes(num_anchors, num_classes):
    params = nets_factory.get_params('ssd_300_vgg')
    source = make_source({
        'ssd_300_vgg/block4_box/conv_cls/biases': np.zeros(12),
        'ssd_300_vgg/block4_box/conv_loc/biases': np.zeros(4 * num_anchors)})
    assert restoring.count_classes(source, params) == num_classes
    assert restoring.count_classes(make_source({'vgg_16/conv1/weights': [1]}), params) == 0


def test_another_width_is_rejected_although_some_biases_match():
    source = source_of_net('ssd_300_mobilenet_v1', 4)
    variables = build('ssd_300_mobilenet_v1_075', 4)
    plan = restoring.make_plan(source, variables, 'ssd_300_mobilenet_v1_075')
    assert not plan.values
    assert len(plan.not_restored[restoring.WEIGHTS_NOT_RESTORED]) == 12
    message = (r'\[3, 3, 3, 32\] in the checkpoint, .* in the net; '
               r'nets of this width: ssd_300_mobilenet_v1')
    with pytest.raises(UserError, match=message):
        restoring.check_plan(plan, 'ssd_300_mobilenet_v1_075', ignore_missing=True)


def torchvision_vgg(repeats):
    """Return the convolutions of a VGG of torchvision, zeros, with this many layers per block."""
    arrays, position, depth = {}, 0, 3
    for num_layers, num_outputs in zip(repeats, (64, 128, 256, 512, 512), strict=True):
        for _ in range(num_layers):
            arrays |= {f'features.{position}.weight': np.zeros([num_outputs, depth, 3, 3]),
                       f'features.{position}.bias': np.zeros(num_outputs)}
            position, depth = position + 2, num_outputs   # a ReLU follows each convolution
        position += 1   # pooling
    return make_source(arrays)


def test_vgg16_of_torchvision_is_restored_and_vgg19_is_rejected():
    variables = build('ssd_300_vgg', 21)
    plan = restoring.make_plan(torchvision_vgg((2, 2, 3, 3, 3)), variables, 'ssd_300_vgg')
    restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=False)
    assert len(plan.values) == 26
    with pytest.raises(UserError, match='is of a deeper net: it holds features.34.weight. Use'):
        restoring.make_plan(torchvision_vgg((2, 2, 4, 4, 4)), variables, 'ssd_300_vgg')


def test_an_incomplete_backbone_is_rejected():
    source = torchvision_vgg((2, 2, 3, 3, 3))
    del source.shapes['features.5.weight']
    variables = build('ssd_300_vgg', 21)
    plan = restoring.make_plan(source, variables, 'ssd_300_vgg')
    message = "torchvision's vgg16, but 1 of its variables, such as .*conv2/conv2_1/weights, are"
    with pytest.raises(UserError, match=message):
        restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=False)
    restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=True)
    excluded = [v for v in variables if '/conv2_1/' in v.op.name]
    plan = restoring.make_plan(source, variables, 'ssd_300_vgg', excluded)
    restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=False)


def test_half_a_backbone_with_our_names_is_rejected():
    source = source_of_net('ssd_300_mobilenet_v1_025', 3)
    name = 'MobilenetV1/Conv2d_7_depthwise/depthwise_weights'
    names = [name for name in source.shapes if name.startswith('MobilenetV1/')]   # no detector
    shapes = {name: source.shapes[name] for name in names}
    variables = build('ssd_300_mobilenet_v1_025', 3)

    def check(shapes, ignore_missing=False):
        half = WeightSource('the_file', shapes, source.read)
        plan = restoring.make_plan(half, variables, 'ssd_300_mobilenet_v1_025')
        restoring.check_plan(plan, 'ssd_300_mobilenet_v1_025', ignore_missing)
        return len(plan.values)
    assert check(shapes) == 27 * 5
    del shapes[name]
    with pytest.raises(UserError, match=f'lacks 1 variables of this net, such as {name}. Pass'):
        check(shapes)
    assert check(shapes, ignore_missing=True) == 27 * 5 - 1


def test_non_finite_values_are_not_restored():
    source = make_source({
        'net/conv1/weights': [1, np.nan], 'net/block4_box/conv_cls/weights': [1, 2, 3]})
    plan = restoring.make_plan(source, make_net(), 'net')
    assert names_not_restored(plan, restoring.NOT_FINITE) == ['net/conv1/weights']


def test_our_names_take_precedence_over_public_formats():
    source = make_source({
        'ssd_300_vgg/conv1/weights': [1, 2], 'vgg_16/conv1/conv1_1/weights': [1]})
    plan = restoring.make_plan(source, make_net('ssd_300_vgg'), 'ssd_300_vgg')
    assert plan.kind is None and list(plan.values) == ['ssd_300_vgg/conv1/weights']


def test_an_incomplete_checkpoint_with_moving_averages_is_rejected():
    source = make_source({
        'net/block4_box/conv_cls/weights': [1, 2, 3],
        f'net/block4_box/conv_cls/weights{MOVING_AVERAGE_SUFFIX}': [4, 5, 6]})
    plan = restoring.make_plan(source, make_net(), 'net', use_averages=True)
    assert plan.values['net/block4_box/conv_cls/weights'].tolist() == [4, 5, 6]
    with pytest.raises(UserError, match='lacks 1 variables of this net'):
        restoring.check_plan(plan, 'net', ignore_missing=False)


def test_excluding_all_variables_is_rejected():
    variables = make_net()
    source = make_source({'net/conv1/weights': [1, 2]})
    plan = restoring.make_plan(source, variables, 'net', excluded=variables)
    with pytest.raises(UserError, match='all variables are excluded'):
        restoring.check_plan(plan, 'net', ignore_missing=False)


def write_caffe_detector(path, net_name, variables):
    """Write a .caffemodel with the names of the SSD authors.

    All values of a variable are its index in `variables`.
    """
    layers = {}   # Caffe layer -> blob index -> array
    for index, variable in enumerate(variables):
        our_name = variable.op.name.removeprefix(f'{net_name}/')
        our_layer, _, parameter = our_name.rpartition('/')
        layer = 'conv4_3_norm' if parameter == 'gamma' else caffe_layers(net_name)[our_layer]
        shape = variable.shape.as_list()
        if len(shape) == 4:
            shape = [shape[axis] for axis in (3, 2, 0, 1)]
        blobs = layers.setdefault(layer, {})
        blobs[1 if parameter == 'biases' else 0] = np.full(shape, index, np.float32)
    path.write_bytes(caffe_writer.net({
        layer: [blobs[n] for n in sorted(blobs)] for layer, blobs in layers.items()}))


def caffe_layers(net_name):
    """Return {our layer: Caffe layer} of a detector of the SSD authors."""
    return next(kind.layers for kind in kinds.KINDS if 'for Caffe' in kind.title
                and net_name in kind.nets.values())


@pytest.mark.parametrize('net_name', ['ssd_300_vgg', 'ssd_512_vgg'])
def test_a_detector_of_the_ssd_authors_is_restored_completely(net_name, tmp_path):
    variables = build(net_name, 21)
    write_caffe_detector(tmp_path / 'ssd.caffemodel', net_name, variables)
    source = sources.open_source(str(tmp_path / 'ssd.caffemodel'))
    assert restoring.count_classes(source, nets_factory.get_params(net_name)) == 21
    plan = restoring.make_plan(source, variables, net_name)
    assert plan.kind.title == f"the SSD authors' SSD{net_name[4:7]} for Caffe"
    assert not plan.not_restored and len(plan.values) == len(variables)
    kernel = plan.values[f'{net_name}/block7_box/conv_loc/weights']
    assert kernel.shape == (3, 3, 1024, 24) and kernel.max() == kernel.min() > 0
