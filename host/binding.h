/*
 * A language, as the host sees it. A binding gets plain things (a script's path, an environment,
 * descriptors) and knows nothing of FastCGI, sockets or URLs. It starts, loads, runs and ends;
 * what is cached, limited, routed and logged is the host's affair.
 *
 * The life of a binding in the template process: start, then preload for each module, then fork
 * again and again. In a process that fork made: warm perhaps, wait (the host does that), run. In the plain
 * interpreter (`exthost python`): interpret, and nothing else.
 *
 * A third language is one folder under bindings/ and one line in the table in main.c.
 */
#ifndef EXTHOST_BINDING_H
#define EXTHOST_BINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct error;
struct binding_run;

struct binding {
	const char *name;            /* "python"; the word after exthost-cgi in a #! line */
	const char *command;         /* `exthost COMMAND` is the plain interpreter; NULL: none */
	const char *const *suffixes; /* ".py", ...; NULL-terminated */
	const char *const *programs; /* names in #! lines that mean this language ("python3"); a
	                                version behind the name ("python3.11") is allowed for */

	/* The version of the language, "3.11.2". Needs no start. */
	const char *(*version)(void);

	/*
	 * Be the plain interpreter with this command line (argv[0] is the name called by), as
	 * python3 or tclsh are. Returns the exit status.
	 */
	int (*interpret)(int argc, char **argv);

	/*
	 * Start the interpreter in this process, once, and start no thread. Descriptors 0, 1 and 2
	 * are open and keep their numbers in every request process. 0, or -1 with *e filled.
	 */
	int (*start)(struct error *e);

	/*
	 * Load an installed module or package by the name that `noticed` gave, so that request
	 * processes find it loaded. 0, or -1 with *e filled (it is then simply not preloaded).
	 */
	int (*preload)(const char *module, struct error *e);

	/* fork(2), with what the language needs done before and after it, on both sides. */
	pid_t (*fork)(void);

	/*
	 * In a process made by fork, before it knows its request, and only when a processor is idle:
	 * touch the memory that a run will write, so that the copying is done ahead. Leaves nothing
	 * that a script could see.
	 */
	void (*warm)(void);

	/*
	 * Run a script as a CGI program, as the plain interpreter would, and end the process with
	 * binding_end, whatever happens. Environment, working folder and descriptors 0, 1, 2 are
	 * already the request's.
	 */
	void (*run)(struct binding_run *run) __attribute__((noreturn));

	/*
	 * Write the stack of the script that runs to a file, as text, innermost call last or first
	 * as the language has it. Called in a signal handler, at any moment of a run. true: it is
	 * written. false: it will be as soon as that is safe, followed by binding_stack_done. NULL:
	 * the language has no stack to show.
	 */
	bool (*stack)(struct binding_run *run, int file);
};

/* One run of one script, as the host asks a binding for it. */
struct binding_run {
	const char *script;       /* absolute path: argv[0], __file__, [info script] */
	char *const *environment; /* "NAME=value"..., NULL; the same as environ(7) */
	int source;               /* the script itself, open for reading, at its beginning */
	int code;                 /* a file with what binding_keep_code was given in an earlier run
	                             of the very same script, or -1 */
	struct run_channel *channel; /* the host's own, */
	int asked;                   /* and why it wants the stack */
};

/*
 * What the host does for a binding during a run.
 */

/*
 * Keep size bytes that make the next run of this script faster (compiled code), until the file
 * changes. What is kept for a script is only ever given to runs of that script.
 */
void binding_keep_code(struct binding_run *run, const void *code, size_t size);

/*
 * Tell that the script loaded this module or package, an installed one that the template did not
 * have. Only names; never files of the extension root.
 */
void binding_notice(struct binding_run *run, const char *module);

/* The stack is written. Closes the file. */
void binding_stack_done(struct binding_run *run, int file);

/* Tell that the language got no memory: should the run fail, that is why. */
void binding_no_memory(struct binding_run *run);

/*
 * The absolute path of the folder lib/exthost, which holds a folder for each binding by its name
 * (and the links by which a script starts the interpreter again: lib/exthost/bin/python3, tclsh).
 * It is found beside the program, so an installed and a built exthost each find their own.
 */
const char *binding_library(void);

/*
 * End the process with this exit status (its low 8 bits). Output must have been flushed. In the
 * request process the host is told first, so that the reply need not wait until the kernel has
 * taken the process apart; in a process that the script itself forked this is _exit(2) and no more.
 */
void binding_end(struct binding_run *run, int status) __attribute__((noreturn));

#endif
