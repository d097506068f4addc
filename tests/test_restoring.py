import caffe_writer
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from checkpoints import weight_formats, restoring, sources
from checkpoints.sources import WeightSource
from common.errors import UserError
from nets import nets_factory, ssd
from run_folder.saved_checkpoints import MOVING_AVERAGE_SUFFIX


def source_of(arrays):
    arrays = {name: np.asarray(array, np.float32) for name, array in arrays.items()}
    return WeightSource('the_file', {name: list(array.shape) for name, array in arrays.items()}, arrays.__getitem__)


def variables(*names_and_shapes):
    return [tf.get_variable(name, initializer=tf.zeros(shape)) for name, shape in names_and_shapes]


def net(scope='net'):
    return variables((f'{scope}/conv1/weights', [2]), (f'{scope}/block4_box/conv_cls/weights', [3]))


def test_by_name():
    plan = restoring.make_plan(source_of({'net/conv1/weights': [1, 2], 'global_step': 5}), net(), 'net')
    assert {name: value.tolist() for name, value in plan.values.items()} == {'net/conv1/weights': [1, 2]}
    (missing, there), = plan.not_restored[restoring.MISSING]
    assert missing.op.name == 'net/block4_box/conv_cls/weights' and there is None


def test_another_shape_is_not_read():
    source = source_of({'net/conv1/weights': [1, 2], 'net/block4_box/conv_cls/weights': [1, 2, 3, 4]})
    plan = restoring.make_plan(source, net(), 'net')
    (other, there), = plan.not_restored[restoring.SHAPE_MISMATCH]
    assert other.op.name == 'net/block4_box/conv_cls/weights' and there == [4] and len(plan.values) == 1


def test_excluded():
    made = net()
    plan = restoring.make_plan(source_of({'net/conv1/weights': [1, 2], 'net/block4_box/conv_cls/weights': [1, 2, 3]}),
                               made, 'net', excluded=made[:1])
    assert list(plan.values) == ['net/block4_box/conv_cls/weights']
    assert plan.not_restored == {restoring.EXCLUDED: [(made[0], None)]}


def test_moving_averages_where_asked_for():
    source = source_of({'net/conv1/weights': [1, 2], f'net/conv1/weights{MOVING_AVERAGE_SUFFIX}': [3, 4],
                        'net/block4_box/conv_cls/weights': [5, 6, 7]})
    made = net()
    assert restoring.make_plan(source, made, 'net').values['net/conv1/weights'].tolist() == [1, 2]
    averaged = restoring.make_plan(source, made, 'net', use_averages=True)
    assert [value.tolist() for value in averaged.values.values()] == [[3, 4], [5, 6, 7]]   # a moment has no average
    with pytest.raises(UserError, match='the_file holds no moving averages'):
        restoring.make_plan(source_of({'net/conv1/weights': [1, 2]}), made, 'net', use_averages=True)


def test_another_scope_and_another_net_of_ours():
    made = net('ssd_512_vgg')
    for scope, given in (('mine', 'mine'), ('ssd_300_vgg', None)):
        source = source_of({f'{scope}/conv1/weights': [1, 2], f'{scope}/block4_box/conv_cls/weights': [1, 2, 3]})
        plan = restoring.make_plan(source, made, 'ssd_512_vgg', model_scope=given)
        assert len(plan.values) == 2 and not plan.not_restored
    restoring.check_plan(plan, 'ssd_512_vgg', False)


def test_a_part_of_this_net_is_an_error_but_for_those_who_want_it():
    plan = restoring.make_plan(source_of({'net/block4_box/conv_cls/weights': [1, 2, 3]}), net(), 'net')
    with pytest.raises(UserError, match='lacks 1 variables of this net, such as net/conv1/weights; .*ignore_missing'):
        restoring.check_plan(plan, 'net', ignore_missing=False)
    restoring.check_plan(plan, 'net', ignore_missing=True)


def test_a_backbone_need_not_hold_the_layers_behind_it():
    plan = restoring.make_plan(source_of({'net/conv1/weights': [1, 2]}), net(), 'net')
    restoring.check_plan(plan, 'net', ignore_missing=False)


