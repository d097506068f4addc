"""Moments of batch norm for inference, estimated over training batches before each checkpoint.

The moving moments that training updates lag behind the weights, so that a net in the middle of a
training is evaluated far below what it has learned. Here the moments are estimated with constant
weights: "precise" batch norm of Wu and Johnson, arXiv 2105.07576, section 3. The weights that
follow do not depend on them, because training normalizes with the moments of each batch. At the
last step, the estimate depends only on weights and step, so a resumed run ends with the same
moments.
"""
import contextlib
import itertools
import math
import signal

import numpy as np
import tensorflow.compat.v1 as tf

from common.log import log
from datasets import broken_records
from nets import layers
from run_folder.saved_checkpoints import MOVING_AVERAGE_SUFFIX

# Default minimum of images and of batches. More images did not change mAP (docs/training.md).
_NUM_IMAGES, _MIN_BATCHES = 1000, 20
# Upper bound of one batch per _STEPS_PER_BATCH steps, so that frequent checkpoints do not slow the
# training down: a batch, without gradients, takes 0.3 to 0.4 times as long as a step.
_STEPS_PER_BATCH = 8


def is_joint(options, group):
    """Return whether all processes must take part in an estimate.

    They exchange the moments of each batch. Otherwise, only the process that saves estimates.

    Args:
        options: `TrainOptions`.
        group: `ProcessGroup`.
    """
    return options.sync_batch_norm and group.num_processes > 1


