"""POST: how large the body is. GET: the file "large" beside this one."""
import os

LARGE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "large")


def application(environ, start_response):
    if environ["REQUEST_METHOD"] == "POST":
        size = len(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"%d\n" % size]
    start_response("200 OK", [("Content-Type", "application/octet-stream"),
                              ("Content-Length", str(os.path.getsize(LARGE)))])
    return environ["wsgi.file_wrapper"](open(LARGE, "rb"), 65536)
