"""Three stages joined by two multiprocessing.Queues, 64-byte items; prints items per second at the last."""

import multiprocessing
import sys
import time


def send(out, items):
    item = b"x" * 64
    for _ in range(items):
        out.put(item)


def hand_on(there, out, items):
    for _ in range(items):
        out.put(there.get())


if __name__ == "__main__":
    items = int(sys.argv[1])
    first, second = multiprocessing.Queue(1024), multiprocessing.Queue(1024)
    stages = [
        multiprocessing.Process(target=send, args=(first, items)),
        multiprocessing.Process(target=hand_on, args=(first, second, items)),
    ]
    for stage in stages:
        stage.start()
    second.get()
    start = time.monotonic()
    for _ in range(items - 1):
        second.get()
    print((items - 1) / (time.monotonic() - start))
    for stage in stages:
        stage.join()
