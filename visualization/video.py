"""Video files, read and written with OpenCV (optional): frame by frame, so that any length fits into memory."""
import json
import math
import os
from typing import NamedTuple

import numpy as np

from common import files
from common.errors import UserError
from common.log import log

EXTENSIONS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
_CODEC = 'mp4v'            # MPEG-4, which every wheel of OpenCV can write
_MOST_FPS, _USUAL_FPS = 1000, 25
_EXACT_FPS = 65            # above it MPEG-4 has no room for fractions


class Frame(NamedTuple):
    """One picture of a video."""
    time: float            # seconds from the start
    pixels: np.ndarray     # [height, width, 3] uint8 RGB


def is_video(path):
    """Whether the name of a file says that it is a video."""
    return path.lower().endswith(EXTENSIONS)


def require(path):
    """OpenCV, which says nothing of its own; UserError that names the video which needs it where it is missing."""
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'OFF')
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    try:
        import cv2
    except ImportError as error:
        raise UserError(f'{path} is a video, and videos need OpenCV, which is missing: '
                        f'pip install -r requirements-video.txt') from error
    return cv2


class Reader:
    """The frames of a video, upright as its camera noted it: iterate over it, once, within `with`.

    height, width: of a frame. fps: frames a second. num_frames: as the file says, which may be an estimate; 0 where it
    says nothing. UserError where there is no frame to read.
    """

    def __init__(self, path):
        self._cv2 = require(path)
        if not os.path.isfile(path):
            raise UserError(f'{path}: there is no such file')
        self._capture = self._cv2.VideoCapture(path)
        self._next = self._read()
        if self._next is None:
            self._capture.release()
            raise UserError(f'{path}: is no video that OpenCV can read, or has no frame; replace or remove it')
        self.height, self.width = self._next.pixels.shape[:2]
        fps, frames = (self._capture.get(what) for what in (self._cv2.CAP_PROP_FPS, self._cv2.CAP_PROP_FRAME_COUNT))
        fps = fps if 0 < fps <= _MOST_FPS else _USUAL_FPS
        self.fps = fps if fps <= _EXACT_FPS else round(fps)
        self.num_frames = int(frames) if math.isfinite(frames) and frames > 0 else 0

    def _read(self):
        there, pixels = self._capture.read()
        if not there:
            return None
        time = max(self._capture.get(self._cv2.CAP_PROP_POS_MSEC), 0) / 1000
        return Frame(time, self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB))

    def __iter__(self):
        while self._next is not None:
            frame, self._next = self._next, self._read()
            if frame.pixels.shape[:2] != (self.height, self.width):   # streams may change their size
                frame = frame._replace(pixels=self._cv2.resize(frame.pixels, (self.width, self.height)))
            yield frame

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._capture.release()


class Writer:
    """A drawn video, `path` (.mp4), and what was found in it, the same with .json: both whole or not there.

    Within `with`, both are written as `files.partial_path`, and get their names at its end. Where an error or Ctrl-C
    ends it, they are closed, so that they can be played and read, keep those names, and the log says so.

    The JSON is a dict: facts of the video, and 'frames', a list of {'frame', 'time', 'detections'}, one a line.
    """

    def __init__(self, path, facts, height, width, fps):
        self._cv2, self._count = require(path), 0
        self._path, self._json_path = path, os.path.splitext(path)[0] + '.json'
        self._partial, self._json_partial = map(files.partial_path, (self._path, self._json_path))
        self._json = open(self._json_partial, 'w', encoding='utf-8')   # noqa: SIM115 - open while frames come
        self._json.write(json.dumps(facts)[:-1] + ', "frames": [')
        self._video = self._cv2.VideoWriter(self._partial, self._cv2.VideoWriter_fourcc(*_CODEC), fps, (width, height))
        if not self._video.isOpened():
            self._json.close()
            os.remove(self._json_partial)
            raise UserError(f'{path} cannot be written with {width}x{height} pixels at {fps:g} frames a second; '
                            f'is --output_dir writable, and the disk not full?')

    def add(self, time, pixels, detections):
        """The next frame: its seconds from the start, pixels [height, width, 3] uint8 RGB, and what JSON can."""
        self._video.write(self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2BGR))
        entry = json.dumps({'frame': self._count, 'time': round(time, 6), 'detections': detections})
        with files.add_path_to_errors(self._json_partial):
            self._json.write(f'{"," if self._count else ""}\n{entry}')
            self._json.flush()   # OpenCV says nothing of a full disk, this does
        self._count += 1

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        whole = False
        self._video.release()
        frames = self._frames_written()
        if not frames:
            os.remove(self._partial)   # it does not play; where the disk is full, this makes room
        try:
            with files.add_path_to_errors(self._json_partial), self._json:
                self._json.write('\n]}\n')
            whole = kind is None and frames == self._count
        finally:
            if not whole:
                self._say_what_is_kept()
        if whole:
            os.replace(self._json_partial, self._json_path)
            os.replace(self._partial, self._path)
        elif kind is None:
            raise UserError(f'{self._path}: only {frames} of {self._count} frames could be written, so the disk is '
                            f'full or broken; make room and start the same command again')

    def _frames_written(self):
        """OpenCV reports nothing while it writes, so the file is asked."""
        written = self._cv2.VideoCapture(self._partial)
        frames = int(written.get(self._cv2.CAP_PROP_FRAME_COUNT))
        written.release()
        return frames

    def _say_what_is_kept(self):
        if not self._count:
            os.remove(self._json_partial)
            return
        kept = [path for path in (self._json_partial, self._partial) if os.path.exists(path)]
        log.info('what was found in the first %d frames is kept in %s', self._count, ' and '.join(kept))
