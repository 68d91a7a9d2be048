"""Numbers appended to a Manager().list by one process, so many at a time; prints items per second."""

import multiprocessing
import sys
import time

if __name__ == "__main__":
    items, at_once = int(sys.argv[1]), int(sys.argv[2])
    with multiprocessing.Manager() as manager:
        numbers = manager.list()
        start = time.monotonic()
        if at_once == 1:
            for number in range(items):
                numbers.append(number)
        else:
            for first in range(0, items, at_once):
                numbers.extend(list(range(first, first + at_once)))
        took = time.monotonic() - start
        assert len(numbers) == items
    print(items / took)
