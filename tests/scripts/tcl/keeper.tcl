# Scripts of this directory source this file.

set out stdout
