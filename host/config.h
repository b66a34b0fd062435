/*
 * What can be set: one table of options, from which the command line and the configuration file
 * are read and checked and --help is printed. A row is a name, a type, a default, a range and a
 * sentence; the same name is the option (--name VALUE) and the key in the file (name = VALUE).
 */
#ifndef EXTHOST_CONFIG_H
#define EXTHOST_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct error;

/* Values of an option that may be given more than once, in the order given. */
struct config_list {
	char **items;
	size_t count;
};

/* Put a copy of the value behind the others. 0, or -1 when memory is out. */
int config_list_append(struct config_list *list, const char *value);

/* Free all; the list is empty again. */
void config_list_release(struct config_list *list);

struct config {
	/* for every command that serves */
	char *root; /* absolute, links resolved, once config_finish has run */
	bool debug;
	char *tmpdir;
	uint64_t max_body;
	uint64_t max_header;
	uint64_t reply_buffer;
	struct config_list preload;
	/* serve */
	char *config_file;
	struct config_list listen;
	char *prefix;
	struct config_list allow_uid;
	struct config_list allow_from;
	uint64_t spares;
	uint64_t max_connections;
	uint64_t grace; /* seconds */
	char *log;
	char *log_format; /* "text" or "json" */
	/* request */
	char *body;
	struct config_list header;
	struct config_list env;
	bool cgi;
};

/* The commands an option belongs to. */
enum config_command { CONFIG_SERVE = 1, CONFIG_REQUEST = 2 };

/*
 * Read the command line of one command: options anywhere, "--name value" or "--name=value"; what
 * is no option is moved to the front of argv and counted in *operands (at most max_operands).
 * Then the configuration file, if one was named: what the command line set stays. Then the
 * defaults. 0, or -1 with one line in *e. --help is not known here.
 */
int config_read(struct config *config, enum config_command command, int argc, char **argv,
    int max_operands, int *operands, struct error *e);

/* Print the options of a command, a line or two each. */
void config_print_options(FILE *out, enum config_command command);

/* Free everything. */
void config_release(struct config *config);

#endif
