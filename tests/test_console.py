import fcntl
import os
import pty
import struct
import subprocess
import sys
import termios

import pytest
from conftest import ROOT

from cli import console

pytestmark = pytest.mark.usefixtures('loggers_as_before')


def test_lines_go_to_the_screen_and_to_the_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('sys.argv', ['train.py', '--train_dir=a folder'])
    console.set_up()
    console.log.info('before')
    console.log_to_file(str(tmp_path / 'train.log'))
    console.log.info('step %d', 7)
    console.print_error('the disk is full')
    output, errors = capsys.readouterr()
    assert output == 'before\nstep 7\n' and errors == 'error: the disk is full\n'
    start, *lines = (tmp_path / 'train.log').read_text().splitlines()
    assert start.startswith('--- 20') and start.endswith("python train.py '--train_dir=a folder'")
    assert lines == ['step 7', 'error: the disk is full']


def test_an_error_without_a_file(capsys):
    console.set_up()
    console.print_error('wrong')
    assert capsys.readouterr().err == 'error: wrong\n'


def test_a_full_disk_fails_nothing(capsys):
    console.set_up()
    console.log_to_file('/dev/full')
    console.log.info('step 7')
    assert capsys.readouterr() == ('step 7\n', '')


def test_a_reader_who_leaves_stops_nothing():
    program = ("import sys; from cli import console; console.set_up()\n"
               "for i in range(20000): console.log.info('step %d', i)\n"
               "print('done', file=sys.stderr)")
    running = subprocess.Popen([sys.executable, '-c', program], cwd=ROOT, text=True, stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    assert running.stdout.readline() == 'step 0\n'
    running.stdout.close()
    assert running.stderr.read() == 'done\n' and running.wait(60) == 0
    running.stderr.close()


class Terminal:
    """A terminal of so many columns as standard output; what is written to it is kept."""

    def __init__(self, monkeypatch, columns, kind='xterm'):
        self._reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack('4H', 24, columns, 0, 0))
        self._written = ''
        monkeypatch.setenv('TERM', kind)
        monkeypatch.setattr('sys.stdout', os.fdopen(writer, 'w', encoding='utf-8'))
        console.set_up()

    def read(self):
        """All that was written."""
        os.set_blocking(self._reader, False)
        try:
            while part := os.read(self._reader, 1 << 16):
                self._written += part.decode().replace('\r\n', '\n')
        except BlockingIOError:
            pass
        return self._written

    def screen(self):
        """The lines that a person sees: what was written after a return to the start of a line covers the rest."""
        lines = []
        for line in self.read().split('\n'):
            seen = ''
            for part in line.split('\r'):
                seen = part + seen[len(part):]
            lines.append(seen.rstrip())
        return lines


@pytest.fixture
def terminal(monkeypatch):
    return lambda *args: Terminal(monkeypatch, *args)


def test_a_status_stands_below_all_lines_and_takes_the_place_of_the_one_before(terminal):
    shown = terminal(80)
    console.log.info('net a')
    console.show_status('step 1')
    assert shown.screen() == ['net a', 'step 1']
    console.show_status('step 2')
    console.log.warning('step 2: saved')
    assert shown.screen() == ['net a', 'step 2: saved', 'step 2']
    console.show_status('')
    assert shown.screen() == ['net a', 'step 2: saved', '']
    console.log.info('done')
    assert shown.read().count('step 2: saved') == 1 and shown.screen() == ['net a', 'step 2: saved', 'done', '']


def test_a_status_is_cut_where_the_terminal_ends(terminal):
    shown = terminal(10)
    console.show_status('0123456789')
    assert shown.screen() == ['012345678']   # a tenth letter would take the cursor to the next line
    console.show_status('')
    assert shown.screen() == ['']


def test_notes_are_for_the_file_where_a_status_says_it(terminal, tmp_path):
    shown = terminal(80)
    console.log_to_file(str(tmp_path / 'train.log'))
    console.show_status('step 10, 0:01:00 left')
    console.log_progress('step 10: loss 3')
    assert shown.screen() == ['step 10, 0:01:00 left']
    assert (tmp_path / 'train.log').read_text().splitlines()[1:] == ['step 10: loss 3']


def test_a_dumb_terminal_which_cannot_go_back_to_the_start_of_a_line_gets_plain_lines(terminal):
    shown = terminal(80, 'dumb')
    console.show_status('step 1')
    console.log_progress('step 1: loss 3')
    assert shown.read() == 'step 1: loss 3\n'


def test_where_another_process_speaks_there_is_no_status(terminal):
    shown = terminal(80)
    console.log_errors_only()
    console.show_status('step 1')
    console.log_progress('step 1: loss 3')
    assert shown.read() == ''


def test_without_a_terminal_notes_are_plain_lines(capsys):
    console.set_up()
    console.show_status('step 1')
    console.log_progress('step 1: loss 3')
    assert capsys.readouterr() == ('step 1: loss 3\n', '')


def test_an_error_takes_the_status_away(terminal, capsys):
    shown = terminal(80)
    console.show_status('step 1')
    console.print_error('the disk is full')
    assert shown.screen() == [''] and capsys.readouterr().err == 'error: the disk is full\n'


def test_a_terminal_that_goes_away_stops_nothing(terminal):
    shown = terminal(80)
    console.show_status('step 1')
    os.close(shown._reader)
    console.show_status('step 2')
    assert not console.log.handlers[0].is_terminal
    console.show_status('step 3')
