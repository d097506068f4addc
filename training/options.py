"""Options of a training, in one frozen object.

`TrainOptions` has one field per flag of `train_ssd_network.py`, with the flag's name and default;
the help of the flag describes it. Each base class has the options of one part of the training, so
a function that takes, for example, `OptimizerOptions` also accepts `TrainOptions`.
"""
import dataclasses

from preprocessing import preprocessing_factory
from preprocessing.augmentation import Augmentation


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """The run folder, and how often the loop logs and saves."""
    train_dir: str = None
    recipe: str = 'paper'
    max_number_of_steps: int = None
    log_every_n_steps: int = 10
    save_summaries_secs: int = 60
    save_interval_secs: int = 600
    precise_batch_norm_batches: int = None
    seed: int = 0


@dataclasses.dataclass(frozen=True)
class DeploymentOptions:
    """Clones, processes and devices."""
    num_clones: int = 1
    clone_on_cpu: bool = False
    worker_hosts: tuple = ()
    task_index: int = None
    collective_timeout_secs: int = 600
    gradient_precision: str = 'float32'
    gpu_memory_fraction: float = .8
    allow_growth: bool = False
    precision: str = 'float32'
    xla: bool = False


@dataclasses.dataclass(frozen=True)
class OptimizerOptions:
    """The optimizer."""
    optimizer: str = 'momentum'
    adadelta_rho: float = .95
    adagrad_initial_accumulator_value: float = .1
    adam_beta1: float = .9
    adam_beta2: float = .999
    opt_epsilon: float = 1.
    ftrl_learning_rate_power: float = -.5
    ftrl_initial_accumulator_value: float = .1
    ftrl_l1: float = 0.
    ftrl_l2: float = 0.
    momentum: float = .9
    rmsprop_momentum: float = .9
    rmsprop_decay: float = .9
    bias_learning_rate_multiplier: float = 2.
    backbone_learning_rate_multiplier: float = 1.
    clip_gradient_norm: float = 0.
    moving_average_decay: float = None


@dataclasses.dataclass(frozen=True)
class LearningRateOptions:
    """The learning rate schedule."""
    learning_rate_decay_type: str = 'piecewise'
    learning_rate: float = 1e-3
    learning_rate_per_image: float = None
    end_learning_rate: float = 1e-4
    end_learning_rate_per_image: float = None
    learning_rate_decay_factor: float = None
    learning_rate_boundaries: tuple = ('80000', '100000')
    num_epochs_per_decay: float = None
    warmup_steps: int = 0


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """The dataset and the batches."""
    dataset_dir: str = None
    dataset_name: str = ''
    dataset_split_name: str = 'train'
    num_classes: int = 0
    preprocessing_name: str = 'ssd'
    zoom_out: bool = None
    random_crop: bool = None
    horizontal_flip: bool = None
    photometric_distortion: bool = None
    batch_size: int = 32
    gradient_accumulation_steps: int = 1
    num_readers: int = 4
    num_preprocessing_threads: int = 0
    max_broken_records: int = 0

    @property
    def augmentation(self):
        """The `Augmentation` of preprocessing_name, changed by the flags of its parts."""
        return preprocessing_factory.get_augmentation(
            self.preprocessing_name,
            **{part: getattr(self, part) for part in Augmentation._fields})


@dataclasses.dataclass(frozen=True)
class NetOptions:
    """The net and its anchors."""
    model_name: str = 'ssd_300_vgg'
    anchor_preset: str = None


@dataclasses.dataclass(frozen=True)
class FineTuningOptions:
    """Pretrained weights, and which variables to train."""
    checkpoint_path: str = None
    checkpoint_model_scope: str = None
    checkpoint_moving_averages: bool = False
    checkpoint_exclude_scopes: str = None
    trainable_scopes: str = None
    freeze_batch_norm: bool = False
    sync_batch_norm: bool = False
    ignore_missing_vars: bool = False


@dataclasses.dataclass(frozen=True)
class MatchingAndLossOptions:
    """Matching, loss and regularization."""
    match_threshold: float = .5
    negative_ratio: float = 3.
    min_negatives_per_image: int = 0
    loss_alpha: float = 1.
    label_smoothing: float = 0.
    weight_decay: float = 5e-4


@dataclasses.dataclass(frozen=True)
class TrainOptions(RunOptions, DeploymentOptions, OptimizerOptions, LearningRateOptions,
                   DataOptions, NetOptions, FineTuningOptions, MatchingAndLossOptions):
    """All options of a training."""

    @classmethod
    def from_flags(cls, flags):
        """Return the options with the values of the flags (absl's FLAGS) of the same names."""
        values = {field.name: getattr(flags, field.name) for field in dataclasses.fields(cls)}
        return cls(**{name: tuple(value) if isinstance(value, list) else value
                      for name, value in values.items()})

    @property
    def images_per_clone(self):
        """Images that one clone takes per step."""
        return self.batch_size * self.gradient_accumulation_steps
