/* What a section [service NAME] says, and whether such a service could be kept. */
#ifndef EXTHOST_CHECK_SERVICE_H
#define EXTHOST_CHECK_SERVICE_H

struct binding;
struct config;
struct config_service;
struct error;

#define SERVICES_MAX 32

/*
 * Whether the services of a configuration could be kept: what each says, whether what it names can
 * be started, and whether it may write where it must. 0, or -1 with one line in *e.
 */
int config_check_services(
    const struct config *config, const struct binding *const *bindings, struct error *e);

/* Its `run`, or `script`, as one line, which the caller frees. NULL: no memory. */
char *service_command_line(const struct config_service *config);

#endif
