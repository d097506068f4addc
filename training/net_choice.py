"""Choose the net of a training: from the flags, the run folder and the pretrained weights."""
import functools
import glob

from common.errors import UserError
from nets import nets_factory
from run_folder import run_config


def choose(flags):
    """Return the `SSDParams` of the net to train.

    Without --model_name, the net is that of train_dir, then that of --checkpoint_path, then the
    default of the flag. If it is the same net, its anchors, unless --anchor_preset is passed, and
    the fields in which it differs from the table of nets are taken over as well: weights mean what
    they meant only in the net that learned them.

    Args:
        flags: absl `FlagValues` of `train_ssd_network.py`, parsed.

    Raises:
        UserError: If the net or its anchors are unknown or do not fit, or the weights cannot be
            read.
    """
    trained = run_config.model_of_train_dir(flags.train_dir) if flags.train_dir else {}
    known = trained or _model_of_pretrained_weights(flags.checkpoint_path)
    name = known.get('model_name') if known and not flags['model_name'].present else None
    name = name or flags.model_name
    is_same_net = known.get('model_name') == name
    preset = known.get('anchor_preset') if is_same_net else None
    try:
        return nets_factory.get_params(name, flags.anchor_preset or preset or 'voc',
                                       known.get('net') if is_same_net else None)
    except UserError as error:
        if trained and preset and flags.anchor_preset:
            raise UserError(f'{error}. Leave out --anchor_preset to resume {flags.train_dir} with '
                            f'its own anchors') from error
        raise


@functools.cache   # a large file takes seconds
def _model_of_pretrained_weights(path):
    """Return what is known of the net of pretrained weights, as `describe_weights` returns it.

    A path that does not exist is an error only in the process that restores it.
    """
    if not path or not glob.glob(glob.escape(path) + '*'):
        return {}
    model = run_config.model_of_checkpoint(path)
    if model:
        return model   # without loading TensorFlow
    from checkpoints import description
    return description.describe_weights(path)[1]
