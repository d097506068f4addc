"""The one error that is meant for the user's eyes, and what of TensorFlow's is."""
import re


class UserError(ValueError):
    """Wrong input. Its text is one sentence: what was found, where, and what to do."""
    exit_code = 2


class TryAgain(UserError):
    """Nothing is wrong here, but another process is lost: the same command, started again everywhere, goes on."""
    exit_code = 75   # EX_TEMPFAIL of sysexits.h


def reason(error):
    """What a tf.errors.OpError says, in one line: without the stack and the names of nodes around it."""
    text = re.sub(r"\A.*?^Node: '[^\n]*'\n", '', error.message, flags=re.DOTALL | re.MULTILINE)
    text = re.split('\n\nOriginal stack|Hint: If you want to see a list of allocated tensors', text)[0]
    return ' '.join(re.sub(r'\[\[.*?\]\]|\{\{.*?\}\}', '', text).split())
