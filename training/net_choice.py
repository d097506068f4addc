"""Choose the net of a training: from the flags, the run folder and the pretrained weights."""
import functools
import glob

from cli import app
from common.errors import UserError
from nets import nets_factory
from run_folder import run_config


def choose(flags):
    """Return the `SSDParams` of the net to train.

    Without --model_name, the net is that of train_dir, then that of --checkpoint_path, then the
    default of the flag. If it is the same net, its anchors are taken over, unless --anchor_preset
    is passed. Of the fields in which it differs from the table of nets, those are taken over that
    `nets_factory.inherited_differences` returns.

    Args:
        flags: absl `FlagValues` of `train_ssd_network.py`, parsed.

    Raises:
        UserError: If the net or its anchors are unknown or do not fit, or the weights cannot be
            read.
    """
    trained = run_config.model_of_train_dir(flags.train_dir) if flags.train_dir else {}
    known = trained or _model_of_pretrained_weights(
        flags.checkpoint_path, flags.anchor_preset)
    name = known.get('model_name') if known and not flags['model_name'].present else None
    name = name or flags.model_name
    preset = known.get('anchor_preset') if known.get('model_name') == name else None
    try:
        return nets_factory.get_params(name, flags.anchor_preset or preset or 'voc',
                                       nets_factory.inherited_differences(name, known))
    except UserError as error:
        if trained and preset and flags.anchor_preset:
            raise UserError(f'{error}. Leave out --anchor_preset to resume {flags.train_dir} with '
                            f'its own anchors') from error
        raise


@functools.cache   # a large file takes seconds
def _model_of_pretrained_weights(path, anchor_preset):
    """Return what is known of the net of pretrained weights, as `describe_weights` returns it.

    A path that does not exist is an error only in the process that restores it.
    """
    if not path or not glob.glob(glob.escape(path) + '*'):
        return {}
    model = run_config.model_of_checkpoint(path)
    if model:
        return model   # without loading TensorFlow
    app.import_tensorflow()
    from checkpoints import description
    return description.describe_weights(path, anchor_preset)[1]