def num_batches(options, images_per_batch, step, last_saved_step):
    """Return the number of batches to estimate from; the same in all processes.

    Args:
        options: `RunOptions`.
        images_per_batch: number of images whose moments one batch yields.
        step: step of the checkpoint.
        last_saved_step: step of the previous checkpoint, 0 if there is none. It does not count at
            the last step, where a resumed run must save the same moments.
    """
    if options.precise_batch_norm_batches is not None:
        return options.precise_batch_norm_batches
    num_steps = step if step == options.max_number_of_steps else step - last_saved_step
    return max(_MIN_BATCHES, min(math.ceil(_NUM_IMAGES / images_per_batch),
                                 num_steps // _STEPS_PER_BATCH))


def batch_limit(signals, is_joint):
    """Return the maximum number of batches at the moment, so that a stopped run ends in time.

    After SIGTERM, whose sender may kill the process soon, it is 0. A user who presses Ctrl-C or
    closes the terminal waits for some batches.

    Args:
        signals: `StopSignals`.
        is_joint: whether the limit must be the same in all processes.
    """
    if is_joint:
        return 0 if signals.is_agreed else math.inf
    if signals.received is None:
        return math.inf
    return 0 if signals.received == signal.SIGTERM else _MIN_BATCHES


def population_moments(means, variances):
    """Return the moments of the population from those of equally large batches.

    The variance is the mean variance within a batch plus the variance of the batches' means, which
    equals E[mean^2 + variance] - E[mean]^2 of the paper.

    Args:
        means: [N, C], one row per batch.
        variances: [N, C], biased.

    Returns:
        (mean, variance): [C] float64 each.
    """
    means, variances = np.asarray(means, np.float64), np.asarray(variances, np.float64)
    return means.mean(0), variances.mean(0) + means.var(0)


class MomentEstimator:
    """Sets the moments of all batch norm layers to those of the next training batches.

    Attributes:
        averaged_moments: local variables for the checkpoint: the moments of the net with the moving
            averages of the weights. Empty without moving averages. Their names are those of the
            moving moments with `MOVING_AVERAGE_SUFFIX`.
    """

    def __init__(self, clones, num_batches, batch_limit=lambda: math.inf, joint_group=None):
        """Find the batch norm layers of the clones; call this when all variables exist.

        Args:
            clones: list of `model_deploy.Clone`. The moments are those of all clones' batches; with
                gradient accumulation, of the first micro-batch of each.
            num_batches: function (step, last_saved_step) that returns the number of batches, or
                None to keep the moving moments always.
            batch_limit: function without arguments that returns the maximum number of batches. It
                is called after each batch. If it returns 0, the moving moments are kept.
            joint_group: `ProcessGroup` if all its processes call `update` at the same steps and
                exchange the moments, otherwise None.
        """
        self._num_batches, self._batch_limit = num_batches, batch_limit
        self._joint_group = joint_group
        moments = [_first_of_each_layer(clone.scope) for clone in clones] if num_batches else [[]]
        self._fetches = [[(layer.mean, layer.variance) for layer in clone] for clone in moments]
        self._moving = [variable for layer in moments[0]
                        for variable in (layer.moving_mean, layer.moving_variance)]
        average_of = {variable.op.name.removesuffix(MOVING_AVERAGE_SUFFIX): variable
                      for variable in tf.global_variables()
                      if variable.op.name.endswith(MOVING_AVERAGE_SUFFIX)}
        self._weights = [variable for variable in tf.trainable_variables()
                         if variable.op.name in average_of] if self._moving else []
        self._averages = [average_of[variable.op.name] for variable in self._weights]
        self.averaged_moments = [_local_copy(moving) for moving in self._moving] \
            if self._weights else []

    def update(self, session, step, last_saved_step):
        """Estimate the moments of the weights, and those of their moving averages if there are any.

        Afterwards the input starts again at the current step. If the input fails or the batch limit
        is 0, the moving moments stay as they are.

        Args:
            session: the session.
            step: the current step.
            last_saved_step: step of the previous checkpoint, 0 if there is none.

        Raises:
            LostProcessError: If another process of the joint group is lost.
        """
        if not self._moving:
            return
        num_batches, moments, averaged = self._num_batches(step, last_saved_step), None, None
        if self._batch_limit():
            try:
                moments = self._estimate(session, num_batches)
                if moments and self.averaged_moments:
                    with self._averaged_weights(session):
                        averaged = self._estimate(session, num_batches)
            finally:
                session.run(tf.get_collection(tf.GraphKeys.TABLE_INITIALIZERS))
        if moments:
            _assign(session, self._moving, moments)
        else:
            log.info('the moments of batch norm are not estimated; the moving moments are saved')
            moments = _values(session, self._moving)
        if self.averaged_moments:
            _assign(session, self.averaged_moments, averaged or moments)

    def _estimate(self, session, num_batches):
        """Return the values of the moving moments; None if the input fails or the limit is 0.

        Uses the next batches of the input.
        """
        batches = []   # of each run: [(mean, variance) of each layer] of each clone
        try:
            with self._detect_lost_processes():
                while len(batches) < min(num_batches, self._batch_limit()):
                    batches.append(session.run(self._fetches))
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            # Training reports it when it reaches the record. But processes that estimate together
            # must not go on without this one.
            if self._joint_group or not broken_records.is_input_error(error):
                raise
            return None
        if not self._batch_limit():
            return None
        return [value for layer in zip(*itertools.chain(*batches), strict=True)
                for value in population_moments(*zip(*layer, strict=True))]

    def _detect_lost_processes(self):
        return self._joint_group.detect_lost_processes() if self._joint_group \
            else contextlib.nullcontext()

    @contextlib.contextmanager
    def _averaged_weights(self, session):
        """Replace the weights by their moving averages."""
        weights = _values(session, self._weights)
        _assign(session, self._weights, _values(session, self._averages))
        try:
            yield
        finally:
            _assign(session, self._weights, weights)


class EstimatePartner:
    """Stands for the saver in a process that takes part in the estimates but saves nothing."""

    def __init__(self, prepare):
        """Create the partner of a `CheckpointSaver` with the same `prepare`."""
        self._prepare, self._last_step = prepare, 0

    def mark_as_saved(self, step):
        """See `CheckpointSaver.mark_as_saved`."""
        self._last_step = step

    def save(self, sess, _save_path, global_step):
        """Do what precedes `CheckpointSaver.save` in the process that saves."""
        if global_step != self._last_step:
            self._prepare(sess, global_step, self._last_step)
            self._last_step = global_step


def _first_of_each_layer(scope):
    """Return the `BatchMoments` under a name scope, the first of each layer."""
    first = {}
    for moments in tf.get_collection(layers.BATCH_MOMENTS, scope):
        first.setdefault(moments.moving_mean.op.name, moments)
    return list(first.values())


def _local_copy(variable):
    """Return a local variable with the name of a variable's moving average."""
    with tf.device(variable.device):
        return tf.Variable(variable.initial_value, trainable=False,
                           collections=[tf.GraphKeys.LOCAL_VARIABLES],
                           name=variable.op.name + MOVING_AVERAGE_SUFFIX)


def _values(session, variables):
    """Return the values of variables. They are copied: fetched arrays can share their memory."""
    return [np.array(value) for value in session.run(variables)]


def _assign(session, variables, values):
    """Assign values to variables in one run, without new ops: the graph may be finalized."""
    session.run([variable.initializer for variable in variables],
                {variable.initializer.inputs[1]: value
                 for variable, value in zip(variables, values, strict=True)})
