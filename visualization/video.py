"""Read and write videos with OpenCV (optional), frame by frame, in constant memory."""
import json
import math
import os
from typing import NamedTuple

import numpy as np

from common import files
from common.errors import UserError
from common.log import log

EXTENSIONS = ('.mp4', '.avi', '.mov', '.mkv', '.webm')
_CODEC = 'mp4v'        # MPEG-4, which every build of OpenCV can write
_MAX_FPS = 1000        # above it, the frame rate in a file is taken for an error
_DEFAULT_FPS = 25      # for files without a valid frame rate
_MAX_EXACT_FPS = 65    # above it, MPEG-4 cannot store fractional frame rates


class Frame(NamedTuple):
    """One frame of a video."""
    time: float            # seconds from the start
    pixels: np.ndarray     # [height, width, 3] uint8 RGB


def is_video(path):
    """Return whether a file name has the extension of a video."""
    return path.lower().endswith(EXTENSIONS)


def import_cv2(path):
    """Return the module cv2, with OpenCV's own messages switched off.

    Args:
        path: the video that needs OpenCV, for the error message.

    Raises:
        UserError: If OpenCV is not installed.
    """
    os.environ.setdefault('OPENCV_LOG_LEVEL', 'OFF')
    os.environ.setdefault('OPENCV_FFMPEG_LOGLEVEL', '-8')
    try:
        import cv2
    except ImportError as error:
        raise UserError(f'{path} is a video, and videos need OpenCV, which is not installed. '
                        'Run pip install -r requirements-video.txt') from error
    return cv2


class Reader:
    """Iterator over the frames of a video, rotated upright as the camera recorded. Iterate once.

    Leaving the context closes the file.

    Attributes:
        height, width: size of the frames in pixels.
        fps: frames per second.
        num_frames: number of frames in the file's header, which may be an estimate; 0 if unknown.
    """

    def __init__(self, path):
        """Open a video and read its first frame.

        Raises:
            UserError: If the file does not exist or has no frame that OpenCV can read.
        """
        self._cv2 = import_cv2(path)
        if not os.path.isfile(path):
            problem = 'not a regular file' if os.path.exists(path) else 'the file does not exist'
            raise UserError(f'{path}: {problem}')
        self._capture = self._cv2.VideoCapture(path)
        self._next = self._read()
        if self._next is None:
            self._capture.release()
            raise UserError(f'{path}: OpenCV cannot read any frame of this video. Replace or '
                            'remove the file')
        self.height, self.width = self._next.pixels.shape[:2]
        fps = self._capture.get(self._cv2.CAP_PROP_FPS)
        num_frames = self._capture.get(self._cv2.CAP_PROP_FRAME_COUNT)
        fps = fps if 0 < fps <= _MAX_FPS else _DEFAULT_FPS
        self.fps = fps if fps <= _MAX_EXACT_FPS else round(fps)
        self.num_frames = int(num_frames) if math.isfinite(num_frames) and num_frames > 0 else 0

    def _read(self):
        """Return the next `Frame`, None at the end."""
        success, pixels = self._capture.read()
        if not success:
            return None
        time = max(self._capture.get(self._cv2.CAP_PROP_POS_MSEC), 0) / 1000
        return Frame(time, self._cv2.cvtColor(pixels, self._cv2.COLOR_BGR2RGB))

    def __iter__(self):
        while self._next is not None:
            frame, self._next = self._next, self._read()
            if frame.pixels.shape[:2] != (self.height, self.width):   # a stream may change its size
                pixels = self._cv2.resize(frame.pixels, (self.width, self.height))
                frame = frame._replace(pixels=pixels)
            yield frame

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._capture.release()


class Writer:
    """Context that writes a drawn video (.mp4) and its detections (.json, same name).

    Both files are written as `files.partial_path` and renamed on exit, when they are complete.
    After an error or Ctrl-C they are closed properly, so that they can be played and read, but keep
    their partial names, and the log says so.

    The JSON is a dict: `facts`, and 'frames', a list of {'frame', 'time', 'detections'}, one per
    line.
    """

    def __init__(self, path, facts, height, width, fps):
        """Open both files.

        Args:
            path: the video, .mp4.
            facts: dict of JSON values about the video.
            height, width: size of the frames in pixels.
            fps: frames per second.

        Raises:
            UserError: If OpenCV cannot write such a video.
        """
        self._cv2, self._num_frames = import_cv2(path), 0
        self._path, self._json_path = path, os.path.splitext(path)[0] + '.json'
        self._partial = files.partial_path(self._path)
        self._json_partial = files.partial_path(self._json_path)
        self._json = files.open_output(self._json_partial, 'w', encoding='utf-8')   # see __exit__
        self._json.write(json.dumps(facts)[:-1] + ', "frames": [')
        codec = self._cv2.VideoWriter_fourcc(*_CODEC)
        if os.path.islink(self._partial):
            os.remove(self._partial)   # OpenCV would write to its target
        self._video = self._cv2.VideoWriter(self._partial, codec, fps, (width, height))
        if not self._video.isOpened():
            self._json.close()
            os.remove(self._json_partial)
            raise UserError(f'{path}: OpenCV cannot write a video of {width}x{height} pixels at '
                            f'{fps:g} frames/s. Check that --output_dir is writable and the disk '
                            'is not full')

    def add(self, time, pixels, detections):
        """Write the next frame.

        Args:
            time: seconds from the start.
            pixels: [height, width, 3] uint8 RGB.
            detections: a JSON value.
        """
        self._video.write(self._cv2.cvtColor(pixels, self._cv2.COLOR_RGB2BGR))
        entry = json.dumps(
            {'frame': self._num_frames, 'time': round(time, 6), 'detections': detections})
        with files.add_path_to_errors(self._json_partial):
            self._json.write(f'{"," if self._num_frames else ""}\n{entry}')
            self._json.flush()   # raises if the disk is full, which OpenCV does not report
        self._num_frames += 1

    def __enter__(self):
        return self

    def __exit__(self, error_type, *error):
        is_complete = False
        self._video.release()
        num_written = self._count_written_frames()
        if not num_written:
            os.remove(self._partial)   # cannot be played; on a full disk, this frees space
        try:
            with files.add_path_to_errors(self._json_partial), self._json:
                self._json.write('\n]}\n')
            is_complete = error_type is None and num_written == self._num_frames
        finally:
            if not is_complete:
                self._log_partial_files()
        if is_complete:
            os.replace(self._json_partial, self._json_path)
            os.replace(self._partial, self._path)
        elif error_type is None:
            raise UserError(f'{self._path}: only {num_written} of {self._num_frames} frames were '
                            'written, because the disk is full or broken. Free space and run the '
                            'same command again')

    def _count_written_frames(self):
        """Return the number of frames in the file: OpenCV does not report errors of writing."""
        capture = self._cv2.VideoCapture(self._partial)
        num_frames = int(capture.get(self._cv2.CAP_PROP_FRAME_COUNT))
        capture.release()
        return num_frames

    def _log_partial_files(self):
        """Log the names of the partial files; remove the JSON file if it has no frames."""
        if not self._num_frames:
            os.remove(self._json_partial)
            return
        paths = [path for path in (self._json_partial, self._partial) if os.path.exists(path)]
        log.info('results of the first %d frames saved to %s', self._num_frames,
                 ' and '.join(paths))
