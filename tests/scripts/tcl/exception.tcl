#!/usr/bin/exthost-cgi tcl
# An error before any output.

proc inner {} {
	error "a secret went <wrong>"
}
inner
