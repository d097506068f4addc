"""Train an SSD detector on one or many GPUs and machines.

python train_ssd_network.py --dataset_dir=data/voc2007 --train_dir=runs/voc2007

The same command again resumes from the last checkpoint in train_dir.
"""
import functools
import glob
import os
import sys

from absl import flags

from cli import app
from cli.flag_help import flag_group
from common.errors import UserError
from deployment import cluster as cluster_lib
from nets import anchors as anchors_lib
from nets import nets_factory
from nets.backbones import BACKBONES
from preprocessing import preprocessing_factory
from run_folder import checkpoint_files, run_config
from training import flag_checks, net_choice, recipes
from training.options import TrainOptions

FLAGS = flags.FLAGS
_DEFAULT = TrainOptions()

flag_group('Run and deployment')
flags.DEFINE_string('train_dir', _DEFAULT.train_dir,
                    'Folder for checkpoints, TensorBoard files, the configuration and the log.')
flags.DEFINE_enum('recipe', _DEFAULT.recipe, list(recipes.RECIPES),
                  "Defaults of other flags, which flags on the command line override: paper (the "
                  "paper's and those of public SSD scripts, for long trainings of VGG), or strong "
                  "(Adam with a linear decay over max_number_of_steps, for your own data). "
                  "docs/training.md lists the values.")
flags.DEFINE_integer('max_number_of_steps', _DEFAULT.max_number_of_steps,
                     'Last training step. Without it, training runs until it is stopped.',
                     lower_bound=1)
flags.DEFINE_integer('log_every_n_steps', _DEFAULT.log_every_n_steps,
                     'Number of steps between log lines.', lower_bound=1)
flags.DEFINE_integer('save_summaries_secs', _DEFAULT.save_summaries_secs,
                     'Seconds between TensorBoard summaries.', lower_bound=1)
flags.DEFINE_integer('save_interval_secs', _DEFAULT.save_interval_secs,
                     'Seconds between checkpoints.', lower_bound=1)
flags.DEFINE_integer('precise_batch_norm_batches', _DEFAULT.precise_batch_norm_batches,
                     'Number of training batches from which the moments of batch norm are '
                     'estimated before each checkpoint. Default: those of 1,000 images, but at '
                     'most an eighth of the steps since the last checkpoint, and at least 20. 0: '
                     'save the moving moments, which lag behind the weights.',
                     lower_bound=0)
flags.DEFINE_integer('seed', _DEFAULT.seed,
                     'Random seed of initial weights, example order and augmentation.',
                     lower_bound=0)
flags.DEFINE_integer('num_clones', _DEFAULT.num_clones,
                     'Number of clones, one per GPU. 0: one for each GPU that TensorFlow sees.',
                     lower_bound=0)
flags.DEFINE_bool('clone_on_cpu', _DEFAULT.clone_on_cpu, 'Run the clones on logical CPU devices.')
flags.DEFINE_float('gpu_memory_fraction', _DEFAULT.gpu_memory_fraction,
                   'Fraction of the memory of each GPU to use.', lower_bound=0.01, upper_bound=1)
flags.DEFINE_bool('allow_growth', _DEFAULT.allow_growth,
                  'Allocate GPU memory as needed, up to gpu_memory_fraction, instead of all at the '
                  'start.')
flags.DEFINE_enum('precision', _DEFAULT.precision, ['float32', 'bfloat16'],
                  'Precision of convolutions. Variables, checkpoints and the loss are float32.')
flags.DEFINE_bool('xla', _DEFAULT.xla,
                  'Compile the forward and backward pass with XLA. Adds about a minute at the '
                  'start; meant for GPUs, slower on CPUs.')

flag_group('Several machines')
flags.DEFINE_list('worker_hosts', list(_DEFAULT.worker_hosts),
                  'Comma-separated host:port of all processes that train together, the same list '
                  'for each. Everyone who can connect to the ports can read and write files as '
                  'you. Default: those of TF_CONFIG in the environment, if set.')
flags.DEFINE_integer('task_index', _DEFAULT.task_index,
                     'Index of this process in worker_hosts. Process 0 writes the checkpoints.')
flags.DEFINE_integer('collective_timeout_secs', _DEFAULT.collective_timeout_secs,
                     'Seconds to wait for a process that does not start or stalls. Must be longer '
                     'than writing a checkpoint takes.', lower_bound=1)
flags.DEFINE_enum('gradient_precision', _DEFAULT.gradient_precision, ['float32', 'bfloat16'],
                  'Precision of gradients exchanged between processes. bfloat16 halves the network '
                  'traffic and keeps about 3 significant digits.')

