"""Flags that contradict each other or have no effect. Importing this does not load TensorFlow."""
from common.errors import UserError

# Flag -> values of --learning_rate_decay_type with which it has an effect.
_SCHEDULES_OF_FLAG = {
    'learning_rate_boundaries': ('piecewise',),
    'learning_rate_decay_factor': ('piecewise', 'exponential'),
    'num_epochs_per_decay': ('exponential', 'polynomial'),
    'end_learning_rate': ('polynomial',),
    'end_learning_rate_per_image': ('polynomial',),
}
# Flags that select what is restored from --checkpoint_path.
_CHECKPOINT_FLAGS = ('checkpoint_model_scope', 'checkpoint_moving_averages',
                     'checkpoint_exclude_scopes', 'ignore_missing_vars')


def check(options, given_flags):
    """Check that the flags of the learning rate do not contradict each other.

    Args:
        options: `LearningRateOptions`, recipe and max_number_of_steps.
        given_flags: set of the names of all flags that were passed.

    Raises:
        UserError: If they do.
    """
    boundaries = list(options.learning_rate_boundaries)
    if not all(b.strip().isdecimal() for b in boundaries) \
            or sorted(boundaries, key=int) != boundaries:
        raise UserError(f'--learning_rate_boundaries={",".join(boundaries)} is not a list of '
                        f'increasing step numbers')
    if options.learning_rate_decay_type != 'polynomial':
        return
    if options.max_number_of_steps is None and options.num_epochs_per_decay is None:
        source = '' if 'learning_rate_decay_type' in given_flags \
            else f' of --recipe={options.recipe}'
        raise UserError(f'--learning_rate_decay_type=polynomial{source} reaches its end at the '
                        f'last step, which is not known. Pass --max_number_of_steps, or '
                        f'--num_epochs_per_decay for the epochs of the whole decay')
    is_scaled = options.learning_rate_per_image is not None
    if is_scaled and 'end_learning_rate' in given_flags:
        raise UserError('--learning_rate_per_image scales with the batch, --end_learning_rate does '
                        'not. Pass --end_learning_rate_per_image instead')
    if not is_scaled and 'end_learning_rate_per_image' in given_flags:
        raise UserError('--end_learning_rate_per_image scales with the batch, --learning_rate does '
                        'not. Pass --learning_rate_per_image instead')


def remarks(options, given_flags):
    """Return sentences about flags that have no effect, or not that of other public scripts.

    Args:
        options: `TrainOptions`.
        given_flags: set of the names of all flags that were passed.
    """
    schedule = options.learning_rate_decay_type
    sentences = [f'--{flag} has no effect with --learning_rate_decay_type={schedule}'
                 for flag, schedules in _SCHEDULES_OF_FLAG.items()
                 if flag in given_flags and schedule not in schedules]
    if not options.checkpoint_path:
        sentences += [f'--{flag} has no effect without --checkpoint_path'
                      for flag in _CHECKPOINT_FLAGS if flag in given_flags]
    if 'learning_rate' in given_flags and options.learning_rate_per_image is not None:
        sentences.append('--learning_rate has no effect with --learning_rate_per_image')
    # Other public SSD scripts have no piecewise decay.
    if schedule == 'piecewise' and 'learning_rate_decay_factor' in given_flags and not (
            {'learning_rate_decay_type', 'learning_rate_boundaries'} & given_flags):
        sentences.append(
            f'--learning_rate_decay_factor={options.learning_rate_decay_factor:g} multiplies the '
            f'learning rate at the steps {" and ".join(options.learning_rate_boundaries)}. In '
            f'other public SSD scripts it does so every --num_epochs_per_decay epochs; pass '
            f'--learning_rate_decay_type=exponential for that')
    return sentences
