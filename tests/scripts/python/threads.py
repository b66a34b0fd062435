#!/usr/bin/exthost-cgi python
"""A thread writes the page's end; it still runs when the script has come to its end."""

import threading
import time


def late():
    threading.main_thread().join()
    time.sleep(0.05)
    print("from the thread")


print("Content-Type: application/octet-stream\n")
print("from the script")
threading.Thread(target=late).start()