flag_group('Net')
flags.DEFINE_string('model_name', _DEFAULT.model_name,
                    f'Name of the net: {", ".join(nets_factory.names())}.')
flags.DEFINE_string('anchor_preset', _DEFAULT.anchor_preset,
                    "Anchor sizes: voc (the paper's for VOC), coco (smaller; those of public TF1 "
                    "checkpoints), a file with one entry s,s' per feature layer, or its content. "
                    'Default: those of the checkpoint in train_dir, else voc.')
flags.DEFINE_bool('print_anchors', False, 'Print the anchors of the net per layer and exit.')
flags.DEFINE_bool('print_model', False, 'Print the layers of the net with shapes, parameters and '
                  'multiply-adds, and exit.')

flag_group('Data')
flags.DEFINE_string('dataset_dir', _DEFAULT.dataset_dir,
                    'Folder of TFRecords written by tf_convert_data.py.')
flags.DEFINE_string('dataset_name', _DEFAULT.dataset_name,
                    'Name of the dataset. Required only if dataset_dir has no dataset.json.')
flags.DEFINE_string('dataset_split_name', _DEFAULT.dataset_split_name, 'Split to train on.')
flags.DEFINE_integer('num_classes', _DEFAULT.num_classes,
                     'Number of classes, background included. 0: as in the dataset.', lower_bound=0)
flags.DEFINE_enum('preprocessing_name', _DEFAULT.preprocessing_name,
                  list(preprocessing_factory.PREPROCESSING),
                  'Name for a combination of the four parts of the augmentation below: ssd (all, '
                  'as in the paper); for short trainings ssd_no_zoom_out, ssd_no_crop (neither '
                  'crop nor zoom-out) or plain (none). The names with vgg are those of other '
                  'public scripts for ssd.')
flags.DEFINE_bool('zoom_out', _DEFAULT.zoom_out,
                  'Place the image at random in a canvas of up to 4 times its side. This and the '
                  'next three flags override preprocessing_name.')
flags.DEFINE_bool('random_crop', _DEFAULT.random_crop, 'Crop the image at random.')
flags.DEFINE_bool('horizontal_flip', _DEFAULT.horizontal_flip,
                  'Mirror the image at random. Switch it off if classes differ in left and right.')
flags.DEFINE_bool('photometric_distortion', _DEFAULT.photometric_distortion,
                  'Change brightness, contrast, saturation and hue at random.')
flags.DEFINE_integer('batch_size', _DEFAULT.batch_size, 'Batch size per clone.', lower_bound=1)
flags.DEFINE_integer('gradient_accumulation_steps', _DEFAULT.gradient_accumulation_steps,
                     'Number of batches whose gradients a clone accumulates per step: a larger '
                     'batch in the memory of a small one.', lower_bound=1)
flags.DEFINE_integer('num_readers', _DEFAULT.num_readers, 'Number of records read in parallel.',
                     lower_bound=1, upper_bound=1024)
flags.DEFINE_integer('num_preprocessing_threads', _DEFAULT.num_preprocessing_threads,
                     'Number of examples preprocessed in parallel. 0: one per processor core.',
                     lower_bound=0, upper_bound=1024)
flags.DEFINE_integer('max_broken_records', _DEFAULT.max_broken_records,
                     'Maximum number of unreadable records to skip. They are found at the start '
                     'and logged. 0: no check at the start; the first one stops the run.',
                     lower_bound=0)

flag_group('Loss')
flags.DEFINE_float('match_threshold', _DEFAULT.match_threshold,
                   'IoU above which an anchor is matched to a ground-truth box.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_float('negative_ratio', _DEFAULT.negative_ratio,
                   'Number of hard negatives per matched anchor.', lower_bound=0)
flags.DEFINE_integer('min_negatives_per_image', _DEFAULT.min_negatives_per_image,
                     'Minimum number of hard negatives per image. With 0, as in the paper, images '
                     'without boxes do not contribute to the loss.', lower_bound=0)
flags.DEFINE_float('loss_alpha', _DEFAULT.loss_alpha, 'Weight of the localization loss.',
                   lower_bound=0)
flags.DEFINE_float('label_smoothing', _DEFAULT.label_smoothing,
                   'Fraction of the class probability spread evenly over all classes.',
                   lower_bound=0, upper_bound=.99)
flags.DEFINE_float('weight_decay', _DEFAULT.weight_decay,
                   'Coefficient of the L2 regularization of weights (not of biases).',
                   lower_bound=0)

flag_group('Learning rate')
flags.DEFINE_enum('learning_rate_decay_type', _DEFAULT.learning_rate_decay_type,
                  ['fixed', 'exponential', 'polynomial', 'piecewise'],
                  'Learning rate schedule.')
