"""Protection of the servers of a group, which accept every client on all network addresses.

TensorFlow's servers cannot be bound to an address, and do not authenticate clients: whoever
connects can run ops, among them those that read and write files. Linux only.
"""
import ctypes
import fcntl
import os
import socket
import struct

_CLONE_NEWUSER, _CLONE_NEWNET = 0x10000000, 0x40000000   # unshare(2)
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP, _IFF_LOOPBACK = 0x8913, 0x8914, 1, 8   # netdevice(7)
_IFREQ = '16sH22x'   # struct ifreq with the name and flags of an interface


def isolate():
    """Move this process to a network namespace of its own, where only the loopback exists.

    Processes that it starts are there, too. Call this before any thread is started.

    Returns:
        Whether the system permits it.
    """
    child = os.fork()   # a failure in between would leave a process without any network
    if not child:
        try:
            _enter_namespace()
        except OSError:
            os._exit(1)
        os._exit(0)
    if os.waitpid(child, 0)[1]:
        return False
    _enter_namespace()
    return True


def _enter_namespace():
    """Enter a new network namespace and start its loopback interface.

    Raises:
        OSError: If the system does not permit it.
    """
    uid, gid = os.getuid(), os.getgid()
    # Other users need a user namespace to get the right. In one, root could not read their files.
    is_root = uid == 0
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(_CLONE_NEWNET if is_root else _CLONE_NEWNET | _CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), 'unshare')
    if not is_root:
        for name, text in (('setgroups', 'deny'), ('uid_map', f'{uid} {uid} 1'),
                           ('gid_map', f'{gid} {gid} 1')):
            with open(f'/proc/self/{name}', 'w', encoding='ascii') as file:
                file.write(text)
    with socket.socket() as control:
        flags = _interface_flags(control, 'lo') | _IFF_UP
        fcntl.ioctl(control, _SIOCSIFFLAGS, struct.pack(_IFREQ, b'lo', flags))


def _interface_flags(control, name):
    """Return the flags of a network interface. control: any socket."""
    request = struct.pack(_IFREQ, name.encode(), 0)
    return struct.unpack(_IFREQ, fcntl.ioctl(control, _SIOCGIFFLAGS, request))[1]


def is_isolated():
    """Return whether no other machine can connect to this one: only the loopback is up."""
    with socket.socket() as control:
        flags = [_interface_flags(control, name) for _, name in socket.if_nameindex()]
    return not any(flag & _IFF_UP and not flag & _IFF_LOOPBACK for flag in flags)


def firewall_command(hosts):
    """Return a command that lets only the machines of a group connect to its ports.

    Args:
        hosts: 'host:port' of each process.
    """
    names = sorted({host.rpartition(':')[0].strip('[]') for host in hosts})
    ports = sorted({int(host.rpartition(':')[2]) for host in hosts})
    is_range = len(ports) > 1 and ports[-1] - ports[0] == len(ports) - 1
    port_text = f'{ports[0]}:{ports[-1]}' if is_range else ','.join(map(str, ports))
    rule = f'INPUT -p tcp -m multiport --dports {port_text}'
    if all(name in ('localhost', '::1') or name.startswith('127.') for name in names):
        return f'iptables -I {rule} ! -i lo -j DROP'
    return (f'iptables -I {rule} -j DROP && '
            f'iptables -I {rule} -s {",".join(names)} -j ACCEPT')
