# What a script of the same folder sources.

set out stdout
