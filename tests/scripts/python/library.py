#!/usr/bin/exthost-cgi python
"""What the exthost library tells."""

import exthost

print("Content-Type: application/octet-stream\n")
print("user", exthost.user())
print("capabilities", exthost.capabilities())
print("has-h", int(exthost.has("h")))
print("has-s", int(exthost.has("s")))
print("has-hj", int(exthost.has("hj")))
print("has-hs", int(exthost.has("hs")))
print("nonce", exthost.nonce())
print("repository", exthost.repository() or "")
print("base", exthost.base_uri())
print("escape", exthost.escape("<a href=\"'x'\">&"))
