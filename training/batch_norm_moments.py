"""Moments of batch norm for inference, estimated over training batches before each checkpoint.

The moving moments that training updates lag behind the weights, so that a net in the middle of a
training is evaluated far below what it has learned. Here the moments are estimated with constant
weights: "precise" batch norm of Wu and Johnson, arXiv 2105.07576, section 3. The weights that
follow do not depend on them, because training normalizes with the moments of each batch. The
estimate depends only on weights and step, so a resumed run saves the same moments.
"""
import contextlib

import numpy as np
import tensorflow.compat.v1 as tf

from common.log import log
from datasets import broken_records
from nets import layers
from run_folder.saved_checkpoints import MOVING_AVERAGE_SUFFIX


def num_batches(options, group):
    """Return the number of batches to estimate from: 0 if the processes would have to take part.

    Only the process that saves estimates. Synchronized moments of several processes need all of
    them, which do not know when it saves.

    Args:
        options: `TrainOptions`.
        group: `ProcessGroup`.
    """
    is_collective = options.sync_batch_norm and group.num_processes > 1
    return 0 if is_collective else options.precise_batch_norm_batches


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

    def __init__(self, clones, num_batches, is_stopping=lambda: False):
        """Find the batch norm layers of the clones; call this when all variables exist.

        Args:
            clones: list of `model_deploy.Clone`. The moments are those of all clones' batches; with
                gradient accumulation, of the first micro-batch of each.
            num_batches: number of batches; 0 keeps the moving moments.
            is_stopping: function without arguments, called before each batch. If it returns True,
                the moving moments are kept, so that a run that is told to stop does so quickly.
        """
        self._num_batches, self._is_stopping = num_batches, is_stopping
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

    def update(self, session):
        """Estimate the moments of the weights, and those of their moving averages if there are any.

        Afterwards the input starts again at the current step. If the input fails or the run is
        stopping, the moving moments stay as they are.
        """
        if not self._moving:
            return
        moments = averaged = None
        if not self._is_stopping():
            try:
                moments = self._estimate(session)
                if moments and self.averaged_moments:
                    with self._averaged_weights(session):
                        averaged = self._estimate(session)
            finally:
                session.run(tf.get_collection(tf.GraphKeys.TABLE_INITIALIZERS))
        if moments:
            _assign(session, self._moving, moments)
        else:
            log.info('the moments of batch norm are not estimated; the moving moments are saved')
            moments = _values(session, self._moving)
        if self.averaged_moments:
            _assign(session, self.averaged_moments, averaged or moments)

    def _estimate(self, session):
        """Return the values of the moving moments; None if the input fails or the run is stopping.

        Uses the next batches of the input.
        """
        batches = []   # one per clone and run: [(mean, variance) of each layer]
        try:
            for _ in range(self._num_batches):
                batches += session.run(self._fetches)
                if self._is_stopping():
                    return None
        except (tf.errors.OpError, UnicodeDecodeError) as error:
            if not broken_records.is_input_error(error):
                raise
            return None   # training reports it when it reaches the record
        return [value for layer in zip(*batches, strict=True)
                for value in population_moments(*zip(*layer, strict=True))]

    @contextlib.contextmanager
    def _averaged_weights(self, session):
        """Replace the weights by their moving averages."""
        weights = _values(session, self._weights)
        _assign(session, self._weights, _values(session, self._averages))
        try:
            yield
        finally:
            _assign(session, self._weights, weights)


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
