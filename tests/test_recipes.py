import json
import subprocess
import sys

import pytest
from conftest import ROOT

from training.options import TrainOptions
from training.recipes import RECIPES


def effective_options(*arguments):
    """Return (options, flags in effect from the recipe, passed flags) of a training command."""
    # In another process, because scripts define flags with the same names.
    program = ('import dataclasses, json, sys\n'
               'import train_ssd_network as script\n'
               'from training import recipes\n'
               'from training.options import TrainOptions\n'
               'script.FLAGS(["train"] + sys.argv[1:])\n'
               'recipes.apply(script.FLAGS)\n'
               'all_flags = script.FLAGS.get_key_flags_for_module(script)\n'
               'flags = recipes.flags_in_effect(script.FLAGS.recipe, all_flags)\n'
               'print(json.dumps([dataclasses.asdict(TrainOptions.from_flags(script.FLAGS)),\n'
               '                  [flag.serialize() for flag in flags],\n'
               '                  [flag.name for flag in all_flags if flag.present]]))\n')
    done = subprocess.run([sys.executable, '-c', program, *arguments], cwd=ROOT,
                          capture_output=True, text=True, check=True)
    values, *flags = json.loads(done.stdout)
    values = {name: tuple(value) if isinstance(value, list) else value
              for name, value in values.items()}
    return TrainOptions(**values), *flags


def test_strong_sets_what_was_not_passed():
    options, flags, passed = effective_options(
        '--recipe=strong', '--optimizer=momentum', '--learning_rate=0.5')
    assert options == TrainOptions(
        recipe='strong', optimizer='momentum', learning_rate=.5, opt_epsilon=1e-8,
        bias_learning_rate_multiplier=1., weight_decay=4e-5, preprocessing_name='ssd_no_zoom_out',
        learning_rate_decay_type='polynomial', end_learning_rate=2e-5,
        end_learning_rate_per_image=1.25e-6, warmup_steps=100)
    assert sorted(flags) == [
        '--bias_learning_rate_multiplier=1.0', '--end_learning_rate=2e-05',
        '--end_learning_rate_per_image=1.25e-06', '--learning_rate_decay_type=polynomial',
        '--opt_epsilon=1e-08', '--preprocessing_name=ssd_no_zoom_out', '--warmup_steps=100',
        '--weight_decay=4e-05']
    # Flags of the recipe do not count as passed: no remark says that they have no effect.
    assert sorted(passed) == ['learning_rate', 'optimizer', 'recipe']


def test_a_passed_value_wins_if_it_is_the_default_of_the_flag():
    options, flags, _ = effective_options('--recipe=strong', '--weight_decay=0.0005')
    assert options.weight_decay == TrainOptions().weight_decay
    assert options.optimizer == 'adam' and '--weight_decay=0.0005' not in flags


@pytest.mark.parametrize('arguments', [[], ['--recipe=paper']])
def test_paper_changes_nothing(arguments):
    options, flags, _ = effective_options(*arguments)
    assert options == TrainOptions() and flags == []


def test_values_have_the_types_of_the_options():
    for recipe in RECIPES.values():
        for name, value in recipe.items():
            default = getattr(TrainOptions(), name)
            assert default is None or type(value) is type(default), name