flags.DEFINE_float('learning_rate', _DEFAULT.learning_rate, 'Initial learning rate.', lower_bound=0)
flags.DEFINE_float('learning_rate_per_image', _DEFAULT.learning_rate_per_image,
                   'Initial learning rate per image of the global batch; replaces learning_rate. '
                   'Keeps a recipe valid for any number of GPUs.', lower_bound=0)
flags.DEFINE_integer('warmup_steps', _DEFAULT.warmup_steps,
                     'Number of steps over which the learning rate rises from 0.', lower_bound=0)
flags.DEFINE_list('learning_rate_boundaries', list(_DEFAULT.learning_rate_boundaries),
                  'Comma-separated steps at which piecewise multiplies the rate by '
                  'learning_rate_decay_factor.')
flags.DEFINE_float('learning_rate_decay_factor', _DEFAULT.learning_rate_decay_factor,
                   'Factor of each decay. Default: 0.1 for piecewise, 0.94 for exponential.',
                   lower_bound=0)
flags.DEFINE_float('num_epochs_per_decay', _DEFAULT.num_epochs_per_decay,
                   'Epochs of one exponential decay (default 2), or of the whole polynomial decay '
                   '(default: all of max_number_of_steps).', lower_bound=1e-6)
flags.DEFINE_float('end_learning_rate', _DEFAULT.end_learning_rate,
                   'Final learning rate of polynomial decay.', lower_bound=0)
flags.DEFINE_float('end_learning_rate_per_image', _DEFAULT.end_learning_rate_per_image,
                   'Final learning rate of polynomial decay per image of the global batch; goes '
                   'with learning_rate_per_image. Default: a tenth of it.', lower_bound=0)
flags.DEFINE_float('bias_learning_rate_multiplier', _DEFAULT.bias_learning_rate_multiplier,
                   'Learning rate of biases, relative to that of the weights.', lower_bound=0)
flags.DEFINE_float('backbone_learning_rate_multiplier', _DEFAULT.backbone_learning_rate_multiplier,
                   'Learning rate of the backbone (conv1 to conv5 of VGG, all of MobileNet), '
                   'relative to that of the other layers. 0 freezes its weights.', lower_bound=0)

flag_group('Optimizer')
flags.DEFINE_enum('optimizer', _DEFAULT.optimizer,
                  ['adadelta', 'adagrad', 'adam', 'ftrl', 'momentum', 'rmsprop', 'sgd'],
                  'Name of the optimizer.')
flags.DEFINE_float('momentum', _DEFAULT.momentum, 'Momentum coefficient.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_float('adam_beta1', _DEFAULT.adam_beta1, 'Decay rate of the first moment of Adam.',
                   lower_bound=0, upper_bound=.9999999)
flags.DEFINE_float('adam_beta2', _DEFAULT.adam_beta2, 'Decay rate of the second moment of Adam.',
                   lower_bound=0, upper_bound=.9999999)
flags.DEFINE_float('opt_epsilon', _DEFAULT.opt_epsilon,
                   'Epsilon of Adadelta, Adam and RMSProp. The default is that of public SSD '
                   'scripts; the Adam paper uses 1e-8.', lower_bound=0)
flags.DEFINE_float('rmsprop_decay', _DEFAULT.rmsprop_decay, 'Decay rate of RMSProp.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_float('rmsprop_momentum', _DEFAULT.rmsprop_momentum,
                   'Momentum coefficient of RMSProp.', lower_bound=0, upper_bound=1)
flags.DEFINE_float('adadelta_rho', _DEFAULT.adadelta_rho, 'Decay rate of Adadelta.', lower_bound=0,
                   upper_bound=1)
flags.DEFINE_float('adagrad_initial_accumulator_value',
                   _DEFAULT.adagrad_initial_accumulator_value,
                   'Initial accumulator value of Adagrad.', lower_bound=1e-30)
flags.DEFINE_float('ftrl_learning_rate_power', _DEFAULT.ftrl_learning_rate_power,
                   'Power of the learning rate of FTRL.', upper_bound=0)
flags.DEFINE_float('ftrl_initial_accumulator_value', _DEFAULT.ftrl_initial_accumulator_value,
                   'Initial accumulator value of FTRL.', lower_bound=0)
flags.DEFINE_float('ftrl_l1', _DEFAULT.ftrl_l1, 'L1 regularization strength of FTRL.',
                   lower_bound=0)
flags.DEFINE_float('ftrl_l2', _DEFAULT.ftrl_l2, 'L2 regularization strength of FTRL.',
                   lower_bound=0)
