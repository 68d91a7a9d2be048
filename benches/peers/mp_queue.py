"""Items of so many bytes from one process to another through multiprocessing.Queue; prints items per second."""

import multiprocessing
import sys
import time


def send(queue, items, size):
    item = b"x" * size
    for _ in range(items):
        queue.put(item)


if __name__ == "__main__":
    items, size = int(sys.argv[1]), int(sys.argv[2])
    queue = multiprocessing.Queue(1024 if size <= 4096 else 128)
    sender = multiprocessing.Process(target=send, args=(queue, items, size))
    sender.start()
    queue.get()
    start = time.monotonic()
    for _ in range(items - 1):
        queue.get()
    print((items - 1) / (time.monotonic() - start))
    sender.join()
