"""Trains an SSD detector on one or many GPUs.

python train_ssd_network.py --dataset_dir=data/voc2007 --train_dir=runs/voc2007 --model_name=ssd_300_vgg

Started again with the same command, it goes on from the last checkpoint in train_dir.
"""
import contextlib
import functools
import glob
import os
import sys

from absl import flags

from cli import app, console
from common.errors import UserError
from common.log import log
from deployment import cluster as cluster_lib
from nets import anchors as anchors_lib
from nets import nets_factory, ssd_params
from preprocessing import preprocessing_factory
from run_folder import checkpoint_files, code_fingerprint, run_config, run_lock

FLAGS = flags.FLAGS

# Where and how it runs.
flags.DEFINE_string('train_dir', None, 'Folder for checkpoints, TensorBoard files and the configuration.')
flags.DEFINE_integer('num_clones', 1, 'Copies of the net, one a GPU; 0 takes every GPU.', lower_bound=0)
flags.DEFINE_bool('clone_on_cpu', False, 'Runs the clones on logical CPU devices.')
flags.DEFINE_list('worker_hosts', [], 'Processes that train together, host:port of each, with commas, the same list '
                  'for all; TF_CONFIG, as cluster managers set it, does too.')
flags.DEFINE_integer('task_index', None, 'Place of this process in worker_hosts. The first, 0, writes checkpoints.')
flags.DEFINE_integer('collective_timeout_secs', 600, 'Seconds after which a process that does not come, or stalls, is '
                     'given up; longer than a checkpoint takes.', lower_bound=1)
flags.DEFINE_enum('gradient_precision', 'float32', ['float32', 'bfloat16'], 'What gradients travel in between '
                  'worker_hosts; bfloat16 halves what the network carries, and rounds to 3 digits.')
flags.DEFINE_integer('num_readers', 4, 'Records read at a time.', lower_bound=1, upper_bound=1024)
flags.DEFINE_integer('num_preprocessing_threads', 0, 'Examples made at a time; 0: one for every processor core.',
                     lower_bound=0, upper_bound=1024)
flags.DEFINE_integer('max_broken_records', 0, 'Records that cannot be read which are named and left out; one more '
                     'stops the run. 0 does not look for them beforehand.', lower_bound=0)
flags.DEFINE_integer('log_every_n_steps', 10, 'Steps from one line to the next.', lower_bound=1)
flags.DEFINE_integer('save_summaries_secs', 60, 'Seconds from one TensorBoard record to the next.', lower_bound=1)
flags.DEFINE_integer('save_interval_secs', 600, 'Seconds from one checkpoint to the next.', lower_bound=1)
flags.DEFINE_float('gpu_memory_fraction', .8, 'Share of each GPU\'s memory to take.', lower_bound=0.01, upper_bound=1)
flags.DEFINE_enum('precision', 'float32', ['float32', 'bfloat16'], 'What convolutions compute in; variables, '
                  'checkpoints and the loss are float32.')
flags.DEFINE_bool('xla', False, 'Compiles the net, forward and backward, with XLA: takes a minute at the start, and is '
                  'meant for GPUs; on CPUs it is slower.')
flags.DEFINE_bool('allow_growth', False, 'Takes GPU memory as it is needed, up to that share, not all at once.')
flags.DEFINE_integer('seed', 0, 'Decides all that is drawn: weights, order, augmentation.', lower_bound=0)

# Optimization.
flags.DEFINE_float('weight_decay', 5e-4, 'L2 on the weights (not on biases).', lower_bound=0)
flags.DEFINE_enum('optimizer', 'momentum', ['adadelta', 'adagrad', 'adam', 'ftrl', 'momentum', 'rmsprop', 'sgd'],
                  'The optimizer.')
