"""Round trips through two multiprocessing.Queues, with a pause of so many microseconds before each; prints the time that
half of them do not exceed and the one that 99 of 100 do not exceed, in nanoseconds."""

import multiprocessing
import sys
import time


def echo(there, back, items):
    for _ in range(items):
        back.put(there.get())


if __name__ == "__main__":
    items, size, pause = (int(word) for word in sys.argv[1:4])
    there, back = multiprocessing.Queue(), multiprocessing.Queue()
    other = multiprocessing.Process(target=echo, args=(there, back, items))
    other.start()
    item, times = b"x" * size, []
    for _ in range(items):
        if pause:
            time.sleep(pause / 1e6)
        start = time.monotonic_ns()
        there.put(item)
        back.get()
        times.append(time.monotonic_ns() - start)
    times.sort()
    print(times[(items - 1) // 2], times[(items - 1) * 99 // 100])
    other.join()
