"""Shared by the tests of exported nets: a net with dozens of detections, and comparisons."""
import json

import numpy as np
import tensorflow.compat.v1 as tf

from benchmarks import agreement
from checkpoints import trained_model
from exporting.exporters import ExportJob
from nets import nets_factory, ssd
from nets.post_processing import PostProcessingOptions

MODEL = {'model_name': 'ssd_300_mobilenet_v1_025', 'anchor_preset': 'voc',
         'class_names': ['RBC', 'WBC', 'Platelets']}
OPTIONS = PostProcessingOptions(select_threshold=.6)
MIN_SURE_SCORE = .605   # far enough above the threshold to stay above it after rounding


def write_checkpoint(folder):
    """Write a checkpoint with random weights, and config.json.

    The moments of batch norm are those of random images. The moving averages of the weights equal
    the weights, except for the class predictions, for which they are 1.5 times as large.
    """
    with tf.Graph().as_default(), tf.Session() as session:
        params = nets_factory.get_params(MODEL['model_name'], MODEL['anchor_preset'])
        images = np.random.default_rng(0).integers(0, 256, [4, 10, 10, 3], np.uint8)
        images = images.repeat(30, 1).repeat(30, 2)
        ssd.build(ssd.normalize(tf.constant(images), params), params, 4, is_training=True)
        decrements = [update.op.inputs[1]
                      for update in tf.get_collection(tf.GraphKeys.UPDATE_OPS)]
        session.run(tf.global_variables_initializer())
        moments = [v for v in tf.model_variables() if 'moving' in v.op.name]
        for variable, value, decrement in zip(moments, *session.run([moments, decrements]),
                                              strict=True):
            # At decay 0.99, an update goes a hundredth of the way to the moments of the batch.
            variable.load(value - decrement * 100, session)
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


def make_job(folder, options=OPTIONS, use_averages=True, calibration_images=()):
    """Return the `ExportJob` of the checkpoint in a folder."""
    model = trained_model.resolve_model(str(folder))
    return ExportJob(model, use_averages, options, list(calibration_images))


def export_to(path, exporter, job):
    """Export a job with the module of a format, and return the path."""
    exporter.export(str(path), job)
    return path


def predict(job, encoded_images):
    """Return the detections of the checkpoint: a dict of arrays with the names of the outputs."""
    _, outputs = agreement.predict(job, encoded_images)
    return {name: np.concatenate([image[name] for image in outputs]) for name in outputs[0]}


def resize(job, encoded_images):
    """Return the images as net inputs, [B, S, S, 3] uint8."""
    return np.concatenate(agreement.predict(job, encoded_images)[0])


def detections_of_image(outputs, index, min_score=0.):
    """Return the detections of one image of a batch as a list of (class, score, box)."""
    count = outputs['count'][index]
    fields = (outputs[name][index][:count] for name in ('classes', 'scores', 'boxes'))
    return [detection for detection in zip(*fields, strict=True) if detection[1] > min_score]


def assert_agree(actual, expected, min_score=MIN_SURE_SCORE):
    """Assert that each detection above `min_score` has an equal one in the other dict.

    Scores and box coordinates may differ by less than 1e-3. Each image must have more than 24
    detections.
    """
    for first, second in ((actual, expected), (expected, actual)):
        for index in range(len(expected['count'])):
            sure = detections_of_image(first, index, min_score)
            candidates = detections_of_image(second, index)
            assert len(sure) > 24
            for label, score, box in sure:
                assert any(label == other_label and abs(score - other_score) < 1e-3
                           and np.abs(box - other_box).max() < 1e-3
                           for other_label, other_score, other_box in candidates), (
                    index, label, score, box)


def assert_valid(outputs, length=OPTIONS.keep_top_k):
    """Assert shapes, dtypes, order, ranges and zero padding. No image is empty or full."""
    batch_size = len(outputs['count'])
    assert {name: (outputs[name].shape, outputs[name].dtype)
            for name in ('boxes', 'scores', 'classes', 'count')} == {
        'boxes': ((batch_size, length, 4), np.float32),
        'scores': ((batch_size, length), np.float32),
        'classes': ((batch_size, length), np.int32),
        'count': ((batch_size,), np.int32)}
    for index, count in enumerate(outputs['count']):
        assert 0 < count < length
        assert not any(outputs[name][index, count:].any()
                       for name in ('boxes', 'scores', 'classes'))
        assert outputs['classes'][index, :count].min() >= 1
        assert (np.diff(outputs['scores'][index, :count]) <= 0).all()
    assert outputs['boxes'].min() >= 0 and outputs['boxes'].max() <= 1
