/* The configuration file: INI, read by libinih. */
#ifndef EXTHOST_CONFIG_FILE_H
#define EXTHOST_CONFIG_FILE_H

#include <stdbool.h>

struct config;
struct config_check;
struct error;

/*
 * Read the file config->config_file into *config. `given` has a place for each row of the option
 * table: what is true there was set on the command line, and stays. 0, or -1 with one line in *e
 * that names file, line, key, value and what is allowed. It is read from the descriptor `file`, from
 * its beginning, or opened by its name if that is -1.
 */
int config_file_read(struct config *config, const bool *given, int file,
    const struct config_check *check, struct error *e);

#endif
