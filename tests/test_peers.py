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
    """Return three hosts: process 0 listens, 1 is this process, 2 does not listen."""
    with contextlib.closing(socket.create_server(('127.0.0.1', 0))) as listening, \
         contextlib.closing(socket.socket()) as silent:
        silent.bind(('127.0.0.1', 0))
        yield (f'127.0.0.1:{listening.getsockname()[1]}', '127.0.0.1:1',
               f'127.0.0.1:{silent.getsockname()[1]}')


def test_wait_for_all_names_the_unreachable_process(hosts):
    peers.Peers(Cluster(hosts[:2], 1), .3).wait_for_all()
    message = rf'^no answer from process 2 \({hosts[2]}\) after 0.3 s. Start the process'
    with pytest.raises(LostProcessError, match=message):
        peers.Peers(Cluster(hosts, 1), .3).wait_for_all()


@pytest.mark.parametrize('num_hosts, error, message', [
    (3, tf.errors.UnavailableError,
     r'^process 2 \(.*\) is lost, so process 1 stops. Restart all .* \(aborted\)$'),
    (3, tf.errors.InternalError, 'process 2 .* is lost'),
    (2, tf.errors.DeadlineExceededError, 'another process did not answer within 9 s'),
    (2, tf.errors.FailedPreconditionError, 'another process was lost')])
def test_tensorflow_errors_of_a_lost_process_are_replaced(hosts, num_hosts, error, message):
    block = peers.Peers(Cluster(hosts[:num_hosts], 1), 9).detect_lost_processes()
    with pytest.raises(LostProcessError, match=message), block:
        raise error(None, None, 'aborted')


@pytest.mark.parametrize('error', [tf.errors.InternalError, tf.errors.InvalidArgumentError])
def test_errors_of_this_process_pass_through(hosts, error):
    block = peers.Peers(Cluster(hosts[:2], 1), 9).detect_lost_processes()
    with pytest.raises(error), block:
        raise error(None, None, 'cuDNN')


def test_watchdog_ends_a_process_that_waits_for_a_lost_one(hosts, monkeypatch, capsys):
    monkeypatch.setattr(peers, '_GRACE_SECS', .01)
    monkeypatch.setattr(peers, '_CHECK_INTERVAL_SECS', .01)
    exit_codes = []

    def exit_process(code):
        exit_codes.append(code)
        threading.Event().wait()   # block the watchdog, which does not expect a return
    monkeypatch.setattr(os, '_exit', exit_process)
    for num_hosts in (2, 3):
        watched = peers.Peers(Cluster(hosts[:num_hosts], 1), 9)
        watched.start_watchdog()
        time.sleep(.2)   # outside of a block the watchdog checks nothing
        assert not exit_codes
        with watched.detect_lost_processes():
            time.sleep(.5)
    assert exit_codes == [75]
    assert f'error: process 2 ({hosts[2]}) is lost, so process 1 stops' in capsys.readouterr().err
