/* Paths of files. */
#ifndef EXTHOST_PATH_H
#define EXTHOST_PATH_H

#include <stddef.h>

/* directory/name; with one slash between them where `directory` is "/". 0, or -1: it does not fit. */
int path_join(char *path, size_t size, const char *directory, const char *name);

#endif
