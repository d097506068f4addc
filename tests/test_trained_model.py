import json

import detector_references
import nano
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from checkpoints import trained_model
from common.errors import UserError
from nets import anchors, nets_factory, ssd
from nets.post_processing import Detections, PostProcessingOptions

MODEL = {'model_name': 'ssd_160_mobilenet_v1_025', 'anchor_preset': 'voc',
         'class_names': ['cat', 'dog']}
EPSILON = np.finfo(np.float32).eps
NUM_LAYERS = 34   # convolutions on the longest path: 27 backbone, 6 extra, 1 prediction layer


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of step 5 and its configuration: random weights, moving averages all zero."""
    with tf.Graph().as_default(), tf.Session() as session:
        trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), make_model(''))
        variables = {v.op.name: v for v in tf.model_variables()}
        averages = {f'{v.op.name}/ExponentialMovingAverage': tf.Variable(tf.zeros(v.shape))
                    for v in tf.trainable_variables()}
        session.run(tf.global_variables_initializer())
        saver = tf.train.Saver({**variables, **averages})
        saver.save(session, str(tmp_path / 'model.ckpt'), global_step=5)
    (tmp_path / 'config.json').write_text(json.dumps({'model': MODEL, 'flags': {}}))
    return tmp_path


def make_model(checkpoint, class_names=('cat', 'dog')):
    params = nets_factory.get_params(MODEL['model_name'])
    return trained_model.Model(checkpoint, params, list(class_names))


def test_resolve_model_reads_the_configuration_of_the_folder(folder):
    model = trained_model.resolve_model(str(folder))
    assert (model.params.name, model.params.anchor_preset, model.class_names, model.step) == (
        'ssd_160_mobilenet_v1_025', 'voc', ['cat', 'dog'], 5)
    by_prefix = trained_model.resolve_model(
        str(folder / 'model.ckpt-5'), class_names=['cat', 'dog'])
    assert by_prefix == model


def test_detector_of_another_program(tmp_path):
    reference = detector_references.load('amdegroot_ssd300')
    path = str(tmp_path / 'ssd300.npz')
    np.savez(path, **reference.weights)
    model = trained_model.resolve_model(path)
    assert model.checkpoint == path and model.params.name == 'ssd_300_vgg'
    assert model.class_names[:2] == ['aeroplane', 'bicycle'] and model.params.clip_anchors
    others = [f'class {n}' for n in range(20)]   # retrained on 20 classes of one's own
    assert trained_model.resolve_model(path, class_names=others).class_names == others
    for arguments, message in (
            ({'class_names': ['cat', 'dog']}, 'has 20 classes, but there are 2 class names'),
            ({'anchor_preset': 'coco'}, 'was trained with the anchors .* not coco'),
            ({'model_name': 'ssd_512_vgg'}, 'was trained with the net ssd_300_vgg, not ssd_512')):
        with pytest.raises(UserError, match=message):
            trained_model.resolve_model(path, **arguments)


def test_backbones_of_other_programs_are_no_detectors(tmp_path):
    path = str(tmp_path / 'vgg.npz')
    np.savez(path, **{'block1_conv1/kernel': np.zeros((3, 3, 3, 64), np.float32)})
    with pytest.raises(UserError, match="vgg.npz holds Keras's VGG16, but not a complete detector. "
                                        'Train from it'):
        trained_model.resolve_model(path)


@pytest.mark.parametrize('names, message', [
    (['w', 'b'], 'w.npz is not a detector: its names, such as w, b, are of no known kind of'),
    (['MobilenetV1/Conv2d_0/weights'], 'w.npz holds weights of mobilenet_v1, but not a complete')])
def test_no_flags_are_asked_for_that_cannot_help(tmp_path, names, message):
    path = str(tmp_path / 'w.npz')
    np.savez(path, **{name: np.zeros(3, np.float32) for name in names})
    with pytest.raises(UserError, match=message):
        trained_model.resolve_model(path)
    with pytest.raises(UserError, match=message):
        trained_model.resolve_model(path, *MODEL.values())


def test_imported_weights_that_are_no_detector(folder):
    (folder / 'config.json').write_text(json.dumps(
        {'model': {'model_name': 'ssd_160_mobilenet_v1_025'}, 'flags': {}}))
    with pytest.raises(UserError, match='model.ckpt-5 holds weights of ssd_160_mobilenet_v1_025, '
                                        'but not a complete detector. Train from it'):
        trained_model.resolve_model(str(folder))
    model = trained_model.resolve_model(str(folder), *MODEL.values())   # of an early version
    assert model.class_names == ['cat', 'dog']


def test_imported_detector_without_class_names(folder):
    (folder / 'config.json').write_text(json.dumps({'model': {
        'model_name': 'ssd_160_mobilenet_v1_025', 'anchor_preset': 'voc', 'num_classes': 2},
        'flags': {}}))
    with pytest.raises(UserError, match='does not hold the names of its 1 class. Pass them as '
                                        '--labels_file'):
        trained_model.resolve_model(str(folder))
    model = trained_model.resolve_model(str(folder), class_names=['face'])
    assert model.class_names == ['face']


def test_arrays_with_our_names_are_a_detector(folder):
    reader = tf.train.load_checkpoint(str(folder / 'model.ckpt-5'))
    path = str(folder / 'w.npz')
    np.savez(path, **{name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()
                      if not name.endswith('ExponentialMovingAverage')})
    model = trained_model.resolve_model(path, *MODEL.values())
    trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), model)
    with tf.Session() as session:
        trained_model.make_restore_fn(model)(session)
        values = session.run({v.op.name: v for v in tf.model_variables()})
    for name, value in values.items():
        np.testing.assert_array_equal(value, reader.get_tensor(name))


@pytest.mark.parametrize('arguments, message', [
    ({'model_name': 'ssd_300_vgg'},
     'trained with the net ssd_160_mobilenet_v1_025, not ssd_300_vgg'),
    ({'anchor_preset': 'coco'}, 'trained with the anchors voc, not coco'),
    ({'class_names': ['dog', 'cat']},
     'trained with the classes cat, dog, not dog, cat. Pass data with these classes')])
def test_arguments_must_agree_with_the_configuration(folder, arguments, message):
    with pytest.raises(UserError, match=message):
        trained_model.resolve_model(str(folder), **arguments)


def test_custom_anchors_are_read_from_the_configuration(folder, tmp_path):
    sizes = '25,60 62 92 122 152,160'
    config = {'model': {**MODEL, 'anchor_preset': sizes}, 'flags': {}}
    (folder / 'config.json').write_text(json.dumps(config))
    (tmp_path / 'cells.txt').write_text('25,60\n62\n92\n122\n152,160')
    for preset in ('', sizes, str(tmp_path / 'cells.txt')):
        model = trained_model.resolve_model(str(folder), anchor_preset=preset)
        assert model.params.anchor_shapes[0][1] == ((25 * 60) ** .5,) * 2
    message = 'trained with the anchors 25,60 62 92 122 152,160, not voc'
    with pytest.raises(UserError, match=message):
        trained_model.resolve_model(str(folder), anchor_preset='voc')


def test_all_arguments_are_required_without_a_configuration(folder):
    (folder / 'config.json').unlink()
    with pytest.raises(UserError, match='Pass --model_name, --anchor_preset, --labels_file$'):
        trained_model.resolve_model(str(folder))
    with pytest.raises(UserError, match='Pass --anchor_preset$'):
        trained_model.resolve_model(
            str(folder), 'ssd_160_mobilenet_v1_025', class_names=['cat', 'dog'])
    model = trained_model.resolve_model(str(folder), *MODEL.values())
    assert model.params.name == 'ssd_160_mobilenet_v1_025'


@pytest.mark.parametrize('use_averages', [True, False])
def test_moving_averages_are_restored_on_request(folder, use_averages):
    model = trained_model.resolve_model(str(folder))
    trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), model)
    with tf.Session() as session:
        trained_model.make_restore_fn(model, use_averages)(session)
        values = {v.op.name: session.run(v) for v in tf.model_variables()}
    assert (abs(values['MobilenetV1/Conv2d_0/weights']).max() == 0) == use_averages
    # The checkpoint has no moments of the averaged weights.
    assert values['MobilenetV1/Conv2d_0/BatchNorm/moving_variance'].min() == 1


def test_restoring_another_number_of_classes_raises_a_user_error(folder):
    class_names = ['cat', 'dog', 'cow']
    trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), make_model('', class_names))
    message = 'not a checkpoint of ssd_160_mobilenet_v1_025 with 3 classes'
    with pytest.raises(UserError, match=message):
        trained_model.make_restore_fn(make_model(str(folder / 'model.ckpt-5'), class_names))


def test_restoring_only_a_backbone_raises_a_user_error(tmp_path):
    model = make_model(str(tmp_path / 'backbone-0'))
    with tf.Graph().as_default(), tf.Session() as session:
        tf.get_variable('MobilenetV1/Conv2d_0/weights', [3, 3, 3, 8]).load(
            np.zeros([3, 3, 3, 8]), session)
        tf.train.Saver().save(session, str(tmp_path / 'backbone'), global_step=0)
    trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), model)
    with pytest.raises(UserError, match='with 2 classes. It holds a backbone only: train from it'):
        trained_model.make_restore_fn(model)


@pytest.mark.parametrize('value', [np.nan, -np.inf])
def test_weights_that_are_not_finite_are_rejected(folder, tmp_path, value):
    model = trained_model.resolve_model(str(folder))
    trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), model)
    restore = trained_model.make_restore_fn(model, use_averages=False)
    variable = next(v for v in tf.model_variables() if v.op.name.endswith('Conv2d_3_pointwise/'
                                                                          'BatchNorm/beta'))
    with tf.Session() as session:
        restore(session)
        variable.load([value] + [0.] * 31, session)
        checkpoint = tf.train.Saver(tf.model_variables()).save(session, str(tmp_path / 'broken'))
        message = (f'1 variables of the checkpoint {checkpoint} are not finite, such as '
                   f'MobilenetV1/Conv2d_3_pointwise/BatchNorm/beta: its training diverged. Use an')
        with pytest.raises(UserError, match=message):
            restore(session, checkpoint)


def restore_nano_net(tmp_path, *label_lists, **options):
    """Build and restore a net with three classes.

    Args:
        tmp_path: folder for its checkpoint.
        *label_lists: the `labels` of one `detect` call each.
        **options: fields of `PostProcessingOptions`.

    Returns:
        (session, input images, `Predictions` without end points, list of `Detections`).
    """
    model = trained_model.resolve_model(
        str(nano.write_checkpoint(tmp_path, ['cat', 'dog', 'cow'])))
    images = tf.placeholder(tf.uint8, [None, 160, 160, 3])
    with tf.variable_scope('', reuse=tf.AUTO_REUSE):
        predictions = ssd.build(ssd.normalize(images, model.params), model.params, 4,
                                is_training=False)
        detections = [
            trained_model.detect(images, model, labels, PostProcessingOptions(**options))
            for labels in label_lists]
    session = tf.Session()
    trained_model.make_restore_fn(model)(session)
    return session, images, predictions._replace(end_points={}), detections


def assert_close(actual, expected, tolerance):
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance)


def box_tolerance(offset_error, offsets):
    """Return by how much an edge inside the image can move if the offsets have an error.

    An edge is c ± h / 2 with c = c_a + 0.1 dy h_a and h = h_a exp(0.2 dh), so that it moves by at
    most (0.1 h_a + 0.1 h) per unit of error. It lies inside the image, so h < 2 (1 + |c|), and
    |c| < 1 + 0.1 max|dy| h_a.
    """
    anchor_side = anchors.net_anchors(nets_factory.get_params(MODEL['model_name']))[:, 2:].max()
    box_side = 2 * (2 + .1 * abs(offsets).max() * anchor_side)
    return offset_error * .1 * (anchor_side + box_side)


def test_detections_do_not_depend_on_the_batch_size(tmp_path):
    session, images, outputs, (detections,) = restore_nano_net(tmp_path, None)
    batch = nano.images(5)
    with session:
        in_batch, detections_in_batch = session.run([outputs, detections], {images: batch})
        for i in range(5):
            alone, detections_alone = session.run(
                [outputs, detections], {images: batch[i:i + 1]})
            # The order of the sums in a convolution depends on the batch size, so each layer may
            # add a rounding error: the float32 resolution of its largest values.
            errors = [abs(a[0] - b[i]).max() for a, b in zip(alone[:2], in_batch[:2], strict=True)]
            for error, values in zip(errors, in_batch[:2], strict=True):
                assert error <= NUM_LAYERS * EPSILON * abs(values).max()

            expected = Detections(*(x[i] for x in detections_in_batch))
            actual = Detections(*(x[0] for x in detections_alone))
            assert actual.count == expected.count > 50
            np.testing.assert_array_equal(actual.labels, expected.labels)
            # ds_i = s_i (dl_i - sum_j s_j dl_j), so |ds| <= 2 s (1 - s) max|dl| <= max|dl| / 2.
            assert_close(actual.scores, expected.scores, errors[0] / 2 + EPSILON)
            assert_close(actual.boxes, expected.boxes, box_tolerance(errors[1], in_batch.offsets))
    # The images differ, and so do their detections.
    assert len({scores.tobytes() for scores in detections_in_batch.scores}) == 5


def test_detecting_some_classes_equals_filtering_all_detections(tmp_path):
    session, images, outputs, detections = restore_nano_net(
        tmp_path, None, [1, 3], keep_top_k=1000)
    with session:
        logits, (of_all, of_some) = session.run(
            [outputs.logits, detections], {images: nano.images(2)})
    # The other classes are merged into one background logit, which is rounded to float32.
    score_tolerance = EPSILON * abs(logits).max()
    for i, count in enumerate(of_some.count):
        is_chosen = np.isin(of_all.labels[i], [1, 3])
        assert count == is_chosen.sum() > 0 and not of_some.labels[i, count:].any()
        np.testing.assert_array_equal(of_some.labels[i, :count], of_all.labels[i][is_chosen])
        assert_close(of_some.scores[i, :count], of_all.scores[i][is_chosen], score_tolerance)
        np.testing.assert_array_equal(of_some.boxes[i, :count], of_all.boxes[i][is_chosen])


def test_labels_from_names():
    names = ['aeroplane', 'bicycle', 'bird', 'cat', 'dog']
    assert trained_model.labels_from_names(['dog', 'bird', 'dog'], names) == [3, 5]
    message = "--classes: there is no class 'Cat'; similar names are cat, "
    with pytest.raises(UserError, match=message):
        trained_model.labels_from_names(['dog', 'Cat'], names)
