"""64-byte items from one process to another through multiprocessing.Queue; prints items per second."""

import multiprocessing
import sys
import time


def send(queue, items):
    item = b"x" * 64
    for _ in range(items):
        queue.put(item)


if __name__ == "__main__":
    items = int(sys.argv[1])
    queue = multiprocessing.Queue(1024)
    sender = multiprocessing.Process(target=send, args=(queue, items))
    sender.start()
    queue.get()
    start = time.monotonic()
    for _ in range(items - 1):
        queue.get()
    print((items - 1) / (time.monotonic() - start))
    sender.join()
