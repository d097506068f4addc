"""What the tests of exported nets share: a net that finds dozens of things, what prediction finds, the comparison."""
import json

import numpy as np
import tensorflow.compat.v1 as tf

from benchmarks import agreement
from exporting.exporters import Job, Options
from nets import nets_factory, ssd
from run_folder import trained_model

MODEL = {'model_name': 'ssd_300_mobilenet_v1_025', 'anchor_preset': 'voc', 'class_names': ['RBC', 'WBC', 'Platelets']}
OPTIONS = Options(min_score=.6, nms_threshold=.45, max_detections=200)
SURE = .605    # scores that rounding does not put below the least


def write_checkpoint(folder):
    """Random weights with the moments of batch norm as on pictures. The weights' averages are the larger, by half."""
    with tf.Graph().as_default(), tf.Session() as session:
        params = nets_factory.get_params(MODEL['model_name'], MODEL['anchor_preset'])
        pictures = np.random.default_rng(0).integers(0, 256, [4, 10, 10, 3], np.uint8).repeat(30, 1).repeat(30, 2)
        ssd.build(ssd.normalize(tf.constant(pictures), params), params, 4, is_training=True)
        changes = [update.op.inputs[1] for update in tf.get_collection(tf.GraphKeys.UPDATE_OPS)]
        session.run(tf.global_variables_initializer())
        moments = [v for v in tf.model_variables() if 'moving' in v.op.name]
        for variable, value, change in zip(moments, *session.run([moments, changes]), strict=True):
            variable.load(value - change * 100, session)   # at decay .99 a hundredth of the way to the batch's
        for variable in tf.model_variables():
            if variable.op.name.endswith('conv_cls/biases'):
                variable.load(np.tile([1., 0, 0, 0], variable.shape[0] // 4), session)
        weights = tf.trainable_variables()
        averages = {f'{variable.op.name}/ExponentialMovingAverage': tf.Variable(
                        value * (1.5 if 'conv_cls' in variable.op.name else 1))
                    for variable, value in zip(weights, session.run(weights), strict=True)}
        session.run(tf.variables_initializer(averages.values()))
        tf.train.Saver({**{v.op.name: v for v in tf.model_variables()}, **averages}).save(
            session, str(folder / 'model.ckpt'), global_step=7)
    (folder / 'config.json').write_text(json.dumps({'model': MODEL, 'flags': {}}))


def make_job(folder, options=OPTIONS, use_averages=True, calibration=()):
    """The job of exporting the checkpoint in a folder."""
    return Job(trained_model.resolve_model(str(folder)), use_averages, options, list(calibration))


def written(exporter, path, job):
    """The path, once the module of a format has written the job there."""
    exporter.export(str(path), job)
    return path


def predicted(job, encoded):
    """What prediction finds in encoded pictures: {name: array}, named as exported nets name it."""
    found = agreement.predict(job, encoded)[1]
    return {name: np.concatenate([one[name] for one in found]) for name in found[0]}


def resized(job, encoded):
    """Encoded pictures as the net sees them, [B, S, S, 3] uint8."""
    return np.concatenate(agreement.predict(job, encoded)[0])


def rows(found, index, least=0.):
    """[(class, score, box)] of a picture of a batch."""
    count = found['count'][index]
    return [row for row in zip(*(found[name][index][:count] for name in ('classes', 'scores', 'boxes')), strict=True)
            if row[1] > least]


def assert_agree(ours, theirs, least=SURE):
    """Every detection above `least` on either side is on the other too: class, score and box to 1e-3."""
    for these, those in ((ours, theirs), (theirs, ours)):
        for index in range(len(theirs['count'])):
            sure, other = rows(these, index, least), rows(those, index)
            assert len(sure) > 24
            for label, score, box in sure:
                assert any(label == its_label and abs(score - its_score) < 1e-3 and np.abs(box - its_box).max() < 1e-3
                           for its_label, its_score, its_box in other), (index, label, score, box)


def assert_padded(found, length=OPTIONS.max_detections):
    """Shapes and types are those that are promised, and what is not real is zero."""
    batch = len(found['count'])
    assert {name: (found[name].shape, found[name].dtype) for name in ('boxes', 'scores', 'classes', 'count')} == {
        'boxes': ((batch, length, 4), np.float32), 'scores': ((batch, length), np.float32),
        'classes': ((batch, length), np.int32), 'count': ((batch,), np.int32)}
    for index, count in enumerate(found['count']):
        assert 0 < count < length
        assert not any(found[name][index, count:].any() for name in ('boxes', 'scores', 'classes'))
        assert found['classes'][index, :count].min() >= 1
        assert (np.diff(found['scores'][index, :count]) <= 0).all()
    assert found['boxes'].min() >= 0 and found['boxes'].max() <= 1