@pytest.mark.parametrize('arrays, message', [
    ({'vgg_16/conv1/weights': [1, 2]}, 'no variable of this net: .* wants net/conv1/weights, and the nearest names '
                                       '.* are vgg_16/conv1/weights; --checkpoint_model_scope maps net/'),
    ({}, 'nearest names in the checkpoint are none'),
    ({'net/conv1/weights': [1, 2, 3]}, r'another shape, such as net/conv1/weights, \[3\] there and \[2\] here')])
def test_nothing_that_fits(arrays, message):
    plan = restoring.make_plan(source_of(arrays), net(), 'net')
    with pytest.raises(UserError, match=message):
        restoring.check_plan(plan, 'net', ignore_missing=True)


def test_the_width_that_would_fit_is_named():
    made = variables(('MobilenetV1/Conv2d_0/weights', [3, 3, 3, 8]))
    plan = restoring.make_plan(source_of({'conv_dw_1/kernel': [1], 'conv1/kernel': np.zeros([3, 3, 3, 24])}), made,
                               'ssd_160_mobilenet_v1_025')
    with pytest.raises(UserError, match='nets of this width: ssd_300_mobilenet_v1_075'):
        restoring.check_plan(plan, 'ssd_160_mobilenet_v1_025', False)


def test_weights_of_another_backbone_are_refused():
    with pytest.raises(UserError, match="the_file holds tf-slim's vgg_16, but the backbone of ssd_300_mobil"):
        restoring.make_plan(source_of({'vgg_16/conv1/conv1_1/weights': [1]}), [], 'ssd_300_mobilenet_v1')


def test_values_arrive():
    made = net()
    plan = restoring.make_plan(source_of({'net/conv1/weights': [1, 2]}), made, 'net')
    start = restoring.make_init_fn(plan)
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        start(session)
        assert [value.tolist() for value in session.run(made)] == [[1, 2], [0, 0, 0]]


def build(name, num_classes):
    params = nets_factory.get_params(name)
    ssd.build(tf.zeros([1, params.image_size, params.image_size, 3]), params, num_classes, is_training=False)
    return tf.model_variables()


@pytest.mark.parametrize('num_classes, left', [(21, 0), (4, 12)])
def test_a_public_detector_loads_whole_or_all_but_its_classes(shared, tmp_path, num_classes, left):
    """Written by TensorFlow under the public names; a weight's value is the number of its variable."""
    listed = [line.split(' ', 1) for line in
              (shared / 'fixtures/variables/ssd_300_vgg.txt').read_text().splitlines()]
    with tf.Graph().as_default(), tf.Session() as session:
        for number, (name, shape) in enumerate(listed):
            tf.get_variable(name, initializer=tf.fill([int(n) for n in shape.strip('[]').split(',')], float(number)))
        session.run(tf.global_variables_initializer())
        tf.train.Saver().save(session, str(tmp_path / 'public.ckpt'), write_meta_graph=False)
    source = sources.open_source(str(tmp_path / 'public.ckpt'))
    assert restoring.count_classes(source, nets_factory.get_params('ssd_300_vgg')) == 21
    plan = restoring.make_plan(source, build('ssd_300_vgg', num_classes), 'ssd_300_vgg')
    restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=False)
    other = [variable.op.name for variable, _ in plan.not_restored.pop(restoring.SHAPE_MISMATCH, [])]
    assert not plan.not_restored and len(plan.values) == 71 - left and len(other) == left
    assert all('/conv_cls/' in name for name in other)
    for number, (name, _) in enumerate(listed):
        assert name in other or np.all(plan.values[name] == number)


def test_a_checkpoint_of_ssd300_starts_ssd512():
    with tf.Graph().as_default():
        made = build('ssd_300_vgg', 21)
        source = source_of({v.op.name: np.zeros(v.shape.as_list()) for v in made})
    plan = restoring.make_plan(source, build('ssd_512_vgg', 21), 'ssd_512_vgg')
    restoring.check_plan(plan, 'ssd_512_vgg', ignore_missing=False)
    # block10_box has six anchors a cell instead of four, block12 is new.
    assert {v.op.name.split('/')[1] for v, _ in plan.not_restored[restoring.SHAPE_MISMATCH]} == {'block10_box'}
    assert {v.op.name.split('/')[1] for v, _ in plan.not_restored[restoring.MISSING]} == {'block12', 'block12_box'}


