#!/usr/bin/exthost-cgi tcl
# A page in Fossil's skin.

package require exthost

exthost page -status "403 Forbidden" "A <title> & more" "<p id='here'>text</p>"
