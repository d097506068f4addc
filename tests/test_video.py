import json
import pathlib
import struct
import sys

import numpy as np
import pytest

from common.errors import UserError
from common.log import log
from visualization import video

FACTS = {'video': 'a.mp4'}


def write(folder, count=5, size=(64, 48), fps=10.):
    """A video of grey frames, each 20 brighter than the one before; returns its path."""
    with video.Writer(str(folder / 'clip.mp4'), FACTS, size[1], size[0], fps) as writer:
        for index in range(count):
            writer.add(index / fps, np.full([size[1], size[0], 3], 20 * index, np.uint8), [index] * index)
    return str(folder / 'clip.mp4')


def test_frames_there_and_back(tmp_path):
    with video.Reader(write(tmp_path)) as reader:
        assert (reader.width, reader.height, reader.fps, reader.num_frames) == (64, 48, 10, 5)
        frames = list(reader)
    assert [round(frame.time, 6) for frame in frames] == [0, .1, .2, .3, .4]
    for index, frame in enumerate(frames):
        assert frame.pixels.shape == (48, 64, 3) and frame.pixels.dtype == np.uint8
        np.testing.assert_allclose(frame.pixels, 20 * index, atol=6)   # of a lossy codec


def test_what_was_found_is_one_frame_a_line(tmp_path):
    write(tmp_path, count=3)
    text = (tmp_path / 'clip.json').read_text()
    assert json.loads(text) == {'video': 'a.mp4', 'frames': [
        {'frame': 0, 'time': 0, 'detections': []}, {'frame': 1, 'time': .1, 'detections': [1]},
        {'frame': 2, 'time': .2, 'detections': [2, 2]}]}
    assert len(text.splitlines()) == 5
    assert sorted(path.name for path in tmp_path.iterdir()) == ['clip.json', 'clip.mp4']


def test_colours_are_rgb(tmp_path):
    with video.Writer(str(tmp_path / 'red.mp4'), FACTS, 48, 64, 10) as writer:
        writer.add(0, np.broadcast_to(np.uint8([200, 40, 20]), [48, 64, 3]), [])
    frame, = video.Reader(str(tmp_path / 'red.mp4'))
    np.testing.assert_allclose(frame.pixels.mean((0, 1)), [200, 40, 20], atol=10)


@pytest.mark.parametrize('name, codec', [('a.avi', 'MJPG'), ('a.mov', 'mp4v'), ('a.mkv', 'mp4v'), ('a.webm', 'VP80')])
def test_other_containers(tmp_path, name, codec):
    cv2 = video.require(name)
    writer = cv2.VideoWriter(str(tmp_path / name), cv2.VideoWriter_fourcc(*codec), 10, (64, 48))
    for index in range(5):
        writer.write(np.full([48, 64, 3], 50 * index, np.uint8))
    writer.release()
    assert video.is_video(name.upper())
    frames = list(video.Reader(str(tmp_path / name)))
    assert [round(frame.time, 3) for frame in frames] == [0, .1, .2, .3, .4]
    np.testing.assert_allclose([frame.pixels.mean() for frame in frames], [0, 50, 100, 150, 200], atol=6)


def test_a_turned_camera_gives_upright_frames(tmp_path):
    content = bytearray(pathlib.Path(write(tmp_path)).read_bytes())
    start = content.index(b'tkhd') + 44   # the matrix of the track: a quarter turn
    content[start:start + 36] = struct.pack('>9i', 0, 1 << 16, 0, -1 << 16, 0, 0, 48 << 16, 0, 1 << 30)
    (tmp_path / 'turned.mp4').write_bytes(content)
    with video.Reader(str(tmp_path / 'turned.mp4')) as reader:
        assert (reader.width, reader.height) == (48, 64)
        assert {frame.pixels.shape for frame in reader} == {(64, 48, 3)}


