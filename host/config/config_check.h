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
 * Read the configuration again, and replace the present one. 0, and in *file a descriptor of the
 * bytes that were read, for processes that read them too, or -1 if there is no file. -1: the new
 * configuration is refused, which has been logged, and the present one stays.
 */
int config_check_reload(
    const struct config_source *source, struct config *present, const struct log *log, int *file);

/*
 * Some settings have an effect only at the start: copy them from *present to *next. If one of them
 * differs, log a warning (log NULL: none).
 */
void config_check_keep(struct config *next, const struct config *present, const struct log *log);

#endif
