"""Tasks handed to a Pool of two processes one by one, and their results; prints tasks per second."""

import multiprocessing
import sys
import time


def square(number):
    return number * number


if __name__ == "__main__":
    items = int(sys.argv[1])
    with multiprocessing.Pool(2) as pool:
        pool.map(square, range(2), chunksize=1)
        start = time.monotonic()
        pool.map(square, range(items), chunksize=1)
        print(items / (time.monotonic() - start))
