#!/usr/bin/exthost-cgi python
"""The page's end is written by a thread that is still running when the script has come to its end."""

import sys
import threading
import time


def late():
    threading.main_thread().join()
    time.sleep(0.05)
    print("from the thread")


print("Content-Type: application/octet-stream\n")
print("from the script")
threading.Thread(target=late).start()
