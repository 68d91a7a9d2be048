"""Numbers set in a Manager().dict of a thousand keys by one process, one by one; prints items per second."""

import multiprocessing
import sys
import time

if __name__ == "__main__":
    items = int(sys.argv[1])
    with multiprocessing.Manager() as manager:
        squares = manager.dict()
        start = time.monotonic()
        for number in range(items):
            squares[number % 1000] = number
        took = time.monotonic() - start
        assert len(squares) == min(items, 1000)
    print(items / took)
