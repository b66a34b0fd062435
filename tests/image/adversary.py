#!/usr/bin/python3
"""
Try in every way to start each name in the query, by itself and in the usual directories. Print
the names that started.
"""

import os
import subprocess

DIRECTORIES = ("", "/bin/", "/usr/bin/", "/sbin/", "/usr/sbin/", "/usr/local/bin/")
started = []


def spawn(path):
    pid = os.posix_spawnp(path, [path], os.environ)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 127


def execute(path):
    pid = os.fork()
    if pid == 0:
        try:
            os.execvp(path, [path])
        except OSError:
            os._exit(111)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) != 111


def run(path):
    subprocess.run([path], stdin=subprocess.DEVNULL, capture_output=True, timeout=5)
    return True


def shell(path):
    done = subprocess.run(path, shell=True, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=5)
    return done.returncode not in (126, 127)


def system(path):
    return os.waitstatus_to_exitcode(os.system(path)) not in (126, 127)


def pipe(path):
    with os.popen(path) as output:
        output.read()
    return True


for name in os.environ["QUERY_STRING"].split("+"):
    for folder in DIRECTORIES:
        for way in (spawn, execute, run, shell, system, pipe):
            try:
                if way(folder + name):
                    started.append(f"{way.__name__} {folder}{name}")
            except OSError:
                pass

print("Content-Type: application/json\n")
print("\n".join(started + ["end"]))
