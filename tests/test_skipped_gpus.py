import subprocess

import pytest

from deployment import skipped_gpus

# Of TensorFlow 2.21 with CUDA, on machines without the CUDA libraries and without a driver.
LOG = """\
2026-01-01 10:00:00.123456: I tensorflow/core/platform/cpu_feature_guard.cc:210] This TensorFlow \
binary is optimized to use available CPU instructions in performance-critical operations.
E0000 00:00:1767261600.1 4242 cuda_dnn.cc:8310] Unable to register cuDNN factory: Attempting to \
register factory for plugin cuDNN when one has already been registered
W0000 00:00:1767261600.2 4242 gpu_device.cc:2342] Cannot dlopen some GPU libraries. Please make \
sure the missing libraries mentioned above are installed properly if you would like to use GPU.
W0000 00:00:1767261600.2 4242 gpu_device.cc:2342] Cannot dlopen some GPU libraries. Please make \
sure the missing libraries mentioned above are installed properly if you would like to use GPU.
Skipping registering GPU devices...
2026-01-01 10:00:00.2: E external/local_xla/xla/stream_executor/cuda/cuda_driver.cc:152] failed \
call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: CUDA_ERROR_NO_DEVICE
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
        'Cannot dlopen some GPU libraries. Please make sure the missing libraries mentioned above '
        'are installed properly if you would like to use GPU.; Skipping registering GPU '
        'devices...; failed call to cuInit: INTERNAL: CUDA error: Failed call to cuInit: '
        'CUDA_ERROR_NO_DEVICE')
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
