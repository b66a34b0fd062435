/* The configuration file: INI, read by libinih. */
#ifndef EXTHOST_CONFIG_FILE_H
#define EXTHOST_CONFIG_FILE_H

struct config;
struct config_check;
struct error;
struct option_table;

/*
 * Read the file config->config_file into *config. What the table says is given was set on the
 * command line, and stays. 0, or -1 with one line in *e that names file, line, key, value and what
 * is allowed. It is read from the descriptor `file`, from its beginning, or opened by its name if
 * that is -1.
 */
int config_file_read(struct config *config, const struct option_table *table, int file,
    const struct config_check *check, struct error *e);

#endif
