/* The state of the running host as a table, for people. */
#ifndef EXTHOST_COMMAND_STATUS_TABLE_H
#define EXTHOST_COMMAND_STATUS_TABLE_H

#include <jansson.h>

struct buffer;

/* Print the JSON that the host answers, as a table for a terminal of 80 columns. */
void status_table_print(const json_t *status);

/*
 * Write the text to *out with each control character as \xNN, since text from an extension must not
 * control the terminal. Line feeds and tabs stay. Returns the string in *out.
 */
const char *status_clean(struct buffer *out, const char *text);

#endif
