import os
import subprocess
import sys

import pytest
from conftest import ROOT

from deployment import network_isolation

ISOLATED = """
import socket
from deployment import network_isolation
if not network_isolation.isolate():
    raise SystemExit(3)
with socket.create_server(('127.0.0.1', 2222)), socket.create_connection(('127.0.0.1', 2222)):
    print(network_isolation.is_isolated(), [name for _, name in socket.if_nameindex()][0])
"""


def test_isolated_processes_reach_each_other_only():
    done = subprocess.run([sys.executable, '-c', ISOLATED], cwd=ROOT, text=True,
                          capture_output=True, check=False)
    if done.returncode == 3:
        pytest.skip('this system does not permit network namespaces')
    assert (done.stdout, done.stderr) == ('True lo\n', '')


def test_a_system_without_permission_leaves_the_process_where_it_is(monkeypatch):
    def enter():
        raise PermissionError
    monkeypatch.setattr(network_isolation, '_enter_namespace', enter)
    namespace = os.readlink('/proc/self/ns/net')
    assert not network_isolation.isolate()
    assert os.readlink('/proc/self/ns/net') == namespace


@pytest.mark.parametrize('flags, expected', [
    ({'lo': 9}, True), ({'lo': 9, 'eth0': 0}, True), ({'lo': 9, 'eth0': 1}, False)])
def test_only_interfaces_that_are_up_count(monkeypatch, flags, expected):
    monkeypatch.setattr(network_isolation.socket, 'if_nameindex',
                        lambda: list(enumerate(flags, 1)))
    monkeypatch.setattr(network_isolation, '_interface_flags', lambda _, name: flags[name])
    assert network_isolation.is_isolated() == expected


@pytest.mark.parametrize('hosts, expected', [
    (['127.0.0.1:2222', 'localhost:2223', '[::1]:2224'],
     'iptables -I INPUT -p tcp -m multiport --dports 2222:2224 ! -i lo -j DROP'),
    (['alpha:2222', 'beta:2222'],
     'iptables -I INPUT -p tcp -m multiport --dports 2222 -j DROP && '
     'iptables -I INPUT -p tcp -m multiport --dports 2222 -s alpha,beta -j ACCEPT'),
    (['127.0.0.1:9', '127.0.0.1:7'],
     'iptables -I INPUT -p tcp -m multiport --dports 7,9 ! -i lo -j DROP')])
def test_firewall_command(hosts, expected):
    assert network_isolation.firewall_command(hosts) == expected
