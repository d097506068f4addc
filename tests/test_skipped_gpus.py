import subprocess

import pytest

from deployment import skipped_gpus

# Of TensorFlow 2.21 with CUDA: without a driver, and without the CUDA libraries (gpu_device.cc).
LOG = """\
WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795622987.407781    9069 cudart_stub.cc:31] Could not find cuda drivers on your \
machine, GPU will not be used.
I0000 00:00:1795622987.504610    9069 cpu_feature_guard.cc:227] This TensorFlow binary is \
optimized to use available CPU instructions in performance-critical operations.
To enable the following instructions: AVX2 FMA, in other operations, rebuild TensorFlow with the \
appropriate compiler flags.
I0000 00:00:1795622999.104579    9069 cudart_stub.cc:31] Could not find cuda drivers on your \
machine, GPU will not be used.
E0000 00:00:1795623001.064230    9069 cuda_platform.cc:52] failed call to cuInit: INTERNAL: CUDA \
error: Failed call to cuInit: UNKNOWN ERROR (303)
W0000 00:00:1795623001.1 9069 gpu_device.cc:2342] Cannot dlopen some GPU libraries.
Skipping registering GPU devices...
"""


@pytest.fixture
def machine(monkeypatch):
    """A function (number of GPUs of the machine, log of TensorFlow) that fakes both."""
    def fake(num_gpus, log=''):
        devices = ['/dev/nvidiactl', *(f'/dev/nvidia{index}' for index in range(num_gpus))]
        monkeypatch.setattr('glob.glob', lambda _: devices)
        monkeypatch.delenv('CUDA_VISIBLE_DEVICES', raising=False)
        monkeypatch.setattr('tensorflow.compat.v1.test.is_built_with_cuda', lambda: True)
        monkeypatch.setattr('subprocess.run', lambda *_, **__: subprocess.CompletedProcess(
            [], 0, '', log))
    return fake


def test_reason_is_the_log_of_tensorflow_about_gpus(machine):
    machine(1, LOG)
    assert skipped_gpus.reason(0) == (
        'Could not find cuda drivers on your machine, GPU will not be used; failed call to '
        'cuInit: INTERNAL: CUDA error: Failed call to cuInit: UNKNOWN ERROR (303); Cannot dlopen '
        'some GPU libraries; Skipping registering GPU devices')
    machine(1, 'something else\n')
    assert skipped_gpus.reason(0) == 'TensorFlow does not say why'


def test_no_reason_if_no_gpu_is_skipped(machine, monkeypatch):
    machine(0, LOG)
    assert skipped_gpus.reason(0) == ''
    machine(2, LOG)
    assert skipped_gpus.reason(2) == '' and skipped_gpus.reason(1) != ''
    monkeypatch.setenv('CUDA_VISIBLE_DEVICES', '-1')
    assert skipped_gpus.reason(0) == ''


def test_cpu_build(machine, monkeypatch):
    machine(1)
    monkeypatch.setattr('tensorflow.compat.v1.test.is_built_with_cuda', lambda: False)
    assert skipped_gpus.reason(0) == 'this is the CPU build of TensorFlow'


@pytest.mark.parametrize('visible, expected', [
    (None, 4), ('', 0), ('-1', 0), ('0', 1), ('3,1', 2), ('0,-1,1', 1), ('GPU-ab12', 1),
    ('0,1,2,3,4,5', 4)])
def test_number_of_visible_gpus(machine, visible, expected):
    machine(4)
    assert skipped_gpus.num_visible_gpus(visible) == expected
