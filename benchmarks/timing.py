"""Things timed in turn in one run, so that a machine that drifts drifts for all of them."""
import statistics
import time


def median_seconds(actions, turns):
    """Name -> median seconds of an action (name -> function without arguments) over so many turns.

    One turn before them warms up, and does not count.
    """
    times = {name: [] for name in actions}
    for _ in range(turns + 1):
        for name, action in actions.items():
            start = time.monotonic()
            action()
            times[name].append(time.monotonic() - start)
    return {name: statistics.median(found[1:]) for name, found in times.items()}
