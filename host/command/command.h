/* The commands of exthost, a function for each. They return the exit status of the program. */
#ifndef EXTHOST_COMMAND_H
#define EXTHOST_COMMAND_H

struct binding;

/*
 * Run the program with the arguments of main(): find the command, or the interpreter, and run it.
 * `bindings` is NULL-terminated.
 */
int command_run(const struct binding *const *bindings, int argc, char **argv);

/* A command each: argv[0] is the first argument behind its name. */
int command_serve(const struct binding *const *bindings, int argc, char **argv);
int command_status(const struct binding *const *bindings, int argc, char **argv);
int command_check(const struct binding *const *bindings, int argc, char **argv);
int command_request(const struct binding *const *bindings, int argc, char **argv);

#endif
