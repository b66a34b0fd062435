"""One script, served both ways that an app can be."""

from support.host import Host, put_script

WAYS = ("front", "own socket")


def serve(way, root, name, body, *options):
    """
    A started Host with this Tcl script at /name, in one app worker; way, of WAYS: behind the front,
    or on a socket of its own.
    """
    script = put_script(root, name, "tcl", body)
    if way == "front":
        return Host(root, "--workers", "1", *options)
    return Host(root, "--app", str(script), "--workers", "1", *options, listen=["unix:{folder}/s"])
