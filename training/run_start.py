"""The start of a run: deployment, dataset, agreement of processes, lock, configuration, log."""
import contextlib
import functools
import os

import tensorflow.compat.v1 as tf

from checkpoints import description
from cli import console
from common import files
from common.log import log
from common.text import counted
from datasets import broken_records, dataset_factory
from deployment import model_deploy, process_group, skipped_gpus
from deployment.cluster import resolve_cluster
from nets import nets_factory
from run_folder import code_fingerprint, open_folder, run_config, run_lock, saved_checkpoints
from training import batch_norm_moments, flag_checks, recipes

# Flags whose values may differ between the processes of a run. The flags that a recipe sets are
# compared themselves.
PROCESS_FLAGS = frozenset((
    'recipe', 'task_index', 'train_dir', 'dataset_dir', 'checkpoint_path', 'anchor_preset',
    'num_readers', 'num_preprocessing_threads', 'log_every_n_steps', 'save_summaries_secs',
    'save_interval_secs', 'gpu_memory_fraction', 'allow_growth', 'collective_timeout_secs'))


def deploy(options):
    """Return the `ProcessGroup` of this process, after waiting for the other processes.

    Args:
        options: `DeploymentOptions`.

    Raises:
        UserError: If worker_hosts, task_index or TF_CONFIG is invalid, there are too few GPUs, or
            the port of this process is in use.
        LostProcessError: If another process does not answer in time.
    """
    cluster = resolve_cluster(options.worker_hosts, options.task_index, os.environ)
    num_gpus = len(tf.config.list_physical_devices('GPU'))
    if not options.clone_on_cpu and (reason := skipped_gpus.reason(num_gpus)):
        log.warning('TensorFlow skips a GPU of this machine: %s', reason)
    deployment = model_deploy.make_deployment_config(
        options.num_clones, options.clone_on_cpu, num_gpus, cluster)
    session_config = model_deploy.session_config(
        deployment, options.gpu_memory_fraction, options.allow_growth, options.xla)
    return process_group.ProcessGroup(
        deployment, session_config, options.collective_timeout_secs, options.gradient_precision)


def load_dataset(options):
    """Return the `Dataset` to train on, without its broken records if max_broken_records is set.

    Args:
        options: `DataOptions`.

    Raises:
        UserError: If the dataset cannot be read, has more than max_broken_records broken records,
            or no intact one.
    """
    dataset = dataset_factory.get_dataset(options.dataset_name, options.dataset_split_name,
                                          options.dataset_dir, options.num_classes)
    if not options.max_broken_records:
        return dataset
    return broken_records.remove_broken_records(dataset, options.max_broken_records)


def lock_and_log(options, flags, params, dataset, group):
    """Check that all processes agree, lock the train_dir, and log the configuration.

    Args:
        options: `TrainOptions`.
        flags: list of absl flags of the script.
        params: `SSDParams`.
        dataset: `Dataset`.
        group: `ProcessGroup`.

    Returns:
        (lock, write_config). lock is a context manager that holds the lock of the train_dir;
        call write_config() after all checks to write config.json. In processes
        other than the chief both do nothing.

    Raises:
        UserError: If the processes differ, the train_dir is not writable or in use, or it holds
            another net.
    """
    deployment = group.deployment
    hardware = model_deploy.describe_devices(tf.config.list_physical_devices('GPU'))
    group.check_same_configuration({
        'code': code_fingerprint.fingerprint(), 'TensorFlow': tf.__version__,
        'dataset': f'{dataset.num_examples} images, fingerprint {dataset.fingerprint}',
        'clones': f'{deployment.num_clones} on {deployment.device_type}s',
        'anchors': params.anchor_preset, 'net': nets_factory.differences_from_table(params),
        **{f'--{flag.name}': flag.value for flag in flags if flag.name not in PROCESS_FLAGS}})
    if not group.is_chief:
        log.info('process %d of %d is ready (%s); process 0 logs for all', group.rank,
                 group.num_processes, hardware)
        console.log_errors_only()
        return contextlib.nullcontext(), lambda: None
    files.make_output_folder(options.train_dir, 'train_dir')
    lock = run_lock.acquire(options.train_dir)
    console.log_to_file(os.path.join(options.train_dir, run_config.LOG_FILE))
    config = _config(options, flags, params, dataset, deployment)
    changes = run_config.changes_since_last_run(options.train_dir, config)
    _log_run(options, flags, config, dataset, deployment, hardware)
    for change in changes:
        log.info('changed since the last run: %s', change)
    for difference in run_config.differences_from_pretrained(
            options.checkpoint_path, config['model']):
        log.info('the pretrained checkpoint was trained with %s; its prediction layers may not '
                 'fit', difference)
    return lock, functools.partial(run_config.write, options.train_dir, config)


