"""Fork server for scripts: imports TensorFlow once, then runs each script in a forked process.

`scripts.run` and `scripts.start` send their requests here. Importing TensorFlow takes about five
CPU seconds, a fork some milliseconds. The server creates no session and no thread, and imports no
module of the project. A forked process differs from a new interpreter in three ways: TensorFlow and
its absl flags are already there, the net of tests/tiny_net.py is installed, and all forked
processes share one hash seed. Tests that depend on these pass `fresh=True` to `scripts.run`.

Usage: python tests/script_server.py FD

FD is the file descriptor of a Unix stream socket. A request is one byte with three file
descriptors: standard output, standard error, and a socket. On that socket the client sends a line
of JSON, {"arguments": [...], "cwd": path, "environment": {name: value or null}}, with the variables
that differ from the server's. It receives the process ID when the script starts and the exit code,
-N after signal N, when the script ends, each on a line. The server exits when FD closes.
"""
import gc
import importlib
import json
import os
import runpy
import signal
import socket
import sys
import types

# What most scripts import. Nothing here may start a thread that the forked processes would miss.
_PRELOADED_MODULES = ('tensorflow.compat.v1', 'tf_slim', 'PIL.Image', 'tqdm')


def serve(requests):
    """Fork two processes per request: the script and its parent, which reports how the script ends.

    Return in the script's process only, with the file descriptors of the request.
    """
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)   # nobody waits for the parents
    while True:
        message, descriptors, *_ = socket.recv_fds(requests, 1, 3)
        if not message:
            sys.exit()
        if os.fork() == 0:
            requests.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            pid = os.fork()
            if pid == 0:
                return descriptors
            _report(pid, descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _report(pid, descriptors):
    """Send the process ID of a child and, when it has ended, its exit code. Does not return."""
    for descriptor in descriptors[:2]:
        os.close(descriptor)   # otherwise the pipes would stay open
    with socket.socket(fileno=descriptors[2]) as connection:
        connection.sendall(b'%d\n' % pid)
        _, status = os.waitpid(pid, 0)
        connection.sendall(b'%d\n' % os.waitstatus_to_exitcode(status))
    os._exit(0)


def run_script(stdout, stderr, connection):
    """Make this process the one that the request describes, and run its script as `__main__`."""
    with socket.socket(fileno=connection) as connected, connected.makefile('r') as lines:
        request = json.loads(lines.readline())
    for source, target in ((stdout, 1), (stderr, 2)):
        os.dup2(source, target)
        os.close(source)
    os.chdir(request['cwd'])
    for name, value in request['environment'].items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.modules['numpy'].random.seed()   # Python's own generator seeds itself after a fork
    _install_tiny_net()

    script, *arguments = request['arguments']
    if script == '-m':
        sys.argv = arguments
        sys.path.insert(0, os.getcwd())
        runpy.run_module(arguments[0], run_name='__main__', alter_sys=True)
        return
    # Not `runpy.run_path`: it changes sys.argv[0], after which absl names the script's flags.
    path = os.path.abspath(script)
    sys.argv = [script, *arguments]
    sys.path.insert(0, os.path.dirname(path))
    sys.modules['__main__'] = module = types.ModuleType('__main__')
    module.__file__ = path
    with open(path, encoding='utf-8') as file:
        source = file.read()
    exec(compile(source, path, 'exec'), module.__dict__)


def _install_tiny_net():
    tests = os.path.dirname(os.path.abspath(__file__))
    sys.path[:0] = [os.path.dirname(tests), tests]
    importlib.import_module('tiny_net').install()
    del sys.path[:2]


if __name__ == '__main__':
    del sys.path[0]   # the folder of tests
    signal.signal(signal.SIGINT, signal.SIG_IGN)   # Ctrl-C ends pytest, whose end closes the socket
    for name in _PRELOADED_MODULES:
        importlib.import_module(name)
    gc.freeze()   # spares the scripts from collecting what TensorFlow has allocated
    run_script(*serve(socket.socket(fileno=int(sys.argv[1]))))
