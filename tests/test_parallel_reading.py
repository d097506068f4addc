import functools
import os

import pytest
import voc_folder
from voc_folder import box_xml, write_voc

from common.errors import UserError
from datasets import parallel_reading
from datasets.annotation import BadBox


def make_readers(folder, *identifiers):
    readers = voc_folder.readers(folder)
    return [readers[identifier] for identifier in identifiers]


@pytest.fixture
def folder(tmp_path):
    """A valid image, one with a valid and a bad box, and one with invalid XML."""
    return write_voc(tmp_path, {'good': box_xml(), 'bad': box_xml() + box_xml(xmin=-9),
                                'invalid': '<object>'})


def test_results_of_images(folder):
    good, bad, invalid = parallel_reading.read_images(
        make_readers(folder, 'good', 'bad', 'invalid'))
    assert len(good.annotation.boxes) == 1 and good.bad_boxes == [] and good.error is None
    assert len(bad.annotation.boxes) == 1
    assert [error.problem for error in bad.bad_boxes] == ['outside']
    assert invalid.annotation is None and 'not well-formed XML' in str(invalid.error)


def test_bad_boxes_are_raised_or_passed_to_a_function(folder):
    readers, errors = make_readers(folder, 'good', 'bad'), []
    with pytest.raises(BadBox, match='outside'):
        list(parallel_reading.read_annotations(readers))
    annotations = list(parallel_reading.read_annotations(readers, on_bad_box=errors.append))
    assert len(annotations) == 2 and len(errors) == 1


def test_invalid_file_is_raised(folder):
    with pytest.raises(UserError, match='not well-formed XML'):
        list(parallel_reading.read_annotations(
            make_readers(folder, 'invalid'), on_bad_box=lambda _: None))


def test_several_processes_return_the_same_results_in_the_same_order(folder):
    readers = make_readers(folder, *['good', 'bad', 'invalid'] * 150)
    single, parallel = (list(parallel_reading.read_images(readers, workers)) for workers in (1, 2))
    for expected, result in zip(single, parallel, strict=True):
        assert result.annotation == expected.annotation
        assert str(result.error) == str(expected.error)
        assert list(map(str, result.bad_boxes)) == list(map(str, expected.bad_boxes))
        assert [error.problem for error in result.bad_boxes] == [
            error.problem for error in expected.bad_boxes]


def test_number_of_images_read_ahead_is_bounded(folder):
    submitted = []

    class RecordingList(list):
        def __iter__(self):
            for item in super().__iter__():
                submitted.append(item)
                yield item
    results = parallel_reading.read_images(
        RecordingList(make_readers(folder, *['good'] * 400)), 2)
    for _ in range(10):
        next(results)
    assert len(submitted) == 10 - 1 + 8 * 2   # eight per process
    results.close()


def test_killed_process_fails(folder):
    readers = make_readers(folder, 'good') * 400 + [functools.partial(_exit, os.getpid())]
    with pytest.raises(UserError, match='was killed, .*. Pass a smaller --num_workers'):
        list(parallel_reading.read_images(readers, 2))


def _exit(parent, _on_bad_box):
    assert os.getpid() != parent
    os._exit(9)
