"""Checks that the readers of all formats share."""
import pickle

import pytest

from datasets import check_report
from datasets.annotation import (
    AnnotationError,
    BadBox,
    check_pixels,
    check_size,
    make_annotation,
)
from datasets.images import EncodedImage

IMAGE = EncodedImage(b'', height=80, width=100)
CORNER, WHOLE = (0., 0., .5, .5), (0., 0., 1., 1.)


@pytest.mark.parametrize('declared', [
    (100, 80), ('100', ' 80 '), (100., 80.), (None, None), (0, 0), ('', '0'), (-1, 'wide'),
    (float('nan'), float('inf')), (None, 80), ([], {}), ('1e400', 10 ** 400)])
def test_sizes_that_agree_or_are_unknown(declared):
    check_size('a.jpg', declared, IMAGE, 'a.xml')


@pytest.mark.parametrize('declared, message', [
    ((200, 160), 'a.xml: the size of a.jpg is 200x160 pixels, but the file has 100x80, so its box'),
    (('100', '81'), '100x81 pixels, but the file has 100x80'),
    ((None, 81), 'is .x81 pixels'), ((80, 100), '80x100 pixels, but the file has 100x80, so its ')])
def test_sizes_that_differ(declared, message):
    with pytest.raises(AnnotationError, match=message) as error:
        check_size('a.jpg', declared, IMAGE, 'a.xml')
    assert error.value.problem == 'size'
    assert pickle.loads(pickle.dumps(error.value)).problem == 'size'


def test_the_size_of_the_rotated_image():
    """EXIF orientations 5 to 8 swap the sides."""
    for orientation, remedy in ((6, 'Pass --apply_exif_orientation'), (3, 'Annotate the file as')):
        with pytest.raises(AnnotationError, match=f'80x100 pixels, but .*100x80.*{remedy}'):
            check_size('a.jpg', (80, 100), IMAGE._replace(orientation=orientation), 'a.xml')


@pytest.mark.parametrize('boxes', [
    [], [(1., 1., 1., 1.)], [(0., 0., 1., 2.)], [CORNER, (3., 3., 5., 5.)], [(-1., 0., 1., 1.)]])
def test_boxes_in_pixels(boxes):
    check_pixels(boxes, IMAGE, 'a.xml')


@pytest.mark.parametrize('boxes', [[CORNER], [WHOLE], [CORNER, WHOLE]])
def test_boxes_that_are_relative(boxes):
    with pytest.raises(AnnotationError, match=r'a.xml: all coordinates are in \[0, 1\]') as error:
        check_pixels(boxes, IMAGE, 'a.xml')
    assert error.value.problem == 'relative'
    check_pixels(boxes, EncodedImage(b'', 1, 1), 'a.xml')   # the whole image is one pixel


def make(rows, image=IMAGE):
    return make_annotation('a.jpg', image, rows, lambda row: row)


def test_boxes_that_occur_twice_are_dropped():
    rows = [(CORNER, 'cat', False, False), (WHOLE, 'cat', True, False),
            (CORNER, 'cat', True, True), (CORNER, 'dog', False, False)]
    annotation = make(rows)
    assert annotation.boxes == [CORNER, WHOLE, CORNER]
    assert annotation.names == ['cat', 'cat', 'dog']
    assert annotation.difficult == [False, True, False]   # those of the first of two
    assert annotation.notes == [('repeated', "a.jpg: a box of class 'cat'")]


def test_an_orientation_that_is_not_applied_is_noted():
    assert make([]).notes == []
    assert make([], IMAGE._replace(orientation=6)).notes == [('rotated', 'a.jpg')]


def test_notes_of_a_conversion():
    notes = [('unused', f'{name}.xml') for name in 'abcd'] + [('rotated', 'a.jpg')]
    assert check_report.note_lines('train', notes) == [
        'train: note: files or annotations that are not used: 4, for example: a.xml; b.xml; c.xml '
        '(run with --check to list them)',
        'train: note: images with an EXIF orientation: 1, for example: a.jpg '
        '(run with --check to list them)']
    with pytest.raises(ValueError, match='b.xml has another size'):
        check_report.note_lines('train', [*notes, ('size', 'b.xml has another size')])


def test_errors_of_boxes_are_errors_of_annotations():
    assert isinstance(BadBox('outside', 'x'), AnnotationError)


@pytest.mark.parametrize('image, notes', [
    (EncodedImage(b'', 20, 30, contrast=8), []),
    (EncodedImage(b'', 20, 30, contrast=7),
     [('plain', 'a.jpg: its levels differ by 7 of 255')]),
    (EncodedImage(b'', 5000, 10_000), []),
    (EncodedImage(b'', 5001, 10_000), [('large', 'a.jpg: 10000x5001 pixels')])])
def test_images_that_are_noted(image, notes):
    assert make_annotation('a.jpg', image, [], None).notes == notes
