import json

import nano
import numpy as np
import pytest
import tensorflow.compat.v1 as tf

from common.errors import UserError
from nets.post_processing import PostProcessingOptions
from run_folder import trained_model

MODEL = {'model_name': 'ssd_160_mobilenet_v1_025', 'anchor_preset': 'voc', 'class_names': ['cat', 'dog']}


@pytest.fixture
def folder(tmp_path):
    """A checkpoint of step 5 with random weights, every variable's average zero, and the configuration."""
    with tf.Graph().as_default(), tf.Session() as session:
        trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), make_model(''))
        made = {v.op.name: v for v in tf.model_variables()}
        averages = {f'{v.op.name}/ExponentialMovingAverage': tf.Variable(tf.zeros(v.shape))
                    for v in tf.trainable_variables()}
        session.run(tf.global_variables_initializer())
        tf.train.Saver({**made, **averages}).save(session, str(tmp_path / 'model.ckpt'), global_step=5)
    (tmp_path / 'config.json').write_text(json.dumps({'model': MODEL, 'flags': {}}))
    return tmp_path


def make_model(checkpoint, class_names=('cat', 'dog')):
    from nets import nets_factory
    return trained_model.Model(checkpoint, nets_factory.get_params(MODEL['model_name']), list(class_names))


def test_a_model_is_what_its_folder_says(folder):
    model = trained_model.resolve_model(str(folder))
    assert (model.params.name, model.params.anchor_preset, model.class_names, model.step) == (
        'ssd_160_mobilenet_v1_025', 'voc', ['cat', 'dog'], 5)
    assert trained_model.resolve_model(str(folder / 'model.ckpt-5'), class_names=['cat', 'dog']) == model


def test_weights_of_other_formats_must_be_imported_first(tmp_path):
    (tmp_path / 'ssd.caffemodel').write_bytes(b'')
    with pytest.raises(UserError, match='ssd.caffemodel is not a TensorFlow checkpoint; convert it .*import_weights.py'):
        trained_model.resolve_model(str(tmp_path / 'ssd.caffemodel'))


@pytest.mark.parametrize('arguments, message', [
    ({'model_name': 'ssd_300_vgg'}, 'trained with model_name ssd_160_mobilenet_v1_025, not ssd_300_vgg'),
    ({'anchor_preset': 'coco'}, 'trained with anchor_preset voc, not coco'),
    ({'class_names': ['dog', 'cat']}, 'trained with class_names')])
def test_what_the_folder_says_cannot_be_overruled(folder, arguments, message):
    with pytest.raises(UserError, match=message):
        trained_model.resolve_model(str(folder), **arguments)


def test_own_anchors_are_those_of_the_folder(folder, tmp_path):
    sizes = '25,60 62 92 122 152,160'
    (folder / 'config.json').write_text(json.dumps({'model': {**MODEL, 'anchor_preset': sizes}, 'flags': {}}))
    (tmp_path / 'cells.txt').write_text('25,60\n62\n92\n122\n152,160')
    for given in ('', sizes, str(tmp_path / 'cells.txt')):
        assert trained_model.resolve_model(str(folder), anchor_preset=given).params.anchor_sizes[0] == (25, 60)
    with pytest.raises(UserError, match='trained with anchor_preset 25,60 62 92 122 152,160, not voc'):
        trained_model.resolve_model(str(folder), anchor_preset='voc')


def test_without_a_configuration_it_must_be_said(folder):
    (folder / 'config.json').unlink()
    with pytest.raises(UserError, match='give --model_name, --anchor_preset, --labels_file'):
        trained_model.resolve_model(str(folder))
    with pytest.raises(UserError, match='give --anchor_preset$'):
        trained_model.resolve_model(str(folder), 'ssd_160_mobilenet_v1_025', class_names=['cat', 'dog'])
    assert trained_model.resolve_model(str(folder), *MODEL.values()).params.name == 'ssd_160_mobilenet_v1_025'


@pytest.mark.parametrize('use_averages', [True, False])
def test_moving_averages_are_used_where_they_are_wanted(folder, use_averages):
    model = trained_model.resolve_model(str(folder))
    trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), model)
    with tf.Session() as session:
        trained_model.make_restore_fn(model, use_averages)(session)
        values = {v.op.name: session.run(v) for v in tf.model_variables()}
    assert (abs(values['MobilenetV1/Conv2d_0/weights']).max() == 0) == use_averages
    assert values['MobilenetV1/Conv2d_0/BatchNorm/moving_variance'].min() == 1     # moments have no average


def test_a_checkpoint_with_other_classes_is_refused(folder):
    trained_model.detect(tf.zeros([1, 160, 160, 3], tf.uint8), make_model('', ['cat', 'dog', 'cow']))
    with pytest.raises(UserError, match='no checkpoint of ssd_160_mobilenet_v1_025 with 3 classes'):
        trained_model.make_restore_fn(make_model(str(folder / 'model.ckpt-5'), ['cat', 'dog', 'cow']))


def restored(folder, *label_lists, **options):
    """A session, its input, and `Detections` for each list of labels."""
    model, images = trained_model.resolve_model(str(folder)), tf.placeholder(tf.uint8, [None, 160, 160, 3])
    found = []
    for labels in label_lists:
        with tf.variable_scope('', reuse=tf.AUTO_REUSE):
            found.append(trained_model.detect(images, model, labels,
                                              PostProcessingOptions(**options)))
    session = tf.Session()
    trained_model.make_restore_fn(model)(session)
    return session, images, found


def test_a_picture_gives_the_same_alone_and_in_any_batch(tmp_path):
    session, images, (found,) = restored(nano.write_checkpoint(tmp_path, ['cat', 'dog', 'cow']), None)
    pictures = nano.pictures(5)
    with session:
        together = session.run(found, {images: pictures})
        for index in range(5):
            alone = session.run(found, {images: pictures[index:index + 1]})
            assert alone.count[0] == together.count[index] > 50
            np.testing.assert_array_equal(alone.labels[0], together.labels[index])
            np.testing.assert_allclose(alone.boxes[0], together.boxes[index], atol=1e-5)
            np.testing.assert_allclose(alone.scores[0], together.scores[index], atol=1e-5)
    assert len({scores.tobytes() for scores in together.scores}) == 5   # another answer for each picture


def test_the_classes_looked_for_have_all_places_to_themselves(tmp_path):
    session, images, (everything, chosen) = restored(
        nano.write_checkpoint(tmp_path, ['cat', 'dog', 'cow']), None, [1, 3], keep_top_k=1000)
    with session:
        whole, found = session.run([everything, chosen], {images: nano.pictures(2)})
    for index, count in enumerate(found.count):
        kept = np.isin(whole.labels[index], [1, 3])
        assert count == kept.sum() > 0 and not found.labels[index, count:].any()
        np.testing.assert_array_equal(found.labels[index, :count], whole.labels[index][kept])
        np.testing.assert_allclose(found.scores[index, :count], whole.scores[index][kept], atol=1e-5)
        np.testing.assert_allclose(found.boxes[index, :count], whole.boxes[index][kept], atol=1e-5)


def test_names_of_classes():
    names = ['aeroplane', 'bicycle', 'bird', 'cat', 'dog']
    assert trained_model.labels_from_names(['dog', 'bird', 'dog'], names) == [3, 5]
    with pytest.raises(UserError, match="--classes: no class is called 'Cat'; the nearest names are cat, "):
        trained_model.labels_from_names(['dog', 'Cat'], names)
