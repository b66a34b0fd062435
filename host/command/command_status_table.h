/* What the host says of itself, for people. */
#ifndef EXTHOST_COMMAND_STATUS_TABLE_H
#define EXTHOST_COMMAND_STATUS_TABLE_H

#include <jansson.h>

struct buffer;

/* Print it, as a table that fits a terminal of 80 columns. */
void status_table_print(const json_t *status);

/* What comes from extensions must not steer a terminal: control characters as \xNN, in *out. */
const char *status_clean(struct buffer *out, const char *text);

#endif
