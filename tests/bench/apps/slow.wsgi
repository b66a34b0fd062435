import time


def application(environ, start_response):
    time.sleep(0.005)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"hello\n"]
