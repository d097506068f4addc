"""Interleaved timing, so that a drift of the machine's speed affects all measured functions."""
import statistics
import time


def median_seconds(functions, num_turns):
    """Call several functions in turn, and return the median seconds of each.

    Args:
        functions: Dict from name to a function without arguments.
        num_turns: Number of timed calls of each function. One call before them is a warm-up.

    Returns:
        Dict from name to median seconds.
    """
    seconds = {name: [] for name in functions}
    for _ in range(num_turns + 1):
        for name, function in functions.items():
            start = time.monotonic()
            function()
            seconds[name].append(time.monotonic() - start)
    return {name: statistics.median(values[1:]) for name, values in seconds.items()}