def test_shapes_that_fit_by_chance_are_not_taken():
    """4 anchors of 3 classes and 6 of 2 are both 12 channels of block10_box."""
    with tf.Graph().as_default():
        source = source_of({v.op.name: np.zeros(v.shape.as_list()) for v in build('ssd_300_vgg', 3)})
    plan = restoring.make_plan(source, build('ssd_512_vgg', 2), 'ssd_512_vgg')
    assert not any('block10_box' in name or 'conv_cls' in name for name in plan.values)


def test_classes_of_other_anchors_are_not_taken_though_they_fit():
    """Own sizes gave 3 anchors of 4 classes; here are 4 of 3: 12 channels both."""
    source = source_of({'net/conv1/weights': [1, 2], 'net/a_box/conv_loc/biases': np.zeros(3 * 4),
                        'net/a_box/conv_cls/weights': np.zeros(12), 'net/a_box/conv_cls/biases': np.zeros(12),
                        'net/b_box/conv_loc/biases': np.ones(4), 'net/b_box/conv_cls/biases': np.ones(3)})
    made = variables(('net/conv1/weights', [2]), ('net/a_box/conv_loc/biases', [4 * 4]),
                     ('net/a_box/conv_cls/weights', [12]), ('net/a_box/conv_cls/biases', [12]),
                     ('net/b_box/conv_loc/biases', [4]), ('net/b_box/conv_cls/biases', [3]))
    plan = restoring.make_plan(source, made, 'net')
    assert list(plan.values) == ['net/conv1/weights', 'net/b_box/conv_loc/biases', 'net/b_box/conv_cls/biases']
    assert [v.op.name for v, _ in plan.not_restored[restoring.ANCHOR_MISMATCH]] == [
        'net/a_box/conv_cls/weights', 'net/a_box/conv_cls/biases']


@pytest.mark.parametrize('anchors, classes', [(3, 4), (4, 3)])
def test_the_number_of_classes_follows_from_the_source_alone(anchors, classes):
    params = nets_factory.get_params('ssd_300_vgg')
    source = source_of({'ssd_300_vgg/block4_box/conv_cls/biases': np.zeros(12),
                        'ssd_300_vgg/block4_box/conv_loc/biases': np.zeros(4 * anchors)})
    assert restoring.count_classes(source, params) == classes
    assert restoring.count_classes(source_of({'vgg_16/conv1/weights': [1]}), params) == 0


def test_another_width_is_refused_though_some_biases_fit():
    with tf.Graph().as_default():
        wide = source_of({v.op.name: np.zeros(v.shape.as_list()) for v in build('ssd_300_mobilenet_v1', 4)})
    plan = restoring.make_plan(wide, build('ssd_300_mobilenet_v1_075', 4), 'ssd_300_mobilenet_v1_075')
    assert not plan.values and len(plan.not_restored[restoring.WEIGHTS_NOT_RESTORED]) == 12
    with pytest.raises(UserError, match=r'\[3, 3, 3, 32\] there .* nets of this width: ssd_300_mobilenet_v1'):
        restoring.check_plan(plan, 'ssd_300_mobilenet_v1_075', ignore_missing=True)


def torchvision_vgg(blocks, **more):
    """The convolutions of a VGG by torchvision, zeros: `blocks` of so many layers, 64 to 512 channels."""
    arrays, position, depth = {}, 0, 3
    for layers, out in zip(blocks, (64, 128, 256, 512, 512), strict=True):
        for _ in range(layers):
            arrays |= {f'features.{position}.weight': np.zeros([out, depth, 3, 3]),
                       f'features.{position}.bias': np.zeros(out)}
            position, depth = position + 2, out
        position += 1   # pooling
    return source_of({**arrays, **more})


def test_vgg16_of_torchvision_is_taken_and_vgg19_is_not():
    made = build('ssd_300_vgg', 21)
    plan = restoring.make_plan(torchvision_vgg((2, 2, 3, 3, 3)), made, 'ssd_300_vgg')
    restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=False)
    assert len(plan.values) == 26
    with pytest.raises(UserError, match='is of a deeper net, as its features.34.weight shows; get the'):
        restoring.make_plan(torchvision_vgg((2, 2, 4, 4, 4)), made, 'ssd_300_vgg')


