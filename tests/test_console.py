import logging
import subprocess
import sys

import pytest
from conftest import ROOT

from deployment import console


@pytest.fixture(autouse=True)
def as_before():
    """Gives the loggers back as they were."""
    loggers = [logging.getLogger(name) for name in ('ssd', 'ssd.kept')]
    before = [(logger, logger.handlers[:], logger.propagate, logger.level) for logger in loggers]
    yield
    for logger, handlers, propagate, level in before:
        logger.handlers, logger.propagate = handlers, propagate
        logger.setLevel(level)


def test_lines_go_to_the_screen_and_to_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('sys.argv', ['train.py', '--train_dir=a folder'])
    console.set_up()
    console.log.info('before')
    console.keep_in(str(tmp_path / 'train.log'))
    console.log.info('step %d', 7)
    console.error('the disk is full')
    output, errors = capsys.readouterr()
    assert output == 'before\nstep 7\n' and errors == 'error: the disk is full\n'
    start, *lines = (tmp_path / 'train.log').read_text().splitlines()
    assert start.startswith('--- 20') and start.endswith("python train.py '--train_dir=a folder'")
    assert lines == ['step 7', 'error: the disk is full']


def test_an_error_without_a_file(capsys):
    console.set_up()
    console.error('wrong')
    assert capsys.readouterr().err == 'error: wrong\n'


def test_a_full_disk_fails_nothing(capsys):
    console.set_up()
    console.keep_in('/dev/full')
    console.log.info('step 7')
    assert capsys.readouterr() == ('step 7\n', '')


def test_a_reader_who_leaves_stops_nothing():
    program = ("import sys; from deployment import console; console.set_up()\n"
               "for i in range(20000): console.log.info('step %d', i)\n"
               "print('done', file=sys.stderr)")
    running = subprocess.Popen([sys.executable, '-c', program], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert running.stdout.readline() == 'step 0\n'
    running.stdout.close()
    assert running.stderr.read() == 'done\n' and running.wait(60) == 0
    running.stderr.close()
