import functools
import os

import pytest
from voc_folder import box_xml, write_voc

from common.errors import UserError
from datasets import parallel_reading, voc
from datasets.annotation import BadBox


def readers(folder, *names):
    """A function for each picture."""
    return [functools.partial(voc.read_annotation, str(folder), name) for name in names]


@pytest.fixture
def folder(tmp_path):
    return write_voc(tmp_path, {'good': box_xml(), 'bad': box_xml() + box_xml(xmin=-9), 'unread': '<object>'})


def test_what_can_come_of_a_picture(folder):
    good, bad, unread = parallel_reading.outcomes(readers(folder, 'good', 'bad', 'unread'))
    assert len(good.annotation.boxes) == 1 and good.bad_boxes == [] and good.error is None
    assert len(bad.annotation.boxes) == 1 and [error.kind for error in bad.bad_boxes] == ['outside']
    assert unread.annotation is None and 'not well-formed XML' in str(unread.error)


def test_bad_boxes_are_raised_or_told(folder):
    with pytest.raises(BadBox, match='outside'):
        list(parallel_reading.annotations(readers(folder, 'good', 'bad')))
    told = []
    assert len(list(parallel_reading.annotations(readers(folder, 'good', 'bad'), on_bad_box=told.append))) == 2
    assert len(told) == 1
    with pytest.raises(UserError, match='not well-formed XML'):
        list(parallel_reading.annotations(readers(folder, 'unread'), on_bad_box=told.append))


def test_several_processes_read_the_same_in_the_same_order(folder):
    several = readers(folder, *['good', 'bad', 'unread'] * 150)
    alone, together = (list(parallel_reading.outcomes(several, workers)) for workers in (1, 2))
    assert [one.annotation for one in alone] == [one.annotation for one in together]
    assert [str(one.error) for one in alone] == [str(one.error) for one in together]
    assert [[(e.kind, str(e)) for e in one.bad_boxes] for one in alone] == [
        [(e.kind, str(e)) for e in one.bad_boxes] for one in together]


def test_no_more_is_read_than_is_waited_for(folder):
    drawn = []

    class Counting(list):
        def __iter__(self):
            for item in super().__iter__():
                drawn.append(item)
                yield item
    found = parallel_reading.outcomes(Counting(readers(folder, *['good'] * 400)), 2)
    for _ in range(10):
        next(found)
    assert len(drawn) == 10 - 1 + 8 * 2      # eight ahead for each of two processes
    found.close()


def test_a_process_that_is_killed(folder):
    with pytest.raises(UserError, match='was killed, out of memory perhaps: pass a smaller --num_workers'):
        list(parallel_reading.outcomes(readers(folder, 'good') * 400 + [functools.partial(_die, os.getpid())], 2))


def _die(parent, on_bad_box):
    del on_bad_box
    assert os.getpid() != parent
    os._exit(9)