def test_a_backbone_with_holes_is_refused():
    arrays = torchvision_vgg((2, 2, 3, 3, 3))
    del arrays.shapes['features.5.weight']
    made = build('ssd_300_vgg', 21)
    plan = restoring.make_plan(arrays, made, 'ssd_300_vgg')
    with pytest.raises(UserError, match="torchvision's vgg16, but does not give 1 of its .*conv2/conv2_1/weights"):
        restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=False)
    restoring.check_plan(plan, 'ssd_300_vgg', ignore_missing=True)
    excluded = [v for v in made if '/conv2_1/' in v.op.name]
    restoring.check_plan(restoring.make_plan(arrays, made, 'ssd_300_vgg', excluded), 'ssd_300_vgg', ignore_missing=False)


def test_what_is_not_finite_is_not_taken():
    source = source_of({'net/conv1/weights': [1, np.nan], 'net/block4_box/conv_cls/weights': [1, 2, 3]})
    plan = restoring.make_plan(source, net(), 'net')
    assert [v.op.name for v, _ in plan.not_restored[restoring.NOT_FINITE]] == ['net/conv1/weights']


def test_names_of_ours_win_over_those_of_others():
    made = net('ssd_300_vgg')
    source = source_of({'ssd_300_vgg/conv1/weights': [1, 2], 'vgg_16/conv1/conv1_1/weights': [1]})
    plan = restoring.make_plan(source, made, 'ssd_300_vgg')
    assert plan.weight_format is None and list(plan.values) == ['ssd_300_vgg/conv1/weights']


def test_averages_of_a_part_of_this_net_are_a_part_too():
    source = source_of({'net/block4_box/conv_cls/weights': [1, 2, 3],
                        f'net/block4_box/conv_cls/weights{MOVING_AVERAGE_SUFFIX}': [4, 5, 6]})
    plan = restoring.make_plan(source, net(), 'net', use_averages=True)
    assert plan.values['net/block4_box/conv_cls/weights'].tolist() == [4, 5, 6]
    with pytest.raises(UserError, match='lacks 1 variables of this net'):
        restoring.check_plan(plan, 'net', ignore_missing=False)


def test_everything_excluded():
    made = net()
    with pytest.raises(UserError, match='all are excluded'):
        restoring.check_plan(restoring.make_plan(source_of({'net/conv1/weights': [1, 2]}), made, 'net', made), 'net', False)


@pytest.mark.parametrize('name', ['ssd_300_vgg', 'ssd_512_vgg'])
def test_a_detector_of_the_ssd_authors_loads_whole(name, tmp_path):
    made = build(name, 21)
    arrays = {}
    for variable in made:
        there, blob = caffe_names()[variable.op.name.removeprefix(f'{name}/')].split('/blob_')
        value = np.full([variable.shape.as_list()[axis] for axis in (3, 2, 0, 1)[:variable.shape.ndims]]
                        if variable.shape.ndims == 4 else variable.shape.as_list(), len(arrays), np.float32)
        arrays.setdefault(there, {})[int(blob)] = value
    (tmp_path / 'ssd.caffemodel').write_bytes(caffe_writer.net(
        {there: [blobs[n] for n in sorted(blobs)] for there, blobs in arrays.items()}))
    source = sources.open_source(str(tmp_path / 'ssd.caffemodel'))
    assert restoring.count_classes(source, nets_factory.get_params(name)) == 21
    plan = restoring.make_plan(source, made, name)
    assert plan.weight_format.title == "the SSD authors' VGG16 or SSD for Caffe"
    assert not plan.not_restored and len(plan.values) == len(made)
    loc = plan.values[f'{name}/block7_box/conv_loc/weights']
    assert loc.shape == (3, 3, 1024, 24) and loc.max() == loc.min() > 0


def caffe_names():
    return next(layout.names for layout in weight_formats.WEIGHT_FORMATS if layout.marker == 'conv1_1/blob_0')
