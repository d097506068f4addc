"""Reading of annotated images in several processes, in order and with bounded memory.

An image reader is a function `read(on_bad_box)` that returns an `Annotation`; see
`annotation_source.AnnotationSource`. The code that runs in the worker processes must not import
TensorFlow, which would take half a gigabyte per process.
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

_MAX_PENDING = 8   # images per process that are submitted or read ahead; bounds the memory
# One process reads about this many images in the time that another one needs to start.
_MIN_IMAGES_PER_PROCESS = 200


class ReadResult(NamedTuple):
    """The result of reading one image: an annotation or an error."""
    annotation: Annotation   # None if reading failed
    bad_boxes: list          # `BadBox` errors of the boxes that were skipped
    error: UserError         # why reading failed, or None


def try_read(read):
    """Call an image reader and return a `ReadResult`, in which bad boxes are skipped."""
    bad_boxes = []
    try:
        return ReadResult(read(bad_boxes.append), bad_boxes, None)
    except UserError as error:
        return ReadResult(None, bad_boxes, error)


def read_images(readers, num_workers=1):
    """Yield the `ReadResult` of each image reader, in order.

    Args:
        readers: List of image readers that can be pickled.
        num_workers: Maximum number of processes; small numbers of images are read by fewer.

    Raises:
        UserError: If a process is killed.
    """
    num_workers = min(num_workers, len(readers) // _MIN_IMAGES_PER_PROCESS)
    if num_workers < 2:
        yield from map(try_read, readers)
        return
    # Spawned, not forked: the state of TensorFlow in this process must not be copied.
    pool = concurrent.futures.ProcessPoolExecutor(
        num_workers, multiprocessing.get_context('spawn'), _initialize_worker)
    try:
        pending = collections.deque()
        for read in readers:
            pending.append(pool.submit(try_read, read))
            if len(pending) >= _MAX_PENDING * num_workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except concurrent.futures.BrokenExecutor as error:
        raise UserError('a process that reads images was killed, probably because memory ran out. '
                        'Pass a smaller --num_workers') from error
    finally:
        pool.shutdown(cancel_futures=True)


def read_annotations(readers, num_workers=1, on_bad_box=None):
    """Yield the `Annotation` of each image reader, in order.

    Args:
        readers: List of image readers that can be pickled.
        num_workers: Maximum number of processes.
        on_bad_box: Function (BadBox), called for each box that is skipped. None: raise the error.

    Raises:
        UserError: The first error of a reader.
    """
    with contextlib.closing(read_images(readers, num_workers)) as results:
        for result in results:
            for error in result.bad_boxes:
                if on_bad_box is None:
                    raise error
                on_bad_box(error)
            if result.error:
                raise result.error
            yield result.annotation


def _initialize_worker():
    """Leave Ctrl-C to the parent process, and exit when the parent ends for any reason."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def exit_with_parent():
        multiprocessing.connection.wait([parent.sentinel])
        os._exit(1)
    threading.Thread(target=exit_with_parent, daemon=True).start()
