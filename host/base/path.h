/* Paths of files. */
#ifndef EXTHOST_PATH_H
#define EXTHOST_PATH_H

#include <stddef.h>

/*
 * Write directory/name into `path`, or /name if `directory` is "/". 0, or -1 with errno: too long.
 */
int path_join(char *path, size_t size, const char *directory, const char *name);

#endif
