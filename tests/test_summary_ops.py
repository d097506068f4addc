"""What a run writes for TensorBoard, and what a real browser shows of it."""
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
from PIL import Image

from visualization import board, summary_ops

GREEN = (20, 200, 40)
BATCH = {   # two pictures, the second without objects; two of three ground truths are reached
    'image': np.full([2, 60, 60, 3], GREEN, np.uint8), 'boxes': np.zeros([2, 3, 4], np.float32),
    'labels': np.int32([[1, 2, 1], [0, 0, 0]]), 'num_well_matched': np.int32([2, 0]),
    'target_labels': np.int32([[0, 1, 2, 0, 1], [0, 0, 0, 0, 0]])}


def summaries_of_a_step(drawn):
    """The summaries of a training step over BATCH; drawn: a list that gets what is drawn."""
    def draw(pixels, boxes, labels):
        drawn.append((pixels.shape, boxes.shape, labels.tolist()))
        return np.repeat(pixels, 2, axis=0)
    parts = {name: tf.constant(value) for name, value in
             {'confidence': 3., 'localization': 1.5, 'decay': .25}.items()}
    batch = {name: tf.constant(value) for name, value in BATCH.items()}
    return tf.summary.merge(board.training_summaries(parts, tf.constant(.001), batch, draw))


def test_scalars_have_a_name_a_number_and_a_sentence(evaluate):
    summary = tf.Summary.FromString(evaluate(summaries_of_a_step([])))
    scalars = {value.tag: value for value in summary.value if value.metadata.plugin_data.plugin_name == 'scalars'}
    assert {tag: tf.make_ndarray(value.tensor) for tag, value in scalars.items()} == pytest.approx({
        'losses/confidence': 3, 'losses/localization': 1.5, 'losses/weight_decay': .25, 'training/learning_rate': .001,
        'matching/well_matched_share': 2 / 3, 'matching/matched_anchors_per_picture': 1.5})
    assert {value.tensor.dtype for value in scalars.values()} == {tf.float32.as_datatype_enum}   # others are not shown
    assert all(value.metadata.summary_description.endswith('.') for value in summary.value)


def test_pictures_are_drawn_where_they_are_fetched(evaluate):
    drawn = []
    merged = summaries_of_a_step(drawn)
    evaluate(tf.constant(0))
    assert not drawn
    summary = tf.Summary.FromString(evaluate(merged))
    assert sorted(drawn) == [((60, 60, 3), (3, 4), [0, 0, 0]), ((60, 60, 3), (3, 4), [1, 2, 1])]
    pictures = {value.tag: tf.make_ndarray(value.tensor) for value in summary.value
                if value.metadata.plugin_data.plugin_name == 'images'}
    assert sorted(pictures) == ['training_images/1', 'training_images/2']
    width, height, encoded = pictures['training_images/1']
    with Image.open(io.BytesIO(encoded)) as image:
        assert image.format == 'JPEG' and image.size == (60, 120) == (int(width), int(height))


def test_a_number_that_no_graph_makes():
    value, = summary_ops.scalar_now('training/images_per_second', 16, 'How fast.').value
    assert value.tag == 'training/images_per_second' and tf.make_ndarray(value.tensor) == 16
    assert value.metadata.summary_description == 'How fast.'


@pytest.fixture
def page(tmp_path):
    """A function (tab, what Chromium shall do) -> its output, on a TensorBoard over what tmp_path holds."""
    chromium = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))), None)
    if not chromium:
        pytest.skip('no Chromium is installed')
    server = subprocess.Popen(
        [sys.executable, '-m', 'tensorboard.main', f'--logdir={tmp_path}', '--host=127.0.0.1', '--port=0',
         '--reload_interval=1'], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    address = next(filter(None, (re.search(r'http://127\.0\.0\.1:\d+/', line) for line in server.stderr)))[0]

    def look(tab, *action):
        for _ in range(60):   # until what was written is read
            with urllib.request.urlopen(f'{address}data/plugin/timeseries/tags', timeout=30) as answer:
                if json.load(answer)['scalars']['tagDescriptions']:
                    break
            time.sleep(.5)
        return subprocess.run(
            [chromium, '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
             '--disable-background-networking', '--disable-component-update', '--disable-sync', '--hide-scrollbars',
             f'--user-data-dir={tmp_path}/browser', '--window-size=1400,1400', '--virtual-time-budget=20000', *action,
             f'{address}#{tab}'], capture_output=True, text=True, timeout=120, check=True).stdout
    yield look
    server.terminate()
    server.communicate(timeout=30)


@pytest.mark.slow
def test_a_browser_shows_names_numbers_and_pictures(evaluate, tmp_path, page):
    merged = summaries_of_a_step([])
    with tf.summary.FileWriter(str(tmp_path / 'run')) as writer:
        for step in (1, 2):
            writer.add_summary(evaluate(merged), step)
            writer.add_summary(summary_ops.scalar_now('training/images_per_second', 16, 'How fast.'), step)
    text = page('timeseries', '--dump-dom')
    for name in ('losses/confidence', 'losses/localization', 'losses/weight_decay', 'matching/well_matched_share',
                 'matching/matched_anchors_per_picture'):
        assert f'title="{name}"' in text
    page('images', f'--screenshot={tmp_path}/images.png')
    with Image.open(tmp_path / 'images.png') as shown:
        distance = np.abs(np.asarray(shown.convert('RGB'), np.int32) - GREEN).max(axis=2)
    assert (distance < 8).sum() > 2 * 200 * 200
