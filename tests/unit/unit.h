/*
 * What the unit tests share: cmocka, with the headers that must come before it, and a temporary
 * directory.
 */
#ifndef EXTHOST_UNIT_H
#define EXTHOST_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/types.h>

/* A number of elements, of an array. */
#define UNIT_COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Make a temporary directory; the caller gives its path to unit_folder_remove. */
char *unit_folder_make(void);

/* Remove the directory with all its contents, and free the path. */
void unit_folder_remove(char *folder);

/* Write or replace a file in the directory; make the directories in its name that are missing. */
void unit_file_write(const char *folder, const char *name, const char *text, mode_t mode);

/* The path of a name in the directory, which need not exist. The caller frees it. */
char *unit_path(const char *folder, const char *name);

/* Read a descriptor from its beginning to its end, as a string. The caller frees it. */
char *unit_read(int fd);

#endif
