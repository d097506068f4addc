import pytest

from common.errors import UserError
from training import flag_checks
from training.options import TrainOptions


def call(function, **flags):
    """Call a function with the options and the names of the given flags."""
    return function(TrainOptions(**flags), set(flags))


@pytest.mark.parametrize('flags, message', [
    ({'learning_rate_boundaries': ('20', '10')}, '20,10 is not a list of increasing step numbers'),
    ({'learning_rate_boundaries': ('²',)}, '² is not a list of increasing step numbers'),
    ({'learning_rate_decay_type': 'polynomial'}, 'not known. Pass --max_number_of_steps, or'),
    ({'learning_rate_decay_type': 'polynomial', 'max_number_of_steps': 9,
      'learning_rate_per_image': 1e-4, 'end_learning_rate': 1e-5},
     'does not. Pass --end_learning_rate_per_image instead'),
    ({'learning_rate_decay_type': 'polynomial', 'max_number_of_steps': 9,
      'end_learning_rate_per_image': 1e-5}, 'does not. Pass --learning_rate_per_image instead')])
def test_contradicting_flags_fail(flags, message):
    with pytest.raises(UserError, match=message):
        call(flag_checks.check, **flags)


@pytest.mark.parametrize('flags', [
    {}, {'learning_rate_decay_type': 'polynomial', 'max_number_of_steps': 9},
    {'learning_rate_decay_type': 'polynomial', 'num_epochs_per_decay': 3.},
    {'learning_rate_decay_type': 'polynomial', 'max_number_of_steps': 9,
     'learning_rate_per_image': 1e-4, 'end_learning_rate_per_image': 1e-5}])
def test_consistent_flags(flags):
    assert call(flag_checks.check, **flags) is None
    assert call(flag_checks.remarks, **flags) == []


def test_the_recipe_is_named_if_it_set_the_schedule():
    options = TrainOptions(recipe='strong', learning_rate_decay_type='polynomial')
    with pytest.raises(UserError, match='^--learning_rate_decay_type=polynomial of --recipe=strong '
                                        'reaches its end .* Pass --max_number_of_steps'):
        flag_checks.check(options, {'recipe'})
    with pytest.raises(UserError, match='^--learning_rate_decay_type=polynomial reaches its end'):
        flag_checks.check(options, {'recipe', 'learning_rate_decay_type'})


def test_remark_on_the_decay_factor_of_public_scripts():
    remark, = call(flag_checks.remarks, learning_rate_decay_factor=.94)
    assert remark == (
        '--learning_rate_decay_factor=0.94 multiplies the learning rate at the steps 80000 and '
        '100000. In other public SSD scripts it does so every --num_epochs_per_decay epochs; pass '
        '--learning_rate_decay_type=exponential for that')
    for flags in ({'learning_rate_decay_type': 'piecewise'},
                  {'learning_rate_decay_type': 'exponential'},
                  {'learning_rate_boundaries': ('5',)}):
        assert call(flag_checks.remarks, learning_rate_decay_factor=.94, **flags) == []


def test_remarks_on_flags_without_effect():
    assert call(flag_checks.remarks, num_epochs_per_decay=2., end_learning_rate=1e-5) == [
        '--num_epochs_per_decay has no effect with --learning_rate_decay_type=piecewise',
        '--end_learning_rate has no effect with --learning_rate_decay_type=piecewise']
    assert call(flag_checks.remarks, learning_rate=.1, learning_rate_per_image=.01) == [
        '--learning_rate has no effect with --learning_rate_per_image']


def test_flags_of_a_missing_checkpoint_are_named():
    flags = {'checkpoint_exclude_scopes': 'block8', 'ignore_missing_vars': True}
    assert call(flag_checks.remarks, **flags) == [
        '--checkpoint_exclude_scopes has no effect without --checkpoint_path',
        '--ignore_missing_vars has no effect without --checkpoint_path']
    assert call(flag_checks.remarks, checkpoint_path='a.npz', **flags) == []
