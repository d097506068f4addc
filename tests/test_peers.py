import contextlib
import os
import socket
import threading
import time

import pytest
import tensorflow.compat.v1 as tf

from common.errors import LostProcessError
from deployment import peers
from deployment.cluster import Cluster


@pytest.fixture
def hosts():
    """Worker 0 answers, 1 is this process, 2 has a port that nobody listens on."""
    with contextlib.closing(socket.create_server(('127.0.0.1', 0))) as there, \
         contextlib.closing(socket.socket()) as silent:
        silent.bind(('127.0.0.1', 0))
        yield (f'127.0.0.1:{there.getsockname()[1]}', '127.0.0.1:1', f'127.0.0.1:{silent.getsockname()[1]}')


def test_whoever_does_not_come_is_named(hosts):
    peers.Peers(Cluster(hosts[:2], 1), .3).wait_for_all()
    with pytest.raises(LostProcessError, match=rf'^after 0.3 s there is no answer from worker 2 \({hosts[2]}\); start it'):
        peers.Peers(Cluster(hosts, 1), .3).wait_for_all()


@pytest.mark.parametrize('count, error, message', [
    (3, tf.errors.UnavailableError, r'^worker 2 \(.*\) is gone, and this one, worker 1, cannot go on .* \(aborted\)$'),
    (3, tf.errors.InternalError, 'worker 2 .* is gone'),
    (2, tf.errors.DeadlineExceededError, 'some worker did not answer within 9 s'),
    (2, tf.errors.FailedPreconditionError, 'another worker was lost')])
def test_what_tensorflow_raises_then(hosts, count, error, message):
    with pytest.raises(LostProcessError, match=message), peers.Peers(Cluster(hosts[:count], 1), 9).watched():
        raise error(None, None, 'aborted')


def test_faults_of_this_process_stay_what_they_are(hosts):
    for error in (tf.errors.InternalError, tf.errors.InvalidArgumentError):
        with pytest.raises(error), peers.Peers(Cluster(hosts[:2], 1), 9).watched():
            raise error(None, None, 'cuDNN')


def test_waiting_for_somebody_who_is_away_ends_the_process(hosts, monkeypatch, capsys):
    monkeypatch.setattr(peers, '_PATIENCE', .01)
    monkeypatch.setattr(peers, '_INTERVAL', .01)
    codes = []

    def leave(code):
        codes.append(code)
        threading.Event().wait()   # the thread stays here
    monkeypatch.setattr(os, '_exit', leave)
    for count in (2, 3):
        known = peers.Peers(Cluster(hosts[:count], 1), 9)
        known.look_after()
        time.sleep(.2)   # nobody waits: nothing happens
        assert not codes
        with known.watched():
            time.sleep(.5)
    assert codes == [75] and f'error: worker 2 ({hosts[2]}) is gone' in capsys.readouterr().err
