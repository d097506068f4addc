"""Emulated network: namespaces of this machine with links of a given bandwidth, delay and loss.

Needs Linux, root, and the commands `ip` and `tc` of iproute2. Delay and packet loss come from a
relay thread instead of `netem`, which not every kernel has. The relay takes processor time and
limits delayed links to a few hundred Mbit/s.
"""
import collections
import contextlib
import fcntl
import os
import random
import select
import struct
import subprocess
import threading
import time

from common.errors import UserError

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454ca, 1, 0x1000   # of linux/if_tun.h
_MAX_PACKET_BYTES = 1 << 16
_DEVICE = 'wire'   # the network device in each namespace


def _run(*command):
    """Run a command; raise UserError with its error output if it fails."""
    process = subprocess.run(command, capture_output=True, text=True, check=False)
    if process.returncode:
        raise UserError(f'{" ".join(command)}: {process.stderr.strip() or "failed"}')


class EmulatedNetwork:
    """Context manager of a network of emulated hosts.

    Attributes:
        addresses: IPv4 address of each host.
    """

    def __init__(self, num_hosts, delay_ms=0., loss=0.):
        """Check the requirements.

        Args:
            num_hosts: Number of hosts.
            delay_ms: One-way delay of each packet in milliseconds.
            loss: Fraction of the packets that are lost, in [0, 1).

        Raises:
            UserError: If this process is not root, or `ip` or `tc` is missing.
        """
        if os.geteuid() or not all(os.path.exists(f'/usr/sbin/{tool}') for tool in ('ip', 'tc')):
            raise UserError('cannot create network namespaces. Run as root, and install ip and tc '
                            '(package iproute2)')
        self._namespaces = [f'ssd-{os.getpid()}-{host}' for host in range(num_hosts)]
        self.addresses = [f'10.77.0.{host + 1}' for host in range(num_hosts)]
        self._delay, self._loss = delay_ms / 1000, loss
        self._cleanup = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as cleanup:
            for namespace in self._namespaces:
                _run('ip', 'netns', 'add', namespace)
                cleanup.callback(_run, 'ip', 'netns', 'del', namespace)
            if self._delay or self._loss:
                self._start_relay(cleanup)
            else:
                self._add_bridge(cleanup)
            for namespace, address in zip(self._namespaces, self.addresses, strict=True):
                _run('ip', '-n', namespace, 'addr', 'add', f'{address}/24', 'dev', _DEVICE)
                for device in (_DEVICE, 'lo'):
                    _run('ip', '-n', namespace, 'link', 'set', device, 'up')
            self._cleanup = cleanup.pop_all()
        return self

    def __exit__(self, *error):
        self._cleanup.close()

    def _add_bridge(self, cleanup):
        """Connect all hosts by a bridge of the kernel."""
        bridge = f'ssd{os.getpid()}'
        _run('ip', 'link', 'add', bridge, 'type', 'bridge')
        cleanup.callback(_run, 'ip', 'link', 'del', bridge)
        _run('ip', 'link', 'set', bridge, 'up')
        for host, namespace in enumerate(self._namespaces):
            port = f'{bridge}p{host}'
            _run('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', _DEVICE, 'netns',
                 namespace)
            _run('ip', 'link', 'set', port, 'master', bridge, 'up')

    def _start_relay(self, cleanup):
        """Connect all hosts by tunnels to a thread that relays their packets."""
        tunnels = []
        for host, namespace in enumerate(self._namespaces):
            tunnel = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK)
            cleanup.callback(os.close, tunnel)
            device = f'ssd{os.getpid()}t{host}'
            fcntl.ioctl(tunnel, _TUNSETIFF,
                        struct.pack('16sH', device.encode(), _IFF_TUN | _IFF_NO_PI))
            _run('ip', 'link', 'set', device, 'netns', namespace, 'name', _DEVICE)
            tunnels.append(tunnel)
        stop = threading.Event()
        thread = threading.Thread(target=self._relay_packets, args=(tunnels, stop), daemon=True)
        thread.start()
        cleanup.callback(thread.join)
        cleanup.callback(stop.set)

    def _relay_packets(self, tunnels, stop):
        """Forward packets between the tunnels, with delay and loss, until `stop` is set."""
        rng = random.Random(0)
        # (time to forward, tunnel, packet); sorted by time, since all delays are equal.
        queue = collections.deque()
        while not stop.is_set():
            timeout = max(0., queue[0][0] - time.monotonic()) if queue else .1
            for source in select.select(tunnels, [], [], timeout)[0]:
                packet = os.read(source, _MAX_PACKET_BYTES)
                is_ipv4 = packet[0] >> 4 == 4
                host = packet[19] - 1   # the last byte of the destination address in IPv4
                if is_ipv4 and host < len(tunnels) and rng.random() >= self._loss:
                    queue.append((time.monotonic() + self._delay, tunnels[host], packet))
            while queue and queue[0][0] <= time.monotonic():
                _, tunnel, packet = queue.popleft()
                with contextlib.suppress(BlockingIOError):   # drop the packet if the tunnel is full
                    os.write(tunnel, packet)

    def limit_bandwidth(self, mbit):
        """Limit the rate at which each host sends, in Mbit/s; 0 removes the limit."""
        for namespace in self._namespaces:
            if mbit:
                _run('tc', '-n', namespace, 'qdisc', 'replace', 'dev', _DEVICE, 'root', 'tbf',
                     'rate', f'{mbit}mbit', 'burst', f'{max(64, mbit)}kb', 'latency', '50ms')
            else:
                with contextlib.suppress(UserError):   # fails if no limit is set
                    _run('tc', '-n', namespace, 'qdisc', 'del', 'dev', _DEVICE, 'root')

    def command(self, host, *command):
        """Return a command (list of str) that runs `command` on a host."""
        return ['ip', 'netns', 'exec', self._namespaces[host], *command]
