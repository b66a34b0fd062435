/* The configuration of `exthost serve`, as a whole: read, checked, and read again on a reload. */
#ifndef EXTHOST_CONFIG_CHECK_H
#define EXTHOST_CONFIG_CHECK_H

struct config;
struct config_source;
struct error;
struct log;

/*
 * Read and check it. The configuration file is read from this descriptor, from its beginning, or
 * opened by its name if it is -1. 0, or -1 with one line in *e; *config is to be released in
 * either case.
 */
int config_check_read(
    const struct config_source *source, int file, struct config *config, struct error *e);

/*
 * The same for `exthost request`: all values in the file are checked, and of the whole what such a
 * request needs. *operands and argv as config_read leaves them; there are at most two.
 */
int config_check_request(
    const struct config_source *source, int *operands, struct config *config, struct error *e);

/*
 * Read it again in place of the present one. 0 with *file, the bytes of its file for whoever reads
 * them too, or -1 if there is no file; or -1: it is refused, which has been logged, and the present
 * one stays.
 */
int config_check_reload(
    const struct config_source *source, struct config *present, const struct log *log, int *file);

/*
 * Some settings are used up at the start: in *next they become what they are in *present, and if
 * they were something else this is told in the log (NULL: not told).
 */
void config_check_keep(struct config *next, const struct config *present, const struct log *log);

#endif
