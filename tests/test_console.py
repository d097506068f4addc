import fcntl
import os
import pty
import resource
import struct
import termios

import pytest

from cli import console

pytestmark = pytest.mark.usefixtures('loggers_as_before')


def test_log_lines_and_errors_go_to_the_console_and_the_log_file(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr('sys.argv', ['train.py', '--train_dir=a folder'])
    console.set_up()
    console.log.info('before')
    console.log_to_file(str(tmp_path / 'train.log'))
    console.log.info('step %d', 7)
    console.print_error('the disk is full')
    output, errors = capsys.readouterr()
    assert output == 'before\nstep 7\n' and errors == 'error: the disk is full\n'
    header, *lines = (tmp_path / 'train.log').read_text().splitlines()
    assert header.startswith('--- 20') and header.endswith("python train.py '--train_dir=a folder'")
    assert lines == ['step 7', 'error: the disk is full']


def test_print_error_without_a_log_file(capsys):
    console.set_up()
    console.print_error('wrong')
    assert capsys.readouterr().err == 'error: wrong\n'


def test_log_file_on_a_full_disk_raises_nothing(capsys, tmp_path):
    console.set_up()
    console.log_to_file(str(tmp_path / 'train.log'))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))   # writing fails: a full disk
    try:
        console.log.info('step 7')
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert capsys.readouterr() == ('step 7\n', '')
    assert 'step 7' not in (tmp_path / 'train.log').read_text()


def test_a_link_in_place_of_the_log_file_is_not_followed(tmp_path):
    (tmp_path / 'other').write_text('content')
    (tmp_path / 'train.log').symlink_to(tmp_path / 'other')
    with pytest.raises(OSError, match='is a symbolic link, which is not followed'):
        console.log_to_file(str(tmp_path / 'train.log'))
    assert (tmp_path / 'other').read_text() == 'content'


def test_names_with_control_characters_are_escaped(tmp_path, capsys):
    console.set_up()
    console.log_to_file(str(tmp_path / 'train.log'))
    console.log.info('%s: skipped', 'a\nb\x1b[2J.jpg')
    console.print_error('c\rd.jpg')
    assert capsys.readouterr() == ('a\\nb\\x1b[2J.jpg: skipped\n', 'error: c\\rd.jpg\n')
    assert (tmp_path / 'train.log').read_text().splitlines()[1:] == [
        'a\\nb\\x1b[2J.jpg: skipped', 'error: c\\rd.jpg']


class Terminal:
    """A pseudo-terminal as standard output, which records the output."""

    def __init__(self, monkeypatch, columns, terminal_type='xterm'):
        self.reader, writer = pty.openpty()
        fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack('4H', 24, columns, 0, 0))
        self._output = ''
        monkeypatch.setenv('TERM', terminal_type)
        monkeypatch.setattr('sys.stdout', os.fdopen(writer, 'w', encoding='utf-8'))
        console.set_up()

    def output(self):
        """Return all output so far."""
        os.set_blocking(self.reader, False)
        try:
            while chunk := os.read(self.reader, 1 << 16):
                self._output += chunk.decode().replace('\r\n', '\n')
        except BlockingIOError:
            pass
        return self._output

    def screen(self):
        """Return the visible lines: text after a carriage return overwrites the line."""
        lines = []
        for line in self.output().split('\n'):
            visible = ''
            for part in line.split('\r'):
                visible = part + visible[len(part):]
            lines.append(visible.rstrip())
        return lines


@pytest.fixture
def make_terminal(monkeypatch):
    return lambda *args: Terminal(monkeypatch, *args)


def test_status_line_stays_below_the_log_lines(make_terminal):
    terminal = make_terminal(80)
    console.log.info('net a')
    console.show_status('step 1')
    assert terminal.screen() == ['net a', 'step 1']
    console.show_status('step 2')
    console.log.warning('step 2: saved')
    assert terminal.screen() == ['net a', 'step 2: saved', 'step 2']
    console.show_status('')
    assert terminal.screen() == ['net a', 'step 2: saved', '']
    console.log.info('done')
    assert terminal.output().count('step 2: saved') == 1
    assert terminal.screen() == ['net a', 'step 2: saved', 'done', '']


def test_status_line_is_truncated_to_the_terminal_width(make_terminal):
    terminal = make_terminal(10)
    console.show_status('0123456789')
    assert terminal.screen() == ['012345678']   # a tenth character could wrap to the next line
    console.show_status('')
    assert terminal.screen() == ['']


def test_status_line_without_a_known_width_has_80_columns(make_terminal):
    terminal = make_terminal(0)
    console.show_status('x' * 90)
    assert terminal.screen() == ['x' * 79]


@pytest.mark.parametrize('update', [lambda: console.show_status('step 2'),
                                    lambda: console.show_status(''),
                                    lambda: console.log.info('saved')])
def test_status_line_overwrites_an_echoed_control_c(make_terminal, update):
    terminal = make_terminal(40)
    console.show_status('step 1')
    console.log.handlers[0].stream.write('^C')
    update()
    assert '^C' in terminal.output() and '^C' not in ''.join(terminal.screen())


def test_progress_lines_go_to_the_log_file_only_on_a_terminal(make_terminal, tmp_path):
    terminal = make_terminal(80)
    console.log_to_file(str(tmp_path / 'train.log'))
    console.show_status('step 10, 0:01:00 left')
    console.log_progress('step 10: loss 3')
    assert terminal.screen() == ['step 10, 0:01:00 left']
    assert (tmp_path / 'train.log').read_text().splitlines()[1:] == ['step 10: loss 3']


def test_dumb_terminal_gets_plain_lines(make_terminal):
    """A dumb terminal, such as an editor's, does not interpret carriage returns."""
    terminal = make_terminal(80, 'dumb')
    console.show_status('step 1')
    console.log_progress('step 1: loss 3')
    assert terminal.output() == 'step 1: loss 3\n'


def test_log_errors_only_hides_status_and_progress(make_terminal):
    terminal = make_terminal(80)
    console.log_errors_only()
    console.show_status('step 1')
    console.log_progress('step 1: loss 3')
    assert terminal.output() == ''


def test_progress_lines_are_printed_without_a_terminal(capsys):
    console.set_up()
    console.show_status('step 1')
    console.log_progress('step 1: loss 3')
    assert capsys.readouterr() == ('step 1: loss 3\n', '')


def test_print_error_removes_the_status_line(make_terminal, capsys):
    terminal = make_terminal(80)
    console.show_status('step 1')
    console.print_error('the disk is full')
    assert terminal.screen() == [''] and capsys.readouterr().err == 'error: the disk is full\n'


def test_closed_terminal_does_not_end_the_program(make_terminal):
    terminal = make_terminal(80)
    console.show_status('step 1')
    os.close(terminal.reader)
    console.show_status('step 2')
    console.log_progress('step 2: loss 3')
    console.show_status('')
    console.show_status('step 3')


def test_print_error_without_a_status_line_prints_nothing_else(make_terminal, capsys):
    terminal = make_terminal(80)
    console.print_error('wrong')
    assert terminal.output() == '' and capsys.readouterr().err == 'error: wrong\n'
