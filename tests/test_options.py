import dataclasses
import subprocess
import sys
import types

import pytest
from conftest import ROOT

from training.options import LearningRateOptions, MatchingAndLossOptions, TrainOptions


def test_unknown_field_names_fail():
    with pytest.raises(TypeError, match='momentun'):
        TrainOptions(momentun=.9)
    with pytest.raises(AttributeError, match='momentun'):
        _ = TrainOptions().momentun


def test_options_are_immutable():
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrainOptions().momentum = .5


def test_train_options_have_the_fields_of_every_group():
    options = TrainOptions(loss_alpha=2., warmup_steps=5)
    assert isinstance(options, MatchingAndLossOptions) and options.loss_alpha == 2
    assert isinstance(options, LearningRateOptions) and options.warmup_steps == 5
    assert TrainOptions(batch_size=8, gradient_accumulation_steps=3).images_per_clone == 24


def test_parts_of_the_augmentation_override_the_preprocessing_name():
    assert str(TrainOptions(horizontal_flip=False).augmentation) \
        == 'zoom_out, random_crop, photometric_distortion'
    assert str(TrainOptions(preprocessing_name='plain', zoom_out=True).augmentation) == 'zoom_out'


def test_from_flags():
    values = {field.name: field.default for field in dataclasses.fields(TrainOptions)}
    flags = types.SimpleNamespace(**{**values, 'momentum': .5, 'worker_hosts': ['a:1', 'b:1'],
                                     'flag_of_another_module': 1})
    assert TrainOptions.from_flags(flags) == TrainOptions(momentum=.5, worker_hosts=('a:1', 'b:1'))


def test_every_option_is_a_flag_with_the_same_default():
    # In another process, because scripts define flags with the same names.
    program = ('import dataclasses, sys\n'
               'import train_ssd_network as script\n'
               'from training.options import TrainOptions\n'
               'script.FLAGS(["train"])\n'
               'assert TrainOptions.from_flags(script.FLAGS) == TrainOptions()\n'
               'flags = {flag.name for flag in script.FLAGS.get_key_flags_for_module(script)}\n'
               'fields = {field.name for field in dataclasses.fields(TrainOptions)}\n'
               'print(sorted(flags ^ fields))\n')
    done = subprocess.run([sys.executable, '-c', program], cwd=ROOT, capture_output=True, text=True,
                          check=True)
    assert done.stdout.strip() == (
        "['pre_trained_model', 'print_anchors', 'print_model', 'train_model_dir']")
