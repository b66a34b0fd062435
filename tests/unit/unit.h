/*
 * What the unit tests share: cmocka with all it wants included before it, and a temporary folder.
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

/* A new temporary folder; the path is the caller's to give to unit_folder_remove. */
char *unit_folder_make(void);

/* Remove it with all that is in it, and free the path. */
void unit_folder_remove(char *folder);

/* Write a file in it, in place of one of that name; folders on the way are made. */
void unit_file_write(const char *folder, const char *name, const char *text, mode_t mode);

/* Its path, or that of anything there might be: "folder/name". The caller frees it. */
char *unit_path(const char *folder, const char *name);

/* Read a descriptor from its beginning to its end, as a string. The caller frees it. */
char *unit_read(int fd);

#endif
