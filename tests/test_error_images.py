import io

import numpy as np
import pytest
from evaluated_images import FAR_SQUARE, SQUARE, make_image
from PIL import Image

from metrics import confusion
from visualization import error_images

CORNER = [.6, 0, 1, .4]
CLASSES = ['cat', 'dog']


def find_errors(*arguments, **fields):
    return confusion.find_errors(make_image(*arguments, **fields), min_score=.5, min_iou=.5)


def draw(errors, size=(40, 20), side=400):
    """Draw the errors on a black image of this (width, height)."""
    buffer = io.BytesIO()
    Image.new('RGB', size).save(buffer, 'PNG')
    return error_images.draw(buffer.getvalue(), errors, CLASSES, side)


@pytest.mark.parametrize('position, outcome', [
    ((80, 0), 'ground truth, detected'), ((320, 399), 'ground truth, missed'),
    ((159, 100), 'correct detection'), ((399, 80), 'detection of an object of another class'),
    ((80, 399), 'false positive')])
def test_boxes_have_the_color_of_their_outcome(position, outcome):
    errors = find_errors([SQUARE, FAR_SQUARE, CORNER], [1, 1, 2],
                         [([0, .02, .4, .42], 1, .7), (CORNER, 1, .9), ([0, .6, .4, 1], 2, .8)])
    assert tuple(np.asarray(draw(errors, (100, 100)))[position]) == error_images.COLORS[outcome]


def test_the_longer_side_has_the_given_length():
    assert draw(find_errors()).size == (400, 200)
    assert draw(find_errors(), (4000, 10)).size == (400, 1)


def test_describe_errors():
    errors = find_errors([SQUARE, FAR_SQUARE, CORNER], [1, 1, 2],
                         [(SQUARE, 2, .7), (CORNER, 1, .9), ([0, .6, .4, 1], 2, .8),
                          ([0, .5, .3, .9], 2, .8)])
    assert error_images.describe_errors(errors, CLASSES) == (
        'cat missed; dog detected as cat; cat detected as dog; 2 false dog')
    assert error_images.describe_errors(find_errors(), CLASSES) == ''


def test_ignored_ground_truths_and_detections_are_gray():
    errors = find_errors([SQUARE, FAR_SQUARE], [1, 1], [(SQUARE, 1, .9)],
                         difficult=[True, False], iscrowd=[False, True])
    pixels = np.asarray(draw(errors, (100, 100)))
    ignored_object = error_images.COLORS['ground truth, ignored (difficult or crowd)']
    assert tuple(pixels[399, 399]) == ignored_object
    assert tuple(pixels[159, 100]) == error_images.COLORS['ignored detection']
