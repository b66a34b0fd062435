/* The commands of exthost, one function each. They return the exit status of the program. */
#ifndef EXTHOST_COMMAND_H
#define EXTHOST_COMMAND_H

struct binding;

/* All of them: argv[0] is what stands behind the command's name. bindings is NULL-terminated. */
int command_run(const struct binding *const *bindings, int argc, char **argv);

int command_serve(const struct binding *const *bindings, int argc, char **argv);
int command_status(const struct binding *const *bindings, int argc, char **argv);
int command_check(const struct binding *const *bindings, int argc, char **argv);
int command_request(const struct binding *const *bindings, int argc, char **argv);

#endif