flags.DEFINE_float('adadelta_rho', .95, 'Decay of adadelta.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('adagrad_initial_accumulator_value', .1, 'Start of adagrad.', lower_bound=1e-30)
flags.DEFINE_float('adam_beta1', .9, 'Decay of the first moment.', lower_bound=0, upper_bound=.9999999)
flags.DEFINE_float('adam_beta2', .999, 'Decay of the second moment.', lower_bound=0, upper_bound=.9999999)
flags.DEFINE_float('opt_epsilon', 1., 'Epsilon of adadelta, adam and rmsprop, as public scripts have it; the '
                   'paper of adam says 1e-8.', lower_bound=0)
flags.DEFINE_float('ftrl_learning_rate_power', -.5, 'Power of the rate of ftrl.', upper_bound=0)
flags.DEFINE_float('ftrl_initial_accumulator_value', .1, 'Start of ftrl.', lower_bound=0)
flags.DEFINE_float('ftrl_l1', 0., 'L1 strength of ftrl.', lower_bound=0)
flags.DEFINE_float('ftrl_l2', 0., 'L2 strength of ftrl.', lower_bound=0)
flags.DEFINE_float('momentum', .9, 'Momentum of momentum.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('rmsprop_momentum', .9, 'Momentum of rmsprop.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('rmsprop_decay', .9, 'Decay of rmsprop.', lower_bound=0, upper_bound=1)

# Learning rate.
flags.DEFINE_enum('learning_rate_decay_type', 'piecewise', ['fixed', 'exponential', 'polynomial', 'piecewise'],
                  'How the learning rate falls.')
flags.DEFINE_float('learning_rate', 1e-3, 'Initial learning rate.', lower_bound=0)
flags.DEFINE_float('learning_rate_per_image', None, 'Wins over learning_rate: the rate is this times the pictures of a '
                   'step, those of all clones, so that a recipe holds on any number of GPUs.', lower_bound=0)
flags.DEFINE_float('end_learning_rate', 1e-4, 'Where polynomial decay ends.', lower_bound=0)
flags.DEFINE_float('learning_rate_decay_factor', None, 'Factor of each fall. Default: 0.1 for piecewise, 0.94 for '
                   'exponential.', lower_bound=0)
flags.DEFINE_list('learning_rate_boundaries', ['80000', '100000'], 'Steps at which piecewise falls, with commas.')
flags.DEFINE_float('num_epochs_per_decay', None, 'Epochs of one exponential fall (default 2), or of the whole '
                   'polynomial one (default: to max_number_of_steps).', lower_bound=1e-6)
flags.DEFINE_integer('warmup_steps', 0, 'First steps, over which the rate rises from 0.', lower_bound=0)
flags.DEFINE_float('bias_learning_rate_multiplier', 2., 'Biases learn this much faster.', lower_bound=0)
flags.DEFINE_float('backbone_learning_rate_multiplier', 1., 'The backbone (conv1 to conv5 of VGG, all of MobileNet) '
                   'learns this much faster or slower; 0 leaves its weights as they are.', lower_bound=0)
flags.DEFINE_float('moving_average_decay', None, 'Keeps moving averages of the weights, with this decay; evaluation '
                   'and prediction use them.', lower_bound=0, upper_bound=.999999)
flags.DEFINE_float('clip_gradient_norm', 0., 'Scales gradients down where their norm, all together, is larger; 0 does '
                   'not.', lower_bound=0)
flags.DEFINE_float('label_smoothing', 0., 'Share of the class targets spread evenly.', lower_bound=0, upper_bound=.99)

# Data.
flags.DEFINE_string('dataset_name', '', 'Name of the data set; needed where its folder has no dataset.json.')
flags.DEFINE_integer('num_classes', 0, 'Classes, background included; 0: as the data set says.', lower_bound=0)
flags.DEFINE_string('dataset_split_name', 'train', 'Split to train on.')
flags.DEFINE_string('dataset_dir', None, 'Folder of TFRecords, as tf_convert_data.py writes them.')
flags.DEFINE_string('model_name', 'ssd_300_vgg', f'The net: {", ".join(nets_factory.names())}.')
flags.DEFINE_string('anchor_preset', None, 'Sizes of the anchors: voc (the default) are the paper\'s; public TF1 '
                    'checkpoints and COCO want coco; or a file of your own, with a word s,s\' for each feature layer, '
                    'or its text. A run that goes on knows its own.')
flags.DEFINE_enum('preprocessing_name', 'ssd', list(preprocessing_factory.PREPROCESSING), 'ssd is the paper\'s '
                  'augmentation; for short trainings: ssd_no_zoom_out, ssd_no_crop (colours and flips), plain (none).')
flags.DEFINE_integer('batch_size', 32, 'Images in a batch of one clone.', lower_bound=1)
flags.DEFINE_integer('gradient_accumulation_steps', 1, 'Batches of batch_size that a clone takes, one after the other, '
                     'for one step: a larger batch in the memory of a small one.', lower_bound=1)
flags.DEFINE_integer('max_number_of_steps', None, 'Last step; not given, it trains until it is stopped.',
                     lower_bound=1)
flags.DEFINE_bool('print_anchors', False, 'Shows the anchors of the net per layer, and ends.')

# Fine-tuning.
flags.DEFINE_string('checkpoint_path', None, 'Weights to start from: a TensorFlow checkpoint (a file, or a folder: its '
                    'latest), .npz, .pth or .caffemodel; see checkpoints/README.md.')
flags.DEFINE_string('checkpoint_model_scope', None, 'Name that stands there for model_name/, if another (vgg_16, say).')
flags.DEFINE_bool('checkpoint_moving_averages', False, 'Starts from the moving averages of the checkpoint\'s weights.')
flags.DEFINE_string('checkpoint_exclude_scopes', None, 'Scopes not to restore, with commas.')
flags.DEFINE_string('trainable_scopes', None, 'Scopes to train, with commas; default all.')
flags.DEFINE_bool('freeze_batch_norm', False, 'Batch norm uses the moving moments of the checkpoint and leaves them as '
                  'they are: for batches of a few pictures.')
flags.DEFINE_bool('sync_batch_norm', False, 'Batch norm takes the moments of all clones together, as one clone with '
                  'the whole batch would: for a few pictures per clone.')
flags.DEFINE_bool('ignore_missing_vars', False, 'Starts variables afresh that the checkpoint lacks.')

# Loss.
flags.DEFINE_float('loss_alpha', 1., 'Weight of the localization loss.', lower_bound=0)
flags.DEFINE_float('negative_ratio', 3., 'Mined negatives for each matched anchor.', lower_bound=0)
flags.DEFINE_float('match_threshold', .5, 'Overlap above which an anchor matches.', lower_bound=0, upper_bound=1)


# Names that public scripts have for flags.
_ALIASES = {'train_model_dir': 'train_dir', 'pre_trained_model': 'checkpoint_path'}
for alias, flag_name in _ALIASES.items():
    flags.DEFINE_alias(alias, flag_name)
_ADVICE = 'convert the data anew, or leave them out with --max_broken_records={count}'
# Flags in which the processes of a group may differ.
_OF_ONE_PROCESS = frozenset((
    'task_index', 'train_dir', 'dataset_dir', 'checkpoint_path', 'anchor_preset', 'num_readers',
    'num_preprocessing_threads', 'log_every_n_steps', 'save_summaries_secs', 'save_interval_secs',
    'gpu_memory_fraction', 'allow_growth', 'collective_timeout_secs'))


def own_flags():
    """The flags of this script, each once."""
    return [flag for flag in FLAGS.get_key_flags_for_module(sys.argv[0]) if flag.name not in _ALIASES]


def net_params():
    """The net, with the anchors that are asked for, or else with those of the run that train_dir holds."""
    kept = run_config.model_of_train_dir(FLAGS.train_dir) if FLAGS.train_dir else {}
    preset = kept.get('anchor_preset') if kept.get('model_name') == FLAGS.model_name else None
    try:
        return nets_factory.get_params(FLAGS.model_name, FLAGS.anchor_preset or preset or 'voc')
    except UserError as error:
        if preset and FLAGS.anchor_preset:
            raise UserError(f'{error}; {FLAGS.train_dir} goes on with its own anchors where --anchor_preset is '
                                    f'left out') from error
        raise


def check_flags():
    """Refuses what can be known to be wrong before TensorFlow is loaded; shows anchors where that is asked."""
    params = net_params()
    if FLAGS.print_anchors:
        print(anchors_lib.describe(params))
        return 0
    app.require_flags(FLAGS, 'train_dir', 'dataset_dir')
    cluster = cluster_lib.find(FLAGS.worker_hosts, FLAGS.task_index, os.environ)
    if not os.path.isdir(FLAGS.dataset_dir):
        raise UserError(f'the dataset_dir {FLAGS.dataset_dir} does not exist; make it with tf_convert_data.py')
    checkpoint_files.check_path(FLAGS.train_dir)
    if os.path.exists(FLAGS.train_dir) and not os.path.isdir(FLAGS.train_dir):
        raise UserError(f'the train_dir {FLAGS.train_dir} is a file')
    if cluster.is_chief and FLAGS.checkpoint_path and not checkpoint_files.list_checkpoints(FLAGS.train_dir):
        path = FLAGS.checkpoint_path
        listed = os.path.join(path, 'checkpoint')   # the list may name checkpoints elsewhere
        if os.path.isdir(path) and not (os.path.exists(listed) or checkpoint_files.list_checkpoints(path)
                                        or checkpoint_files.list_any_checkpoints(path)):
            raise UserError(f'the folder {path} holds no TensorFlow checkpoint; name the file if it is of '
                                    f'another kind')
        if not glob.glob(glob.escape(path) + '*'):
            raise UserError(f'there is no checkpoint {path}')
    if FLAGS.num_classes == 1:
        raise UserError('--num_classes=1 leaves no class beside the background; count the background too')
    if FLAGS.freeze_batch_norm and cluster.is_chief and not (
            FLAGS.checkpoint_path or checkpoint_files.list_checkpoints(FLAGS.train_dir)):
        raise UserError('--freeze_batch_norm wants moments that were learned: give --checkpoint_path')
    for flag in ('freeze_batch_norm', 'sync_batch_norm'):
        if getattr(FLAGS, flag) and params.backbone == 'vgg_16':
            raise UserError(f'{params.name} has no batch norm; leave out --{flag}')
    if FLAGS.freeze_batch_norm and FLAGS.sync_batch_norm:
        raise UserError('--freeze_batch_norm leaves no moments of a batch to share; leave out one of it and '
                                '--sync_batch_norm')
    if FLAGS.optimizer == 'ftrl' and FLAGS.checkpoint_path:
        raise UserError('ftrl sets weights from its own sums, and so forgets those of --checkpoint_path with '
                                'the first step; choose another --optimizer')
    boundaries = FLAGS.learning_rate_boundaries
    if not all(b.strip().isdigit() for b in boundaries) or sorted(boundaries, key=int) != boundaries:
        raise UserError(f'--learning_rate_boundaries={",".join(boundaries)} are not rising step numbers')
    return None


def process_batch(deployment):
    """Pictures of one step in this process."""
    return FLAGS.batch_size * FLAGS.gradient_accumulation_steps * deployment.num_clones


def begin_run(params, dataset, deployment, group, found):
    """Claims train_dir and says what this run is; in a group its chief does, once all agree.

    Returns the lock, and a function that keeps the configuration in train_dir, for when nothing is left to refuse.
    """
    import tensorflow.compat.v1 as tf
    group.agree({
        'the code': code_fingerprint.fingerprint(), 'TensorFlow': tf.__version__,
        'the data set': f'{dataset.num_examples} pictures, content {dataset.fingerprint}',
        'clones': f'{deployment.num_clones} on {deployment.device_type}s', 'anchors': params.anchor_preset,
        **{f'--{flag.name}': flag.value for flag in own_flags() if flag.name not in _OF_ONE_PROCESS}})
    if not group.is_chief:
        log.info('worker %d of %d is ready (%s); worker 0 speaks for all', group.rank, group.size, found)
        console.log_errors_only()
        return contextlib.nullcontext(), None
    lock = run_lock.acquire(FLAGS.train_dir)
    console.log_to_file(os.path.join(FLAGS.train_dir, run_config.LOG_FILE))
    config = configuration(params, dataset, deployment)
    describe(config, dataset, deployment, found)
    return lock, functools.partial(run_config.write, FLAGS.train_dir, config)


def configuration(params, dataset, deployment):
    """What this run is, with every flag, as `run_folder` keeps it."""
    return {
        'model': {'model_name': params.name, 'anchor_preset': params.anchor_preset, 'num_classes': dataset.num_classes,
                  'class_names': dataset.class_names},
        'flags': {flag.name: flag.value for flag in own_flags()},
        'data': {'name': dataset.name, 'split': dataset.split, 'pictures': dataset.num_examples,
                 'fingerprint': dataset.fingerprint},
        'global_batch': process_batch(deployment) * deployment.num_processes}


def describe(config, dataset, deployment, found):
    """Prints what this run is, and what is other than in the run before."""
    model, changes = config['model'], run_config.changes_since_last_run(FLAGS.train_dir, config)
    log.info('net        %s, %s anchors, %d classes with the background', model['model_name'], model['anchor_preset'],
             model['num_classes'])
    log.info('data       %s %s: %d pictures in %d files', dataset.name, dataset.split, dataset.num_examples,
             len(dataset.files))
    log.info('batch      %d x %d%s%s', FLAGS.batch_size, deployment.num_clones,
             f' x {FLAGS.gradient_accumulation_steps}' if FLAGS.gradient_accumulation_steps > 1 else '',
             f' x {deployment.num_processes} processes' if deployment.num_processes > 1 else '')
    log.info('found      %s', found)
    log.info('devices    %s', deployment)
    log.info('flags      %s', ' '.join(f'{flag.name}={flag.value}' for flag in own_flags() if flag.present))
    log.info('all flags  %s', os.path.join(FLAGS.train_dir, run_config.CONFIG_FILE))
    for change in changes:
        log.info('changed since the last run here: %s', change)
    for difference in run_config.differences_from_pretrained(FLAGS.checkpoint_path, model):
        log.info('the pretrained checkpoint was trained with %s: its box layers start from another meaning', difference)


def training_set():
    """The split to train on, without its broken records if some may be."""
    from datasets import broken_records, dataset_factory
    dataset = dataset_factory.get_dataset(FLAGS.dataset_name, FLAGS.dataset_split_name, FLAGS.dataset_dir,
                                          FLAGS.num_classes)
    return broken_records.leave_out(dataset, FLAGS.max_broken_records) if FLAGS.max_broken_records else dataset


def input_batch(dataset, params, deployment, group, global_step):
    """This process's share of the next global batch, augmented and matched, and the loss's N for each clone."""
    import tensorflow.compat.v1 as tf

    from datasets import input_pipeline
    from nets import ssd_model
    preprocess = preprocessing_factory.get_preprocessing(FLAGS.preprocessing_name)
    anchors = anchors_lib.net_anchors(params)

    def to_example(record, seed):
        example = preprocess(record, seed, params.image_size, params.mean)
        return ssd_model.add_targets(example, anchors, params.variances, FLAGS.match_threshold)

    with tf.device(deployment.inputs_device()):
        order = input_pipeline.ExampleOrder(FLAGS.seed, process_batch(deployment), group.rank, group.size)
        batch = input_pipeline.training_batches(
            dataset, to_example, order, global_step, FLAGS.num_readers, FLAGS.num_preprocessing_threads)
        return batch, ssd_model.loss_normalizer(batch, deployment.num_replicas, group.sum)


def build_clones(batch, normalizer, params, num_classes, deployment):
    """The net and its loss, once for each clone, each on its share of the batch."""
    import tensorflow.compat.v1 as tf

    import tf_utils
    from deployment import collectives, model_deploy
    from nets import losses, ssd, ssd_model
    with tf.device(deployment.inputs_device()):
        inputs = [(share, normalizer) for share in ssd_model.split_batch(batch, deployment.num_clones)]
        if FLAGS.gradient_accumulation_steps > 1:
            inputs = [[(part, normalizer) for part in ssd_model.split_batch(share, FLAGS.gradient_accumulation_steps)]
                      for share, _ in inputs]
    replicas = (collectives.Replicas(deployment.num_replicas, FLAGS.collective_timeout_secs)
                if FLAGS.sync_batch_norm else None)
    model_fn = ssd_model.clone_fn(
        params, num_classes,
        losses.LossOptions(FLAGS.negative_ratio, FLAGS.loss_alpha, FLAGS.label_smoothing),
        ssd.BuildOptions(FLAGS.weight_decay, FLAGS.seed, tf.as_dtype(FLAGS.precision), replicas),
        FLAGS.freeze_batch_norm, FLAGS.xla)
    return model_deploy.create_clones(deployment, model_fn, inputs,
                                      functools.partial(tf_utils.get_variables_to_train, FLAGS))


def training_summaries(parts, learning_rate, batch, dataset):
    """What TensorBoard shows of a step: summaries."""
    from visualization import batches, board
    return board.training_summaries(parts, learning_rate, batch, functools.partial(
        batches.draw_example, class_names=dataset.class_names))


def start_and_saver(group, keep_config):
    """(init_fn, saver) of the process that restores and writes; (None, None) in others, which get its weights.

    keep_config: called when the checkpoint, too, fits this run.
    """
    import tf_utils
    from run_folder import saved_checkpoints
    if not group.is_chief:
        return None, None
    saved_checkpoints.set_aside_broken_checkpoints(FLAGS.train_dir)
    init_fn = tf_utils.get_init_fn(FLAGS)
    keep_config()
    return init_fn, saved_checkpoints.CheckpointSaver(max_to_keep=5, keep_checkpoint_every_n_hours=1.)


def main():
    """The story of a run, in the steps of the TF1 scripts."""
    # Only now, when the flags are known to be good: TensorFlow takes seconds to load.
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    import tf_utils
    from datasets import broken_records
    from deployment import model_deploy, process_group
    from nets import ssd_model
    from training import loop
    from visualization import batches

    # 1. Deployment: which processes, how many clones in each, and which device does what.
    cluster = cluster_lib.find(FLAGS.worker_hosts, FLAGS.task_index, os.environ)
    gpus = tf.config.list_physical_devices('GPU')
    deployment = model_deploy.deploy(FLAGS.num_clones, FLAGS.clone_on_cpu, len(gpus), cluster.size)
    config = model_deploy.session_config(deployment, FLAGS.gpu_memory_fraction, FLAGS.allow_growth)
    group = process_group.ProcessGroup(cluster, FLAGS.collective_timeout_secs, deployment.variables_device(), config,
                                       FLAGS.gradient_precision)
    with tf.device(deployment.variables_device()):
        global_step = tf.train.get_or_create_global_step()

    # 2. Data set.
    dataset = training_set()

    # 3. Net and anchors. From here on no other run writes to train_dir.
    params = net_params()
    lock, keep_config = begin_run(params, dataset, deployment, group, model_deploy.describe_devices(gpus))

    # 4. Input batches.
    batch, normalizer = input_batch(dataset, params, deployment, group, global_step)

    # 5. Clones: net and loss.
    clones = build_clones(batch, normalizer, params, dataset.num_classes, deployment)
    parts = ssd_model.loss_parts(clones, deployment.num_replicas, group.sum)

    # 6. Learning rate, optimizer, train step.
    learning_rate = tf_utils.configure_learning_rate(FLAGS, deployment.num_replicas, dataset.num_examples, global_step)
    optimizer = tf_utils.configure_optimizer(FLAGS, learning_rate, ssd_params.backbone_scopes(params))
    with tf.device(deployment.variables_device()):
        update_ops = (tf.get_collection(tf.GraphKeys.UPDATE_OPS, clones[0].scope)
                      + tf_utils.moving_average_ops(FLAGS.moving_average_decay, global_step, parts.values()))
        train_tensor, summary_op = tf_utils.get_train_op(
            optimizer, training_summaries(parts, learning_rate, batch, dataset), clones, global_step, clones[0].scope, update_ops,
            tf_utils.get_variables_to_train(FLAGS), FLAGS.clip_gradient_norm, group)

    # 7. Initial weights and saver.
    group.make_meetings()
    init_fn, saver = start_and_saver(group, keep_config)

    # 8. Train. Lines, summaries and checkpoints are made by `step`, so slim's timers are off.
    with lock, broken_records.named(dataset, _ADVICE), loop.StopSignals() as signals:
        write = functools.partial(batches.write_batch, class_names=dataset.class_names)
        step = loop.TrainStep(FLAGS, parts, learning_rate, batch, write, summary_op, saver, signals, group)
        files = {'logdir': FLAGS.train_dir, 'saver': saver, 'summary_op': None} if saver else {'logdir': None}
        slim.learning.train(
            train_tensor, **files, train_step_fn=step, train_step_kwargs={}, master=group.master, is_chief=True,
            init_fn=init_fn, number_of_steps=FLAGS.max_number_of_steps, session_config=group.config,
            save_summaries_secs=0, save_interval_secs=0)
        return signals.exit_code()


if __name__ == '__main__':
    app.run(main, check_flags)
