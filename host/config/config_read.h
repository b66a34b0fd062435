/* From the command line, the configuration file and the defaults to one struct config. */
#ifndef EXTHOST_CONFIG_READ_H
#define EXTHOST_CONFIG_READ_H

#include "config/config.h"

#include <stdio.h>

struct error;

/* Where a configuration comes from, time and again. */
struct config_source {
	int argc;
	char **argv; /* the options of the command line */
	/* The languages whose settings there are, NULL at the end; NULL: none. They outlive it. */
	const struct binding *const *bindings;
	const struct config_check *check; /* of each value in the file; NULL: none */
};

/*
 * Read the command line of one command: options anywhere, "--name value" or "--name=value"; what
 * is no option is moved to the front of argv and counted in *operands (at most max_operands).
 * Then the configuration file, if one was named: what the command line set stays. Then the
 * defaults. 0, or -1 with one line in *e. --help is not known here.
 */
int config_read(struct config *config, enum config_command command,
    const struct config_source *source, int max_operands, int *operands, struct error *e);

/*
 * The same command line once more, without operands, and with the file's contents from this
 * descriptor, at its beginning; -1: the file is opened by its name.
 */
int config_read_again(struct config *config, enum config_command command,
    const struct config_source *source, int file, struct error *e);

/* Print the options of a command, a line or two each; those of these languages too. */
void config_print_options(
    FILE *out, enum config_command command, const struct binding *const *bindings);

/* Free everything. */
void config_release(struct config *config);

#endif
