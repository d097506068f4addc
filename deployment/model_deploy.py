"""Clones: copies of the network with its loss, one on each device, that share one set of variables."""
import os
from typing import NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from common.errors import UserError
from deployment import accumulation


class Clone(NamedTuple):
    """One copy of the network."""
    outputs: object            # what the model function returned
    scope: str                 # name scope, 'clone_0/', that holds its ops and its losses
    device: str
    gradients: object = None   # [(gradient, variable), ...] of its losses where they had to be made at once


class DeploymentConfig(NamedTuple):
    """Which device does what."""
    num_clones: int
    device_type: str         # 'GPU' or 'CPU': where the clones are
    num_processes: int = 1   # that train together, each with so many clones

    @property
    def num_replicas(self):
        """Clones of all processes."""
        return self.num_clones * self.num_processes

    def clone_device(self, clone):
        """Device of the network and loss of a clone."""
        return f'/device:{self.device_type}:{clone}'

    def variables_device(self):
        """Device of the variables: that of the clone if there is one only, so that weights stay there."""
        return self.clone_device(0) if self.num_clones == 1 else '/device:CPU:0'

    def inputs_device(self):
        """Device that makes the batches."""
        return '/device:CPU:0'

    def __str__(self):
        where = ', '.join(self.clone_device(clone) for clone in range(self.num_clones))
        return f'clones on {where}; variables on {self.variables_device()}'


def deploy(num_clones, clone_on_cpu, num_gpus, num_processes=1):
    """The `DeploymentConfig` for what was asked and what there is; UserError where it does not fit.

    num_clones: 0 takes every GPU. Without any GPU one clone runs on the CPU, as TF1's soft placement had it.
    clone_on_cpu: clones run on as many logical CPU devices.
    """
    num_clones = num_clones or (1 if clone_on_cpu else max(num_gpus, 1))
    if clone_on_cpu or (num_gpus == 0 and num_clones == 1):
        return DeploymentConfig(num_clones, 'CPU', num_processes)
    if num_clones > num_gpus:
        raise UserError(f'--num_clones={num_clones}, but TensorFlow sees {num_gpus} GPU{"s" * (num_gpus != 1)}; '
                        f'pass --num_clones={num_gpus or 1}, or --clone_on_cpu to run the clones on the CPU')
    return DeploymentConfig(num_clones, 'GPU', num_processes)


def describe_devices(gpus):
    """What was found, for people: '2 GPUs (NVIDIA H100 80GB HBM3)', or 'no GPU, 2 processor cores'.

    gpus: physical devices, as tf.config lists them.
    """
    if not gpus:
        return f'no GPU, {os.cpu_count()} processor cores'
    names = dict.fromkeys(tf.config.experimental.get_device_details(gpu).get('device_name', 'unknown') for gpu in gpus)
    return f'{len(gpus)} GPU{"s" * (len(gpus) > 1)} ({", ".join(names)})'


def create_clones(config, model_fn, inputs, trained=None):
    """A list of `Clone`, one for each entry of `inputs`.

    model_fn: called as model_fn(*inputs[k]) under the scope and device of clone k; the variables that it makes
    through tf-slim are made once, on the variables' device, and reused by the clones after the first. Where inputs[k]
    is a list of such arguments, the clone takes them one after the other (`accumulation`), and trained, a function
    without arguments, names the variables whose gradients are wanted.
    """
    clones = []
    with slim.arg_scope([slim.model_variable, slim.variable], device=config.variables_device()):
        for k, arguments in enumerate(inputs):
            with tf.name_scope(f'clone_{k}') as scope, tf.device(config.clone_device(k)), \
                 tf.variable_scope(tf.get_variable_scope(), reuse=True if k else None):
                if isinstance(arguments, list):
                    outputs, gradients = accumulation.one_after_the_other(model_fn, arguments, trained, first=k == 0)
                else:
                    outputs, gradients = model_fn(*arguments), None
                clones.append(Clone(outputs, scope, config.clone_device(k), gradients))
    return clones


def session_config(config, gpu_memory_fraction=1., allow_growth=False):
    """The ConfigProto of a run: no placement log, soft placement, a share of the GPU memory, CPUs for clones.

    allow_growth: the memory is taken as it is needed.
    """
    cpus = config.num_clones if config.device_type == 'CPU' else 1
    memory = tf.GPUOptions(per_process_gpu_memory_fraction=gpu_memory_fraction, allow_growth=allow_growth)
    return tf.ConfigProto(log_device_placement=False, allow_soft_placement=True, device_count={'CPU': cpus},
                          gpu_options=memory)


def one_net_config(gpu_memory_fraction):
    """The ConfigProto of a session that runs one net, on a GPU if there is one, and trains nothing."""
    return session_config(deploy(1, False, len(tf.config.list_physical_devices('GPU'))), gpu_memory_fraction)
