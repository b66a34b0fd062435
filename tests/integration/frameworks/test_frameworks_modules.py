"""Modules in C that keep state of their own, imported in two apps and in a CGI script at once."""

import concurrent.futures
import json

import pytest

from support.host import put, relay_line

MODULES = ("numpy", "cryptography", "lxml")
for module in MODULES:
    pytest.importorskip(module, reason=f"python3-{module} is not installed")

# Each does with each module what it is there for.
WORK = r'''
import json
import numpy
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.exceptions import InvalidSignature
from lxml import etree

SHEET = etree.XSLT(etree.XML("""
<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">
<xsl:template match="/">
<ul><xsl:for-each select="//i"><li><xsl:value-of select="."/></li></xsl:for-each></ul>
</xsl:template></xsl:stylesheet>"""))


def work(n):
    matrix = numpy.arange(n * n, dtype=float).reshape(n, n) + numpy.eye(n) * n * n
    solved = numpy.allclose(matrix @ numpy.linalg.solve(matrix, numpy.ones(n)), 1)
    key = Fernet.generate_key()
    secret = Fernet(key).decrypt(Fernet(key).encrypt(b"%d" % n)).decode()
    signer = ec.generate_private_key(ec.SECP256R1())
    signature = signer.sign(b"x", ec.ECDSA(hashes.SHA256()))
    signer.public_key().verify(signature, b"x", ec.ECDSA(hashes.SHA256()))
    try:
        signer.public_key().verify(signature, b"y", ec.ECDSA(hashes.SHA256()))
        told = False
    except InvalidSignature:
        told = True
    tree = etree.fromstring("<r>" + "".join(f"<i>{i}</i>" for i in range(n)) + "</r>")
    items = len(SHEET(tree).getroot())
    return json.dumps({"solved": solved, "secret": secret, "told": told, "items": items,
                       "random": numpy.random.random()})
'''
APP = '''
# exthost: app
from work import work


def application(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [work(int(environ["QUERY_STRING"])).encode()]
'''
SCRIPT = '''
import os
from work import work

print("Content-Type: application/json\\n")
print(work(int(os.environ["QUERY_STRING"])))
'''


def test_numpy_cryptography_and_lxml_work_in_two_apps_and_a_script_at_once(tmp_path, start_host):
    put(tmp_path, "work.py", WORK)
    put(tmp_path, "one.py", relay_line("python") + APP)
    put(tmp_path, "two.py", relay_line("python") + APP)
    put(tmp_path, "script.py", relay_line("python") + SCRIPT)
    host = start_host(tmp_path, "--workers", "2")
    targets = [(f"/{name}.py", n) for n in range(3, 11) for name in ("one", "two", "script")]
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        replies = list(
            pool.map(lambda target: host.get(f"{target[0]}?{target[1]}", timeout=60), targets))
    found = [json.loads(reply.body) for reply in replies]
    for (target, n), answer in zip(targets, found):
        wanted = {"solved": True, "secret": str(n), "told": True, "items": n,
                  "random": answer["random"]}
        assert answer == wanted, target
    # No two processes may draw the same numbers, forked from one template though they are.
    assert len({answer["random"] for answer in found}) == len(found)


def test_numpy_preloaded_draws_numbers_of_its_own_in_each_request(tmp_path, start_host):
    put(tmp_path, "draw.py", relay_line("python") + "\nimport numpy\n"
        "print('Content-Type: text/plain\\n')\nprint(numpy.random.random())\n")
    host = start_host(tmp_path, "--preload", "python:numpy.random")
    drawn = [host.get("/draw.py").text for _ in range(6)]
    assert len(set(drawn)) == len(drawn), drawn