def test_a_video_that_is_broken_in_the_middle_gives_what_is_there(tmp_path):
    cv2 = video.require('')
    writer = cv2.VideoWriter(str(tmp_path / 'a.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for _ in range(40):
        writer.write(np.random.RandomState(0).randint(0, 256, [48, 64, 3], np.uint8))
    writer.release()
    content = (tmp_path / 'a.avi').read_bytes()
    (tmp_path / 'half.avi').write_bytes(content[:len(content) // 2])
    reader = video.Reader(str(tmp_path / 'half.avi'))
    assert reader.num_frames > len(list(reader)) > 0


@pytest.mark.parametrize('content', [b'', b'no video'])
def test_what_is_no_video(tmp_path, content, capfd):
    (tmp_path / 'a.mp4').write_bytes(content)
    with pytest.raises(UserError, match='a.mp4: is no video that OpenCV can read, or has no frame; replace'):
        video.Reader(str(tmp_path / 'a.mp4'))
    with pytest.raises(UserError, match='none.mp4: there is no such file'):
        video.Reader(str(tmp_path / 'none.mp4'))
    assert capfd.readouterr() == ('', '')


def test_a_video_without_frames(tmp_path):
    cv2 = video.require('')
    cv2.VideoWriter(str(tmp_path / 'a.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10, (64, 48)).release()
    with pytest.raises(UserError, match='or has no frame'):
        video.Reader(str(tmp_path / 'a.mp4'))


def test_opencv_is_asked_for_by_name(monkeypatch):
    monkeypatch.setitem(sys.modules, 'cv2', None)
    with pytest.raises(UserError, match='clip.mp4 is a video, and videos need OpenCV, which is missing: '
                                        'pip install -r requirements-video.txt'):
        video.require('clip.mp4')


@pytest.fixture
def said(monkeypatch):
    """The lines that the log was given."""
    lines = []
    monkeypatch.setattr(log, 'info', lambda text, *values: lines.append(text % values))
    return lines


@pytest.mark.parametrize('error', [KeyboardInterrupt, OSError])
def test_what_is_broken_off_plays_and_does_not_look_whole(tmp_path, said, error):
    with pytest.raises(error), video.Writer(str(tmp_path / 'a.mp4'), FACTS, 48, 64, 10) as writer:
        for index in range(3):
            writer.add(index / 10, np.zeros([48, 64, 3], np.uint8), [])
        raise error
    assert sorted(path.name for path in tmp_path.iterdir()) == ['a.partial.json', 'a.partial.mp4']
    assert len(json.loads((tmp_path / 'a.partial.json').read_text())['frames']) == 3
    assert len(list(video.Reader(str(tmp_path / 'a.partial.mp4')))) == 3
    assert said == [f'what was found in the first 3 frames is kept in {tmp_path}/a.partial.json and '
                    f'{tmp_path}/a.partial.mp4']


def test_what_is_broken_off_before_a_frame_leaves_nothing(tmp_path, said):
    with pytest.raises(KeyboardInterrupt), video.Writer(str(tmp_path / 'a.mp4'), FACTS, 48, 64, 10):
        raise KeyboardInterrupt
    assert not list(tmp_path.iterdir()) and not said


def test_frames_that_opencv_lost_are_noticed(tmp_path, said):
    with pytest.raises(UserError, match='a.mp4: only 0 of 1 frames could be written, so the disk is full or broken'), \
         video.Writer(str(tmp_path / 'a.mp4'), FACTS, 48, 64, 10) as writer:
        writer.add(0, np.zeros([50, 50, 3], np.uint8), [])   # of another size, which OpenCV passes over in silence
    assert [path.name for path in tmp_path.iterdir()] == ['a.partial.json'] and len(said) == 1


def test_where_nothing_can_be_written(tmp_path):
    with pytest.raises(OSError, match='No such file or directory'):
        video.Writer(str(tmp_path / 'no/a.mp4'), FACTS, 48, 64, 10)
    with pytest.raises(UserError, match='a.mp4 cannot be written with 0x48 pixels at 10 frames a second'):
        video.Writer(str(tmp_path / 'a.mp4'), FACTS, 48, 0, 10)
    assert not list(tmp_path.iterdir())


def test_sizes_may_change_on_the_way(tmp_path, monkeypatch):
    reader = video.Reader(write(tmp_path, count=2))
    smaller = video.Frame(1., np.full([24, 32, 3], 7, np.uint8))
    answers = iter([smaller, None])
    monkeypatch.setattr(reader, '_read', lambda: next(answers))
    assert [frame.pixels.shape for frame in reader] == [(48, 64, 3)] * 2
