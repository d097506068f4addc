"""Errors that are shown to the user as one line, and the message of a TensorFlow error."""
import re


class UserError(ValueError):
    """An error that the user can fix: invalid flags, data or environment.

    The scripts print the message as `error: <message>`, without a traceback, and exit with
    `exit_code`. A message is one line and names the problem, its location and the remedy.
    """
    exit_code = 2


class LostProcessError(UserError):
    """Another process of a multi-process run is lost; restart all processes with the same command.

    The flags and the data are fine: a launcher or cluster manager should restart on this code.
    """
    exit_code = 75   # EX_TEMPFAIL in sysexits.h


def op_error_message(error):
    """Return the message of a `tf.errors.OpError`: one line, no stack traces, no node names."""
    text = re.sub(r"\A.*?^Node: '[^\n]*'\n", '', error.message, flags=re.DOTALL | re.MULTILINE)
    text = re.split(
        '\n\nOriginal stack|Hint: If you want to see a list of allocated tensors', text)[0]
    return ' '.join(re.sub(r'\[\[.*?\]\]|\{\{.*?\}\}', '', text).split())