def create_saver(options, clones, group, signals, write_config):
    """Return the `CheckpointSaver` of a run; call this when all variables exist.

    It keeps the last 5 checkpoints and one per hour. Before each checkpoint, it estimates the
    moments of batch norm. Processes other than the chief get an `EstimatePartner`, or None if they
    do not take part in the estimate.

    Args:
        options: `TrainOptions`.
        clones: list of `model_deploy.Clone`.
        group: `ProcessGroup`.
        signals: `StopSignals`.
        write_config: Function of `lock_and_log`, called if the train_dir was deleted.
    """
    is_joint = batch_norm_moments.is_joint(options, group)
    if not (group.is_chief or is_joint):
        return None
    images_per_batch = options.batch_size * group.deployment.num_clones * (
        group.num_processes if is_joint else 1)
    moments = batch_norm_moments.MomentEstimator(
        clones, functools.partial(batch_norm_moments.num_batches, options, images_per_batch)
        if options.precise_batch_norm_batches != 0 else None,
        functools.partial(batch_norm_moments.batch_limit, signals, is_joint),
        group if is_joint else None)
    if not group.is_chief:
        return batch_norm_moments.EstimatePartner(moments.update)
    return saved_checkpoints.CheckpointSaver(
        open_folder.OpenFolder(options.train_dir, write_config), moments.update,
        moments.averaged_moments, max_to_keep=5, keep_checkpoint_every_n_hours=1.)


def _config(options, flags, params, dataset, deployment):
    """Return the configuration that `run_config` keeps in the train_dir."""
    return {
        'model': description.model_config(params, dataset.num_classes, dataset.class_names),
        'flags': {flag.name: flag.value for flag in flags},
        # 'pictures' is the key of earlier versions, whose run folders must stay readable.
        'data': {'name': dataset.name, 'split': dataset.split, 'pictures': dataset.num_examples,
                 'fingerprint': dataset.fingerprint},
        'augmentation': str(options.augmentation),
        'global_batch': options.images_per_clone * deployment.num_replicas}


def _log_run(options, flags, config, dataset, deployment, hardware):
    model, accumulation_steps = config['model'], options.gradient_accumulation_steps
    log.info('net        %s, %s anchors, %d classes with the background', model['model_name'],
             model['anchor_preset'], model['num_classes'])
    if 'net' in model:
        log.info('differs    from the usual %s: %s', model['model_name'], ', '.join(
            f'{field}={value}' for field, value in model['net'].items()))
    log.info('data       %s %s: %s in %s', dataset.name, dataset.split,
             counted(dataset.num_examples, 'image'), counted(len(dataset.files), 'file'))
    log.info('augment    %s', options.augmentation)
    factors = {'accumulation step': accumulation_steps, 'clone': deployment.num_clones,
               'process': deployment.num_processes}
    log.info('batch      %s', ' x '.join(
        [counted(options.batch_size, 'image'),
         *(counted(number, name) for name, number in factors.items() if number > 1)]))
    log.info('hardware   %s', hardware)
    log.info('devices    %s', deployment)
    given_flags = [flag for flag in flags if flag.present]
    log.info('flags      %s', ' '.join(flag.serialize() for flag in given_flags))
    if recipe_flags := recipes.flags_in_effect(options.recipe, flags):
        log.info('recipe     %s', ' '.join(flag.serialize() for flag in recipe_flags))
    log.info('all flags  %s', os.path.join(options.train_dir, run_config.CONFIG_FILE))
    for remark in flag_checks.remarks(options, {flag.name for flag in given_flags}):
        log.info(remark)
