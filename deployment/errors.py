"""The one error that is meant for the user's eyes."""


class UserError(ValueError):
    """Wrong input. Its text is one sentence: what was found, where, and what to do."""