flags.DEFINE_float('clip_gradient_norm', _DEFAULT.clip_gradient_norm,
                   'Upper bound of the global norm of the gradients. 0: no clipping.',
                   lower_bound=0)
flags.DEFINE_float('moving_average_decay', _DEFAULT.moving_average_decay,
                   'Decay of moving averages of the weights, which evaluation, prediction and '
                   'export then use. Default: no averages.', lower_bound=0, upper_bound=.999999)

flag_group('Fine-tuning')
flags.DEFINE_string('checkpoint_path', _DEFAULT.checkpoint_path,
                    'Pretrained weights: a TensorFlow checkpoint (a file, or a folder for its '
                    'latest), or a file of PyTorch, Keras, Caffe, TensorFlow.js or NumPy; see '
                    'checkpoints/README.md.')
flags.DEFINE_string('checkpoint_model_scope', _DEFAULT.checkpoint_model_scope,
                    'Variable scope in the checkpoint that corresponds to model_name, for example '
                    'vgg_16.')
flags.DEFINE_bool('checkpoint_moving_averages', _DEFAULT.checkpoint_moving_averages,
                  "Restore the moving averages of the checkpoint's weights.")
flags.DEFINE_string('checkpoint_exclude_scopes', _DEFAULT.checkpoint_exclude_scopes,
                    'Comma-separated scopes of variables not to restore.')
flags.DEFINE_string('trainable_scopes', _DEFAULT.trainable_scopes,
                    'Comma-separated scopes of variables to train. Default: all.')
flags.DEFINE_bool('freeze_batch_norm', _DEFAULT.freeze_batch_norm,
                  'Normalize with the moving moments of the checkpoint and do not update them: for '
                  'batches of a few images.')
flags.DEFINE_bool('sync_batch_norm', _DEFAULT.sync_batch_norm,
                  'Compute batch norm moments over all clones, as one clone with the whole batch '
                  'would: for a few images per clone.')
flags.DEFINE_bool('ignore_missing_vars', _DEFAULT.ignore_missing_vars,
                  'Initialize variables that the checkpoint lacks instead of failing.')

# Flag names of public SSD scripts.
_ALIASES = {'train_model_dir': 'train_dir', 'pre_trained_model': 'checkpoint_path'}
for alias, flag_name in _ALIASES.items():
    flags.DEFINE_alias(alias, flag_name)
_VOC_CLASSES = 21   # of --print_model without --num_classes
_BROKEN_RECORDS_ADVICE = 'Convert the data again, or skip them with --max_broken_records={count}'


def own_flags():
    """Return the flags of this script without aliases."""
    return [flag for flag in FLAGS.get_key_flags_for_module(sys.argv[0])
            if flag.name not in _ALIASES]


def check_flags():
    """Check the flags before TensorFlow is loaded; print what --print_anchors or _model asks.

    The recipe is applied first, so that all checks see the values of the run.
    """
    recipes.apply(FLAGS)
    params = net_choice.choose(FLAGS)
    FLAGS.set_default('model_name', params.name)
    resumes = bool(FLAGS.train_dir and checkpoint_files.list_checkpoints(FLAGS.train_dir))
    if (FLAGS.print_anchors or FLAGS.print_model) and not resumes:
        check_pretrained_weights()   # they tell the net to print
    if FLAGS.print_anchors:
        print(anchors_lib.describe(params))
        return 0
    if FLAGS.print_model:
        app.import_tensorflow()
        from nets import layer_table
        print(layer_table.describe(params, FLAGS.num_classes or _VOC_CLASSES))
        return 0
    app.require_flags(FLAGS, 'train_dir', 'dataset_dir')
    cluster = cluster_lib.resolve_cluster(FLAGS.worker_hosts, FLAGS.task_index, os.environ)
    if not os.path.isdir(FLAGS.dataset_dir):
        raise UserError(f'the dataset_dir {FLAGS.dataset_dir} does not exist. Correct the path, '
                        f'or create it with tf_convert_data.py')
    checkpoint_files.check_path(FLAGS.train_dir)
    if os.path.exists(FLAGS.train_dir) and not os.path.isdir(FLAGS.train_dir):
        raise UserError(f'the train_dir {FLAGS.train_dir} is a file. Pass a folder')
    if FLAGS.num_classes == 1:
        raise UserError('--num_classes=1 leaves no class besides the background. Count the '
                        'background too')
    if FLAGS.optimizer == 'ftrl' and FLAGS.checkpoint_path:
        raise UserError('FTRL overwrites the restored weights at the first step. Choose another '
                        '--optimizer, or leave out --checkpoint_path')
    flag_checks.check(FLAGS, {flag.name for flag in own_flags() if flag.present})
    check_batch_norm(params)
    if cluster.is_chief and not resumes:
        check_pretrained_weights()
    return None


