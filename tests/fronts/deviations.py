"""
What a front makes of a case by itself, and why: nothing that a FastCGI server sends changes it.
"""

from table import BROKEN, Answer, Deviation

ANY = Answer(200)
WHOLE = "makes a whole 200 of a reply that is cut and had no Content-Length"
BODY_NEEDS_LENGTH = ("gives a body to FastCGI with its length alone, "
                     "and has none yet when it asks: 411")

DEVIATIONS = [
    # Bodies
    Deviation("body: none, and no length", "lighttpd.*", Answer(411),
              "lighttpd: a POST without a length is 411"),
    Deviation("body: chunked.*", "lighttpd h2", Answer({200, 411}),
              "lighttpd: " + BODY_NEEDS_LENGTH),
    Deviation("body: chunked.*", "lighttpd stream", Answer({200, 411}),
              "lighttpd with server.stream-request-body: " + BODY_NEEDS_LENGTH),
    Deviation("body: chunked, (1 MiB|100 KiB.*)", "haproxy.*", Answer({400, BROKEN}),
              "HAProxy: a body without a length must fit into tune.bufsize, since it is sent with "
              "its length"),
    Deviation("body: (none|chunked|Expect).*", "fossil", None,
              "Fossil takes a body with its Content-Length alone, and answers no Expect"),
    # Replies
    Deviation("status: 201 with Location", "haproxy.*|fossil", Answer(302),
              "HAProxy 2.6 and Fossil make a 302 of any reply with a Location"),
    Deviation("status: Location alone.*", "fossil",
              Answer(302, None, {"Location": "http://localhost/elsewhere"}),
              "Fossil makes a redirect's Location absolute"),
    Deviation("status: Location and cookies", "fossil", Answer(302, None, {
        "Location": "http://localhost/elsewhere", "Set-Cookie": ["a=1", "b=2"]}),
              "Fossil makes a redirect's Location absolute"),
    Deviation("HEAD: with its Content-Length", "fossil", Answer(200, b""),
              "Fossil sends the length of the body that it has got"),
    Deviation("status: 304 with a Content-Length", "h2o h2", None,
              "h2o hands it on as it may, and the client here (python3-h2) takes none with a 304"),
    Deviation("header: Set-Cookie of 4,000 bytes", "fossil", Answer(500),
              "Fossil splits a header line of 1,000 bytes in two, so that the relay refuses it"),
    Deviation("length: right", "apache.*", Answer(200, b"page\n"),
              "Apache mod_proxy_fcgi: drops a reply's Content-Length"),
    # Ends
    Deviation("cut: .*1 MiB", "lighttpd|lighttpd h2|caddy.*|h2o.*", ANY,
              "lighttpd by default, Caddy, h2o: " + WHOLE),
    Deviation("cut: .*1 MiB", "haproxy h2", ANY, "HAProxy 2.6 with HTTP/2: " + WHOLE),
    Deviation("cut: .*(1 MiB|half).*|length: the body is shorter", "apache h2", None,
              "Apache mod_http2 at times neither ends nor resets the stream of a broken reply: no "
              "answer to wait for"),
    Deviation("cut: .*", "fossil", Answer(500),
              "the relay sends nothing before it has the whole reply"),
    Deviation("abort.*", "lighttpd", ANY,
              "lighttpd by default: looks at its client when it has the whole reply, so the run "
              "goes on"),
    Deviation("abort.*", "haproxy h2", ANY,
              "HAProxy 2.6 with HTTP/2: at times reads a reply to its end though its client has "
              "gone"),
    Deviation("abort.*", "fossil", ANY,
              "Fossil: looks at its client when it has the whole reply, so the run goes on"),
    # Paths and variables
    Deviation("path: two slashes", "nginx.*|apache.*|lighttpd.*",
              Answer(200, None, {"PATH_INFO": "/a/b"}),
              "nginx (merge_slashes), Apache (MergeSlashes), lighttpd: two slashes are one"),
    Deviation("path: an encoded slash", "apache.*", Answer(404),
              "Apache: 404 for %2F (AllowEncodedSlashes)"),
    Deviation(r"path: (?!a slash|two slashes|an encoded).*", "fossil", Answer(404),
              "Fossil: the rule for file names holds for the whole path"),
    Deviation("query: odd characters", "lighttpd.*",
              Answer(200, None, {"QUERY_STRING": "variables&a=~@:,;/?%5B%5D%7B%7D%7C%5E%60'"}),
              "lighttpd: encodes in a query what RFC 3986 does not allow there"),
    Deviation("query: 3,000 bytes", "fossil", ANY,
              "Fossil: a request's first line has 2,000 bytes at most"),
    Deviation("variable: a header of the client's", "fossil", None,
              "Fossil hands on no header but a fixed set"),
]
