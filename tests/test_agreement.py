import numpy as np

from benchmarks import agreement


def make_outputs(*detections, length=4):
    """Return the outputs for one image with detections (class, score, box)."""
    padding = [(0, 0, [0] * 4)] * (length - len(detections))
    classes, scores, boxes = zip(*detections, *padding, strict=True)
    return {'classes': np.int32([classes]), 'scores': np.float32([scores]),
            'boxes': np.float32([boxes]), 'count': np.int32([len(detections)])}


REFERENCE = make_outputs((1, .9, [0, 0, .5, .5]), (2, .8, [.5, .5, 1, 1]),
                         (1, .4, [0, .5, .2, .7]))


def test_match_uses_the_box_of_the_same_class_with_the_largest_overlap():
    candidate = make_outputs((2, .7, [.5, .5, 1, .9]), (1, .3, [0, .1, .5, .5]),
                             (2, .2, [0, 0, .5, .5]))
    is_matched, distances = agreement.match(REFERENCE, candidate, .5)
    assert is_matched == [True, True]
    np.testing.assert_allclose(distances, [.1, .1], rtol=1e-5)


def test_match_requires_class_and_overlap():
    candidate = make_outputs((2, .9, [0, 0, .5, .5]), (2, .9, [.5, 0, 1, .9]))
    assert agreement.match(REFERENCE, candidate, .5) == ([False, False], [])


def test_match_without_detections():
    assert agreement.match(REFERENCE, make_outputs(), .85) == ([False], [])
    assert agreement.match(make_outputs(), REFERENCE, .5) == ([], [])


def test_match_ignores_padding():
    candidate = make_outputs((1, .9, [.8, .8, .9, .9]), (1, .9, [0, 0, .5, .5]))
    candidate['count'][:] = 1
    assert agreement.match(REFERENCE, candidate, .85) == ([False], [])


def test_format_cells():
    assert agreement.format_cells([REFERENCE], [REFERENCE], .5) == '100.00% | 0.0e+00 | 0.0e+00'
    assert agreement.format_cells([REFERENCE] * 2, [make_outputs(), REFERENCE], .5) == (
        '50.00% | 0.0e+00 | 0.0e+00')
    assert agreement.format_cells([REFERENCE], [make_outputs()], .5) == '0 | - | -'