def check_pretrained_weights():
    """Check --checkpoint_path, and that --freeze_batch_norm has one."""
    path = FLAGS.checkpoint_path
    if FLAGS.freeze_batch_norm and not path:
        raise UserError('--freeze_batch_norm needs learned moments. Pass --checkpoint_path')
    if not path:
        return
    # Without a configuration, `net_choice` has opened the weights already.
    if os.path.isdir(path) and run_config.model_of_checkpoint(path) and not (
            os.path.exists(os.path.join(path, 'checkpoint'))   # may list other folders
            or checkpoint_files.list_any_checkpoints(path)
            or checkpoint_files.list_checkpoints(path)):
        raise UserError(f'the folder {path} holds no TensorFlow checkpoint. Pass the file itself '
                        f'if it has another format')
    if not glob.glob(glob.escape(path) + '*'):
        raise UserError(f'there is no checkpoint {path}. Correct the path')


def check_batch_norm(params):
    """Raise UserError if the batch norm flags do not fit the net or each other."""
    for flag in ('freeze_batch_norm', 'sync_batch_norm'):
        if getattr(FLAGS, flag) and not (BACKBONES[params.backbone].batch_norm
                                         or 'batch_norm' in params.normalizations):
            raise UserError(f'{params.name} has no batch norm. Leave out --{flag}')
    if FLAGS.freeze_batch_norm and FLAGS.sync_batch_norm:
        raise UserError('frozen batch norm computes no moments to synchronize. Pass only one of '
                        '--freeze_batch_norm and --sync_batch_norm')


def main():
    """Train, in the eight steps of the TF1 scripts."""
    # Imported here because TensorFlow takes seconds to load and flags are checked before.
    import tensorflow.compat.v1 as tf
    import tf_slim as slim

    import tf_utils
    from datasets import broken_records
    from run_folder import saved_checkpoints
    from training import file_limit, graph, loop, run_start, stop_signals
    from visualization import batches

    options = TrainOptions.from_flags(FLAGS)

    # 1. Deployment: processes, clones, devices, session configuration.
    group = run_start.deploy(options)
    with tf.device(group.deployment.variables_device()):
        global_step = tf.train.get_or_create_global_step()

    # 2. Dataset.
    dataset = run_start.load_dataset(options)

    # 3. Net and anchors. From here on this run holds the lock of train_dir.
    params = net_choice.choose(FLAGS)
    lock, write_config = run_start.lock_and_log(options, own_flags(), params, dataset, group)

    # 4. Input batches.
    batch, normalizer = graph.input_batch(options, params, dataset, group, global_step)

    # 5. Clones: net and loss.
    clones = graph.create_clones(
        options, params, dataset.num_classes, group.deployment, batch, normalizer, global_step)

    # 6. Learning rate, optimizer, train op.
    train_op = graph.create_train_op(options, params, dataset, group, clones, batch, global_step)

    # 7. Initial weights, configuration, Saver. The chief restores and broadcasts the variables.
    group.create_sync_ops()
    signals = stop_signals.StopSignals()
    init_fn = None
    if group.is_chief:
        saved_checkpoints.set_aside_broken_checkpoints(options.train_dir)
        init_fn = tf_utils.get_init_fn(options, params, dataset.class_names)
        write_config()
    saver = run_start.create_saver(options, clones, group, signals, write_config)

    # 8. Train. `step` logs, summarizes and saves, so slim's own timers are off.
    with lock, broken_records.report_broken_records(dataset, _BROKEN_RECORDS_ADVICE), \
         file_limit.report_large_files(options.train_dir), signals:
        write_batch = functools.partial(batches.write_batch, class_names=dataset.class_names)
        step = loop.TrainStep(options, train_op, batch, write_batch, saver, signals, group)
        # Without a logdir, slim accepts neither a saver nor a summary_op.
        output = {'logdir': options.train_dir, 'saver': saver, 'summary_op': None} \
            if group.is_chief else {'logdir': None}
        slim.learning.train(
            train_op.train_tensor, **output, train_step_fn=step, train_step_kwargs={},
            master=group.master, is_chief=True,   # `group` coordinates the processes, not slim
            init_fn=init_fn, number_of_steps=options.max_number_of_steps,
            session_config=group.session_config, save_summaries_secs=0, save_interval_secs=0)
        return signals.exit_code()


if __name__ == '__main__':
    app.run(main, check_flags)
