"""Many pictures read in order by several processes, a bounded number of them ahead.

What runs in those processes imports no TensorFlow, which would cost each of them half a gigabyte.
"""
import collections
import concurrent.futures
import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from typing import NamedTuple

from common.errors import UserError
from datasets.annotation import Annotation

_AHEAD = 8          # pictures for each process, read or waiting: what bounds the memory
_WORTH_IT = 200     # pictures that one process reads while another starts


class Outcome(NamedTuple):
    """What came of reading one picture."""
    annotation: Annotation   # or None where that failed
    bad_boxes: list          # of `BadBox`, which were left out
    error: UserError         # why it failed, or None


def attempt(read):
    """The `Outcome` of a function (on_bad_box) -> `Annotation`."""
    bad_boxes = []
    try:
        return Outcome(read(bad_boxes.append), bad_boxes, None)
    except UserError as error:
        return Outcome(None, bad_boxes, error)


def outcomes(readers, num_workers=1):
    """The `Outcome` of each of a list of functions (on_bad_box) -> `Annotation`, in order.

    num_workers: processes that read; fewer where there are few pictures. The functions go there pickled.
    """
    num_workers = min(num_workers, len(readers) // _WORTH_IT)
    if num_workers < 2:
        yield from map(attempt, readers)
        return
    # Fresh processes: what TensorFlow keeps in this one must not be forked.
    pool = concurrent.futures.ProcessPoolExecutor(num_workers, multiprocessing.get_context('spawn'), _begin)
    try:
        waiting = collections.deque()
        for read in readers:
            waiting.append(pool.submit(attempt, read))
            if len(waiting) >= _AHEAD * num_workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    except concurrent.futures.BrokenExecutor as error:
        raise UserError('a process that reads pictures was killed, out of memory perhaps: pass a smaller '
                        '--num_workers') from error
    finally:
        pool.shutdown(cancel_futures=True)


def annotations(readers, num_workers=1, on_bad_box=None):
    """The `Annotation` of each picture, in order; the first UserError is raised.

    on_bad_box: function (BadBox) that is told of each box that is left out; without it the first one is raised.
    """
    with contextlib.closing(outcomes(readers, num_workers)) as found:
        for outcome in found:
            for error in outcome.bad_boxes:
                if on_bad_box is None:
                    raise error
                on_bad_box(error)
            if outcome.error:
                raise outcome.error
            yield outcome.annotation


def _begin():
    """In a new process: Ctrl-C is for its parent, and it ends with that, however that ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def watch():
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
    threading.Thread(target=watch, daemon=True).start()
