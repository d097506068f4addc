import numpy as np

from benchmarks import agreement


def found(*rows, length=4):
    """Detections of a picture: rows of (class, score, box)."""
    classes, scores, boxes = zip(*rows, *[(0, 0, [0] * 4)] * (length - len(rows)), strict=True)
    return {'classes': np.int32([classes]), 'scores': np.float32([scores]), 'boxes': np.float32([boxes]),
            'count': np.int32([len(rows)])}


OURS = found((1, .9, [0, 0, .5, .5]), (2, .8, [.5, .5, 1, 1]), (1, .4, [0, .5, .2, .7]))


def test_boxes_of_the_same_class_that_overlap():
    theirs = found((2, .7, [.5, .5, 1, .9]), (1, .3, [0, .1, .5, .5]), (2, .2, [0, 0, .5, .5]))
    hits, apart = agreement.compare(OURS, theirs, .5)
    assert hits == [True, True]
    np.testing.assert_allclose(apart, [.1, .1], rtol=1e-5)


def test_what_is_of_another_class_too_far_or_too_low():
    assert agreement.compare(OURS, found((2, .9, [0, 0, .5, .5]), (2, .9, [.5, 0, 1, .9])), .5) == ([False, False], [])
    assert agreement.compare(OURS, found(), .85) == ([False], [])
    assert agreement.compare(found(), OURS, .5) == ([], [])


def test_padding_is_not_found():
    theirs = found((1, .9, [.8, .8, .9, .9]), (1, .9, [0, 0, .5, .5]))
    theirs['count'][:] = 1
    assert agreement.compare(OURS, theirs, .85) == ([False], [])


def test_the_cells_of_the_table():
    assert agreement.cells([OURS], [OURS], .5) == '100.00% | 0.0e+00 | 0.0e+00'
    assert agreement.cells([OURS, OURS], [found(), OURS], .5) == '50.00% | 0.0e+00 | 0.0e+00'
    assert agreement.cells([OURS], [found()], .5) == '0 | - | -'
