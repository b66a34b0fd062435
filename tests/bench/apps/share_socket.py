"""share_socket.py SOCKET PROCESSES PROGRAM: run it so often, the socket as its descriptor 0."""
import os
import signal
import socket
import subprocess
import sys

at, count, program = sys.argv[1:]
shared = socket.socket(socket.AF_UNIX)
shared.bind(at)
shared.listen(1024)
processes = [subprocess.Popen([program], stdin=shared) for _ in range(int(count))]
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
signal.sigwait({signal.SIGTERM})
for process in processes:
    process.kill()
os._exit(0)
