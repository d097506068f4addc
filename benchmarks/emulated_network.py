"""EmulatedNetwork that are none: network namespaces of this one, with links of a given rate, delay and loss between them.

Wants Linux, root, and `ip` and `tc` (iproute2). Delay and loss are not those of `netem`, which not every kernel has:
a relay of packets makes them. It takes a part of a processor, so delayed links carry some hundred Mbit/s at most.
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

_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454ca, 1, 0x1000
_LARGEST_PACKET = 1 << 16


def _do(*words):
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode:
        raise UserError(f'{" ".join(words)}: {done.stderr.strip() or "failed"}')


class EmulatedNetwork:
    """In its `with` block there are so many machines; `addresses` of them, and `command` to run something on one."""

    def __init__(self, count, delay_ms=0., loss=0.):
        """delay_ms: of every packet on its way. loss: share of packets that are lost, in [0, 1)."""
        if os.geteuid() or not all(os.path.exists(f'/usr/sbin/{tool}') for tool in ('ip', 'tc')):
            raise UserError('network namespaces want root, and ip and tc of the package iproute2')
        self._names = [f'ssd-{os.getpid()}-{number}' for number in range(count)]
        self.addresses = [f'10.77.0.{number + 1}' for number in range(count)]
        self._delay, self._loss = delay_ms / 1000, loss
        self._undo = contextlib.ExitStack()

    def __enter__(self):
        with contextlib.ExitStack() as undo:
            for name in self._names:
                _do('ip', 'netns', 'add', name)
                undo.callback(_do, 'ip', 'netns', 'del', name)
            (self._relay if self._delay or self._loss else self._bridge)(undo)
            for name, address in zip(self._names, self.addresses, strict=True):
                _do('ip', '-n', name, 'addr', 'add', f'{address}/24', 'dev', 'wire')
                for device in ('wire', 'lo'):
                    _do('ip', '-n', name, 'link', 'set', device, 'up')
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *error):
        self._undo.close()

    def _bridge(self, undo):
        """A switch between all, by the kernel."""
        bridge = f'ssd{os.getpid()}'
        _do('ip', 'link', 'add', bridge, 'type', 'bridge')
        undo.callback(_do, 'ip', 'link', 'del', bridge)
        _do('ip', 'link', 'set', bridge, 'up')
        for number, name in enumerate(self._names):
            port = f'{bridge}p{number}'
            _do('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'wire', 'netns', name)
            _do('ip', 'link', 'set', port, 'master', bridge, 'up')

    def _relay(self, undo):
        """A thread that hands packets on, each after its delay, or not."""
        tunnels = []
        for number, name in enumerate(self._names):
            tunnel, device = os.open('/dev/net/tun', os.O_RDWR | os.O_NONBLOCK), f'ssd{os.getpid()}t{number}'
            undo.callback(os.close, tunnel)
            fcntl.ioctl(tunnel, _TUNSETIFF, struct.pack('16sH', device.encode(), _IFF_TUN | _IFF_NO_PI))
            _do('ip', 'link', 'set', device, 'netns', name, 'name', 'wire')
            tunnels.append(tunnel)
        done = threading.Event()
        thread = threading.Thread(target=self._hand_on, args=(tunnels, done), daemon=True)
        thread.start()
        undo.callback(thread.join)
        undo.callback(done.set)

    def _hand_on(self, tunnels, done):
        """Runs in the thread. All packets wait equally long, so the first to come is the first to go."""
        draw, waiting = random.Random(0), collections.deque()
        while not done.is_set():
            patience = max(0., waiting[0][0] - time.monotonic()) if waiting else .1
            for tunnel in select.select(tunnels, [], [], patience)[0]:
                packet = os.read(tunnel, _LARGEST_PACKET)
                to = packet[19] - 1   # the last byte of the address in an IPv4 header
                if packet[0] >> 4 == 4 and to < len(tunnels) and draw.random() >= self._loss:
                    waiting.append((time.monotonic() + self._delay, tunnels[to], packet))
            while waiting and waiting[0][0] <= time.monotonic():
                _, tunnel, packet = waiting.popleft()
                with contextlib.suppress(BlockingIOError):   # a full queue loses packets, as switches do
                    os.write(tunnel, packet)

    def shape(self, mbit):
        """Lets each machine send so many Mbit/s; 0: as fast as it can."""
        for name in self._names:
            if mbit:
                _do('tc', '-n', name, 'qdisc', 'replace', 'dev', 'wire', 'root', 'tbf', 'rate', f'{mbit}mbit',
                    'burst', f'{max(64, mbit)}kb', 'latency', '50ms')
            else:
                with contextlib.suppress(UserError):   # there is none to take away
                    _do('tc', '-n', name, 'qdisc', 'del', 'dev', 'wire', 'root')

    def command(self, number, *words):
        """The words of a command, as one of machine `number`."""
        return ['ip', 'netns', 'exec', self._names[number], *words]
