"""Two trained detectors of other programs, and what those programs gave for eight images."""
import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from PIL import Image

from checkpoints import kinds, restoring, sources
from nets import anchors, box_coder, post_processing, ssd


def run(path, expected, pictures, size):
    """Return the description, the outputs of our net and the anchors for the eight images."""
    source = sources.open_source(str(path))
    description = kinds.describe(source)
    params = description.params
    images = np.stack([np.asarray(Image.open(pictures / f'{name}_{size}.png').convert('RGB'))
                       for name in expected['names']])
    net_anchors = anchors.net_anchors(params)
    predictions = ssd.build(ssd.normalize(tf.constant(images), params), params,
                            description.num_classes, is_training=False)
    detections = post_processing.detect(
        predictions.logits, predictions.offsets, net_anchors, params.variances,
        post_processing.PostProcessingOptions(
            select_threshold=.3, select_top_k=100, nms_threshold=.6, keep_top_k=100),
        params.scores)
    boxes = box_coder.decode(predictions.offsets, net_anchors, params.variances)
    scores = post_processing.class_scores(predictions.logits, params.scores)
    plan = restoring.make_plan(source, tf.model_variables(), params.name, params=params)
    restoring.check_plan(plan, params.name, ignore_missing=False)
    assert description.complete and not plan.not_restored
    with tf.Session() as session:
        session.run(tf.global_variables_initializer())
        restoring.make_init_fn(plan)(session)
        return description, net_anchors, session.run([predictions, boxes, scores, detections])


def suppress(boxes, scores, threshold):
    """Return the indices that non-maximum suppression keeps, in NumPy: highest score first."""
    kept = []
    for index in np.argsort(-scores, kind='stable'):
        y1, x1 = np.maximum(boxes[index, :2], boxes[kept, :2]).reshape(-1, 2).T
        y2, x2 = np.minimum(boxes[index, 2:], boxes[kept, 2:]).reshape(-1, 2).T
        common = np.maximum(y2 - y1, 0) * np.maximum(x2 - x1, 0)
        areas = np.prod(boxes[:, 2:] - boxes[:, :2], 1)
        if not kept or (common / (areas[kept] + areas[index] - common)).max() <= threshold:
            kept.append(index)
    return kept


@pytest.mark.slow
def test_the_face_detector(shared):
    expected = np.load(shared / 'fixtures/detectors/face_expected.npz')
    description, net_anchors, (_, boxes, scores, detections) = run(
        shared / 'weights/detectors/face_ssd_mobilenet_v1/ssd_mobilenetv1_model-weights_manifest'
        '.json', expected, shared / 'fixtures/detectors/pictures', 512)
    assert description.class_names == ['face'] and len(net_anchors) == 5118
    np.testing.assert_allclose(scores[..., 0], expected['scores'], atol=1e-4)
    np.testing.assert_allclose(boxes, expected['boxes_yxyx'], atol=2e-4)
    for image in range(8):
        candidates = expected['scores'][image] > .3
        theirs = expected['boxes_yxyx'][image][candidates]
        kept = suppress(theirs, expected['scores'][image][candidates], .6)
        count = detections.count[image]
        assert count == len(kept)
        np.testing.assert_allclose(detections.boxes[image, :count], np.clip(theirs[kept], 0, 1),
                                   atol=2e-4)


@pytest.mark.slow
def test_the_pedestrian_detector(shared):
    expected = np.load(shared / 'fixtures/detectors/pedestrian_expected.npz')
    description, net_anchors, (predictions, _, _, detections) = run(
        shared / 'weights/detectors/pedestrian_ssdlite_mobilenet_v2/frozen_inference_graph.pb',
        expected, shared / 'fixtures/detectors/pictures', 300)
    assert description.class_names == ['person'] and description.model_name == (
        'ssdlite_300_mobilenet_v2')
    corners = np.concatenate([net_anchors[:, :2] - net_anchors[:, 2:] / 2,
                              net_anchors[:, :2] + net_anchors[:, 2:] / 2], 1)
    np.testing.assert_allclose(corners, expected['anchors_yxyx'], atol=1e-6)
    np.testing.assert_allclose(predictions.logits, expected['class_logits'], atol=1e-3)
    np.testing.assert_allclose(predictions.offsets[..., [1, 0, 3, 2]], expected['encodings_yxhw'],
                               atol=1e-3)
    for image in range(8):
        theirs = expected['detection_scores'][image] > .3
        count = detections.count[image]
        assert count == theirs.sum()
        for name in ('scores', 'boxes'):
            np.testing.assert_allclose(getattr(detections, name)[image, :count],
                                       expected[f'detection_{name}'][image][theirs], atol=1e-4)
