"""Clones: copies of the network and its loss, one per device, that share one set of variables."""
import os
from typing import NamedTuple

import tensorflow.compat.v1 as tf
import tf_slim as slim

from common.errors import UserError
from deployment import accumulation
from deployment.cluster import SINGLE_PROCESS, Cluster


class Clone(NamedTuple):
    """One copy of the network and its loss."""
    outputs: object            # return value of the model function
    scope: str                 # name scope of its ops and losses, for example 'clone_0/'
    device: str
    gradients: object = None   # [(gradient, variable), ...], if accumulated


class DeploymentConfig(NamedTuple):
    """The clones, processes and devices of a run."""
    num_clones: int      # per process
    device_type: str     # of the clones: 'GPU' or 'CPU'
    cluster: Cluster = SINGLE_PROCESS

    @property
    def num_processes(self):
        """Number of processes."""
        return self.cluster.num_processes

    @property
    def num_replicas(self):
        """Number of clones in all processes."""
        return self.num_clones * self.num_processes

    def clone_device(self, index):
        """Return the device of a clone of this process."""
        return f'/device:{self.device_type}:{index}'

    def variables_device(self):
        """Return the device of the variables: the device of a single clone, else the CPU."""
        return self.clone_device(0) if self.num_clones == 1 else '/device:CPU:0'

    def inputs_device(self):
        """Return the device of the input pipeline."""
        return '/device:CPU:0'

    def __str__(self):
        clone_devices = ', '.join(self.clone_device(index) for index in range(self.num_clones))
        noun = 'clone' if self.num_clones == 1 else 'clones'
        return f'{noun} on {clone_devices}; variables on {self.variables_device()}'


def make_deployment_config(num_clones, clone_on_cpu, num_gpus, cluster=SINGLE_PROCESS):
    """Return the `DeploymentConfig` of --num_clones and --clone_on_cpu on this machine.

    Without any GPU, a single clone runs on the CPU, as with soft placement in TF1.

    Args:
        num_clones: clones of this process; 0: one per GPU, or one on the CPU.
        clone_on_cpu: whether clones run on logical CPU devices, even if there are GPUs.
        num_gpus: number of GPUs that TensorFlow sees.
        cluster: the processes of the run.

    Raises:
        UserError: If there are fewer GPUs than clones.
    """
    num_clones = num_clones or (1 if clone_on_cpu else max(num_gpus, 1))
    if clone_on_cpu or (num_gpus == 0 and num_clones == 1):
        return DeploymentConfig(num_clones, 'CPU', cluster)
    if num_clones > num_gpus:
        raise UserError(f'--num_clones={num_clones}, but TensorFlow sees {num_gpus} '
                        f'GPU{"s" * (num_gpus != 1)}. Pass --num_clones={num_gpus or 1}, or '
                        f'--clone_on_cpu to run clones on the CPU')
    return DeploymentConfig(num_clones, 'GPU', cluster)


def describe_devices(gpus):
    """Describe the GPUs for the log: '2 GPUs (NVIDIA H100 80GB HBM3)', or 'no GPU, 2 CPU cores'.

    gpus: physical devices, as tf.config lists them.
    """
    if not gpus:
        return f'no GPU, {os.cpu_count()} CPU cores'
    details = (tf.config.experimental.get_device_details(gpu) for gpu in gpus)
    names = dict.fromkeys(detail.get('device_name', 'unknown') for detail in details)
    return f'{len(gpus)} GPU{"s" * (len(gpus) > 1)} ({", ".join(names)})'


def create_clones(deployment, model_fn, inputs, variables_fn=None):
    """Create the clones of this process.

    The variables that the first clone creates through tf-slim are placed on the variables' device
    and shared by the other clones.

    Args:
        deployment: `DeploymentConfig`.
        model_fn: function called as model_fn(*inputs[k]) under the name scope and device of clone
            k. It adds its losses to `tf.GraphKeys.LOSSES`.
        inputs: list of argument tuples, one per clone. If inputs[k] is a list of argument tuples,
            the clone accumulates gradients over these micro-batches.
        variables_fn: function without arguments that returns the variables to train; called only to
            accumulate gradients.

    Returns:
        List of `Clone`.
    """
    clones = []
    device = deployment.variables_device()
    with slim.arg_scope([slim.model_variable, slim.variable], device=device):
        for k, arguments in enumerate(inputs):
            with tf.name_scope(f'clone_{k}') as scope, tf.device(deployment.clone_device(k)), \
                 tf.variable_scope(tf.get_variable_scope(), reuse=True if k else None):
                if isinstance(arguments, list):
                    outputs, gradients = accumulation.accumulate_gradients(
                        model_fn, arguments, variables_fn, is_first_clone=k == 0)
                else:
                    outputs, gradients = model_fn(*arguments), None
                clones.append(Clone(outputs, scope, deployment.clone_device(k), gradients))
    return clones


def session_config(deployment, gpu_memory_fraction=1., allow_growth=False, xla=False):
    """Return the ConfigProto of a session: soft placement, GPU memory, one logical CPU per clone.

    Args:
        deployment: `DeploymentConfig`.
        gpu_memory_fraction: share of each GPU's memory that the process may use, in (0, 1].
        allow_growth: whether GPU memory is allocated on demand instead of at the start.
        xla: whether a part of the graph is compiled with XLA. Grappler then fuses no convolutions,
            which would put them outside of the compiled part.
    """
    num_cpus = deployment.num_clones if deployment.device_type == 'CPU' else 1
    gpu_options = tf.GPUOptions(
        per_process_gpu_memory_fraction=gpu_memory_fraction, allow_growth=allow_growth)
    config = tf.ConfigProto(log_device_placement=False, allow_soft_placement=True,
                            device_count={'CPU': num_cpus}, gpu_options=gpu_options)
    if xla:
        rewrite_options = config.graph_options.rewrite_options
        rewrite_options.remapping = rewrite_options.OFF
    return config


def inference_session_config(gpu_memory_fraction):
    """Return the ConfigProto of a session that runs one network without training it.

    The network runs on the first GPU, if there is one.
    """
    num_gpus = len(tf.config.list_physical_devices('GPU'))
    return session_config(make_deployment_config(1, False, num_gpus), gpu_memory_fraction)
