import io

import numpy as np
from evaluated import APART, SQUARE, picture
from PIL import Image

from metrics import confusion
from visualization import judged

CORNER = [.6, 0, 1, .4]


def judgement(*arguments, **options):
    return confusion.judge(picture(*arguments, **options), .5, .5)


def draw(found, size=(40, 20), side=400):
    buffer = io.BytesIO()
    Image.new('RGB', size).save(buffer, 'PNG')
    return judged.draw(buffer.getvalue(), found, ['cat', 'dog'], side)


def test_each_kind_of_box_has_its_colour():
    found = judgement([SQUARE, APART, CORNER], [1, 1, 2], (), [[0, .02, .4, .42], CORNER, [0, .6, .4, 1]], [1, 1, 2],
                      [.7, .9, .8])
    pixels = np.asarray(draw(found, (100, 100)))
    for place, kind in (((80, 0), 'ground truth, found'), ((320, 399), 'ground truth, missed'),
                        ((159, 100), 'right detection'), ((399, 80), 'detection of an object of another class'),
                        ((80, 399), 'false detection')):
        assert tuple(pixels[place]) == judged.COLOURS[kind], kind


def test_pictures_of_all_sizes_become_as_large():
    assert draw(judgement()).size == (400, 200) and draw(judgement(), (4000, 10)).size == (400, 1)


def test_why():
    found = judgement([SQUARE, APART, CORNER], [1, 1, 2], (), [SQUARE, CORNER, [0, .6, .4, 1], [0, .5, .3, .9]],
                      [2, 1, 2, 2], [.7, .9, .8, .8])
    assert judged.why(found, ['cat', 'dog']) == 'cat missed; dog taken for cat; cat taken for dog; 2 false dog'
    assert judged.why(judgement(), ['cat', 'dog']) == ''


def test_what_does_not_count_is_grey():
    found = judgement([SQUARE, APART], [1, 1], [True, False], [SQUARE], [1], [.9], iscrowd=[False, True])
    pixels = np.asarray(draw(found, (100, 100)))
    assert tuple(pixels[399, 399]) == judged.COLOURS['difficult or crowd, not counted']
    assert tuple(pixels[159, 100]) == judged.COLOURS['detection that does not count']
