"""Summaries of training and evaluation, and TensorBoard's page of them in a real browser."""
import io
import json
import re
import shutil
import subprocess
import sys
import time
import urllib.request

import numpy as np
import pytest
import tensorflow.compat.v1 as tf
from evaluated_images import add_all
from PIL import Image
from test_evaluation import CLASSES, IMAGES

from metrics.coco import SUMMARY_METRICS
from metrics.evaluation import Evaluation
from visualization import board, summary_ops

GREEN = (20, 200, 40)
# Two images, the second without objects. Two of the three objects are well matched.
BATCH = {
    'image': np.full([2, 60, 60, 3], GREEN, np.uint8), 'boxes': np.zeros([2, 3, 4], np.float32),
    'labels': np.int32([[1, 2, 1], [0, 0, 0]]), 'num_well_matched': np.int32([2, 0]),
    'target_labels': np.int32([[0, 1, 2, 0, 1], [0, 0, 0, 0, 0]])}
LOSS_PARTS = {'confidence': 3., 'localization': 1.5, 'decay': .25}


def merged_training_summaries(draw_calls):
    """Return the merged summaries of a training step over BATCH.

    draw_calls: list that receives the shapes and labels of every image drawn.
    """
    def draw(pixels, boxes, labels):
        draw_calls.append((pixels.shape, boxes.shape, labels.tolist()))
        return np.repeat(pixels, 2, axis=0)
    loss_parts = {name: tf.constant(value) for name, value in LOSS_PARTS.items()}
    batch = {name: tf.constant(value) for name, value in BATCH.items()}
    return tf.summary.merge(board.training_summaries(loss_parts, tf.constant(.001), batch, draw))


def test_training_scalars_have_values_and_descriptions(evaluate):
    summary = tf.Summary.FromString(evaluate(merged_training_summaries([])))
    scalars = {value.tag: value for value in summary.value
               if value.metadata.plugin_data.plugin_name == 'scalars'}
    assert {tag: tf.make_ndarray(value.tensor) for tag, value in scalars.items()} == pytest.approx({
        'losses/confidence': 3, 'losses/localization': 1.5, 'losses/weight_decay': .25,
        'training/learning_rate': .001, 'matching/well_matched_share': 2 / 3,
        'matching/matched_anchors_per_image': 1.5})
    # TensorBoard shows no other dtype.
    assert {value.tensor.dtype for value in scalars.values()} == {tf.float32.as_datatype_enum}
    assert all(value.metadata.summary_description.endswith('.') for value in summary.value)


def test_training_images_are_drawn_only_when_summaries_are_fetched(evaluate):
    draw_calls = []
    merged = merged_training_summaries(draw_calls)
    evaluate(tf.constant(0))
    assert not draw_calls
    summary = tf.Summary.FromString(evaluate(merged))
    assert sorted(draw_calls) == [
        ((60, 60, 3), (3, 4), [0, 0, 0]), ((60, 60, 3), (3, 4), [1, 2, 1])]
    images = {value.tag: tf.make_ndarray(value.tensor) for value in summary.value
              if value.metadata.plugin_data.plugin_name == 'images'}
    assert sorted(images) == ['training_images/1', 'training_images/2']
    width, height, encoded = images['training_images/1']
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.format == 'JPEG' and image.size == (60, 120) == (int(width), int(height))


def test_evaluation_scalars_and_images():
    result = add_all(Evaluation(CLASSES), *IMAGES).result()
    drawn = Image.new('RGB', (40, 20), 'red')
    summary = board.evaluation_summary(result, [('a.jpg', drawn)] * 2)
    values = {value.tag: value for value in summary.value}
    scalars = {tag: float(tf.make_ndarray(value.tensor))
               for tag, value in values.items() if value.HasField('tensor')}
    assert scalars['mAP/VOC12'] == .75 and scalars['AP_VOC07/cat'] == 1
    assert scalars['mistakes/taken_for_another_class'] == 1
    assert scalars['COCO/precision_of_medium_objects'] == scalars['mAP/COCO']
    assert all(values[tag].metadata.summary_description.endswith('.') for tag in scalars)
    # No curves without ground truth: the third class, small objects.
    assert 'AP_VOC07/cow' not in values and 'COCO/precision_of_small_objects' not in values
    # Numbers keep the tags of images with the same name distinct.
    assert 'detections_against_ground_truth/2_a.jpg' in values
    image = values['detections_against_ground_truth/1_a.jpg'].image
    assert (image.width, image.height) == (40, 20)
    red, green, blue = Image.open(io.BytesIO(image.encoded_image_string)).getpixel((5, 5))
    assert red > 250 and green < 5 and blue < 5


def test_every_coco_metric_has_a_tag():
    assert board._COCO.keys() == SUMMARY_METRICS.keys() - {'AP'}   # AP is mAP/COCO


@pytest.fixture
def open_page(tmp_path):
    """Start a TensorBoard on tmp_path, and return a function that opens a tab in Chromium.

    The function takes the tab and Chromium's arguments, and returns its output.
    """
    names = ('chromium', 'chromium-browser', 'google-chrome')
    chromium = next(filter(None, map(shutil.which, names)), None)
    if not chromium:
        pytest.skip('Chromium is not installed')
    server = subprocess.Popen(
        [sys.executable, '-m', 'tensorboard.main', f'--logdir={tmp_path}', '--host=127.0.0.1',
         '--port=0', '--reload_interval=1'],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    address = next(filter(None, (re.search(r'http://127\.0\.0\.1:\d+/', line)
                                 for line in server.stderr)))[0]

    def open_tab(tab, *arguments):
        for _ in range(60):   # until TensorBoard has read the event files
            with urllib.request.urlopen(f'{address}data/plugin/timeseries/tags',
                                        timeout=30) as answer:
                if json.load(answer)['scalars']['tagDescriptions']:
                    break
            time.sleep(.5)
        return subprocess.run(
            [chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic',
             '--no-first-run', '--disable-background-networking', '--disable-component-update',
             '--disable-sync', '--hide-scrollbars', f'--user-data-dir={tmp_path}/browser',
             '--window-size=1400,1400', '--virtual-time-budget=20000', *arguments,
             f'{address}#{tab}'], capture_output=True, text=True, timeout=120, check=True).stdout
    yield open_tab
    server.terminate()
    server.communicate(timeout=30)


@pytest.mark.slow
def test_a_browser_shows_tags_and_images(evaluate, tmp_path, open_page):
    merged = merged_training_summaries([])
    with tf.summary.FileWriter(str(tmp_path / 'run')) as writer:
        for step in (1, 2):
            writer.add_summary(evaluate(merged), step)
            writer.add_summary(
                summary_ops.scalar_proto('training/images_per_second', 16, 'Throughput.'), step)
    text = open_page('timeseries', '--dump-dom')
    for tag in ('losses/confidence', 'losses/localization', 'losses/weight_decay',
                'matching/well_matched_share', 'matching/matched_anchors_per_image'):
        assert f'title="{tag}"' in text
    open_page('images', f'--screenshot={tmp_path}/images.png')
    with Image.open(tmp_path / 'images.png') as screenshot:
        pixels = np.asarray(screenshot.convert('RGB'), np.int32)
    is_green = np.abs(pixels - GREEN).max(axis=2) < 8
    assert is_green.sum() > 2 * 200 * 200
