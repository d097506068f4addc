"""Recipes: named defaults of the training flags. Importing this does not load TensorFlow."""

# Name -> {flag: value}. Flags that are not listed keep the defaults of `training.options`.
RECIPES = {
    'paper': {},
    # Chosen on small datasets: benchmarks/results/README.md. The rates are for 16 images per step.
    'strong': {
        'preprocessing_name': 'ssd_no_zoom_out',
        'optimizer': 'adam',
        'opt_epsilon': 1e-8,
        'bias_learning_rate_multiplier': 1.,
        'weight_decay': 4e-5,
        'learning_rate_decay_type': 'polynomial',
        'learning_rate': 2e-3,
        'end_learning_rate': 2e-5,
        'end_learning_rate_per_image': 2e-5 / 16,   # in effect only with learning_rate_per_image
        'warmup_steps': 100,
    },
}


def apply(flags):
    """Make the values of the recipe `flags.recipe` the defaults of their flags.

    Flags that were passed keep their values. Flags of the recipe do not count as passed.

    Args:
        flags: absl `FlagValues` with the flags of `train_ssd_network.py`, parsed.
    """
    for name, value in RECIPES[flags.recipe].items():
        flags.set_default(name, value)


def flags_in_effect(recipe, flags):
    """Return those of a list of absl flags whose values come from the recipe of this name."""
    return [flag for flag in flags if flag.name in RECIPES[recipe] and not flag.present]
