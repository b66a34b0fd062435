/*
 * A language, as the host sees it. A binding gets plain things (a script's path, an environment,
 * descriptors) and knows nothing of FastCGI, sockets or URLs. It starts, loads, runs and ends;
 * what is cached, limited, routed and logged is the host's affair.
 *
 * The life of a binding in the template process: start, then preload for each module, then fork
 * again and again. In a process that fork made: warm perhaps, wait (the host does that), then
 * either run, or, in an app worker, load and then answer and wait in turn. In the plain interpreter
 * (`exthost python`): interpret, and nothing else.
 *
 * A third language is one directory under bindings/ and one line in the table in main.c.
 */
#ifndef EXTHOST_BINDING_H
#define EXTHOST_BINDING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct error;
struct iovec;
struct binding_app;
struct binding_call;
struct binding_run;

/*
 * A setting of the language's own. By its name it is an option of `exthost serve` and `exthost
 * request` and a key of the configuration file, in the sections [extension] and [app] too. It has
 * no default.
 */
struct binding_setting {
	const char *name; /* "python-path": the language's name first, so that no two are alike */
	enum {
		BINDING_DIRECTORY,  /* one directory */
		BINDING_DIRECTORIES /* a list of directories, ':' between */
	} kind;
	const char *help; /* in --help, behind the name */
	/*
	 * Check a directory of the value, which exists and can be read, when the host starts and
	 * when it reads its configuration again. Needs no start of the language. 0, or -1 with *e
	 * filled. NULL: any directory is good.
	 */
	int (*check)(const char *directory, struct error *e);
};

struct binding {
	const char *name;            /* "python"; the word after exthost-cgi in a shebang line */
	const char *command;         /* `exthost COMMAND` is the plain interpreter; NULL: none */
	const char *const *suffixes; /* ".py", ...; NULL-terminated */
	const char *const
	    *programs; /* names in shebang lines that mean this language ("python3"); a
	                                version behind the name ("python3.11") is allowed for */

	/* Its own settings, in the order in which a run gets their values. NULL: there are none. */
	const struct binding_setting *settings;
	size_t setting_count;

	/*
	 * An app finds the variables of `env` in the environment of its process, since it was
	 * loaded, and a request's variables elsewhere (PEP 3333: os.environ and environ). false: an
	 * app finds both together in each request, as a CGI script does.
	 */
	bool apart;

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

	/*
	 * All is loaded, and nothing but forks will follow: get ready what a run begins with, and
	 * clear away what none needs. 0, or -1 with *e filled. NULL: there is nothing of this kind.
	 */
	int (*settle)(struct error *e);

	/*
	 * Make a process by this function, which is fork(2) or like it, with what the language
	 * needs done before and after that, on both sides. Returns what it returns.
	 */
	pid_t (*fork)(pid_t (*make)(void));

	/*
	 * In a process made by fork, before it knows its request, and only when a processor is
	 * idle: touch the memory that a run will write, so that the copying is done ahead. Leaves
	 * nothing that a script could see.
	 */
	void (*warm)(void);

	/*
	 * Run a script as a CGI program, as the plain interpreter would, and end the process with
	 * binding_end, whatever happens. Environment, working directory and descriptors 0, 1, 2
	 * are already the request's.
	 */
	void (*run)(struct binding_run *run) __attribute__((noreturn));

	/*
	 * Write the stack of the script that runs to a file, as text, innermost call last or first
	 * as the language has it. Called in a signal handler, at any moment of a run. true: it is
	 * written. false: it will be as soon as that is safe, followed by binding_stack_done. NULL:
	 * the language has no stack to show.
	 */
	bool (*stack)(struct binding_run *run, int file);

	/*
	 * Load an app, once, in a process made by fork. Working directory, environment and limits
	 * are set; descriptor 0 is empty; output on 1 and 2 goes to the log. 0, or -1 after the
	 * reason (a traceback, say) was written to standard error. NULL: the language has no apps.
	 */
	int (*load)(struct binding_app *app);

	/*
	 * Answer one request with the app that is loaded: binding_reply_write and its like take the
	 * reply, as a CGI program writes it. 0, or BINDING_FAILED and BINDING_RETIRE, or-ed. What a
	 * request left behind in the process (what it printed, an exception, its body's descriptor)
	 * is cleared away on return.
	 */
	int (*answer)(struct binding_app *app, struct binding_call *call);

	/*
	 * Between two requests: run the app's background work (threads, timers, events) until this
	 * descriptor is readable, as poll(2) says; then true. false, at once: the app has no
	 * background work now, so the host waits by itself. NULL: no app of the language ever has.
	 */
	bool (*wait)(struct binding_app *app, int descriptor);

	/*
	 * The app worker is about to end, regularly: run what the app has registered for its end.
	 * The process is ended if that takes long. NULL: nothing can be registered.
	 */
	void (*unload)(struct binding_app *app);
};

/* One run of one script, as the host asks a binding for it. */
struct binding_run {
	const char *script;       /* absolute path: argv[0], __file__, [info script] */
	char *const *environment; /* "NAME=value"..., NULL; the same as environ(7) */
	int source;               /* the script itself, open for reading, at its beginning */
	/* Values of the language's settings for this script, in struct binding's order, or NULL. */
	char *const *settings;
	/* A file with what an earlier run of this very script gave binding_keep_code, or -1. */
	int code;
	struct run_channel *channel; /* for the host alone */
	int asked; /* for the host alone: SIGXCPU if the CPU limit asks for the stack, else 0 */
};

/* An app, in its app worker. */
struct binding_app {
	struct binding_run *run; /* script, source, and the process's environment; no code */
	/* The app is a CGI script: run it again for each request, in the process's first state. */
	bool rerun;
	bool validate; /* --validate: check what the app does, where the language has a way to */
	void *data;    /* the binding's own */
};

/* One request for an app. */
struct binding_call {
	char *const *environment;    /* the request's variables, "NAME=value"..., NULL */
	int body;                    /* a file with the request body, at its beginning; -1: empty */
	uint64_t body_size;          /* bytes */
	struct binding_reply *reply; /* the host's own */
};

enum {
	BINDING_FAILED = 1, /* no good reply; why stands on standard error */
	BINDING_RETIRE = 2  /* the process must not answer another request */
};

/*
 * What the host does for a binding that answers.
 */

/*
 * Bytes of the reply: header block, empty line, body, as a CGI program writes them. All of one call
 * are on their way to the client when it returns, so pieces that belong together come together. 0,
 * or -1 with errno: the client is gone (EPIPE), and the answer should end.
 */
int binding_reply_write(struct binding_call *call, const struct iovec *pieces, int count);

/* The same, and the reply is at its end: nothing is written to it any more. */
int binding_reply_finish(struct binding_call *call, const struct iovec *pieces, int count);

/*
 * Bytes of the reply out of a file, from its offset: size bytes, UINT64_MAX: to its end. 0; -1 with
 * errno; EINVAL: it cannot be sent this way, and nothing was.
 */
int binding_reply_file(struct binding_call *call, int file, uint64_t size);

/*
 * A descriptor that takes the reply as well, for what writes to descriptor 1. It stays the host's,
 * and valid until answer returns. -1 with errno.
 */
int binding_reply_descriptor(struct binding_call *call);

/*
 * The app is made of this file too (an absolute path): when it changes, the app is loaded again. To
 * be called for every file of code that the language loads on the app's behalf, at any time, and
 * not for data, which an app may write itself; files outside of the extension root are ignored.
 */
void binding_depends(struct binding_app *app, const char *path);

/*
 * What the host does for a binding during a run.
 */

/*
 * Keep size bytes that make the next run of this script faster (compiled code), until the file
 * changes. What is kept for a script is only ever given to runs of that script.
 */
void binding_keep_code(struct binding_run *run, const void *code, size_t size);

/*
 * Report that the script loaded this installed module or package, which the template did not have.
 * Only names; never files of the extension root.
 */
void binding_notice(struct binding_run *run, const char *module);

/* The stack is written. Closes the file. */
void binding_stack_done(struct binding_run *run, int file);

/* Tell that the language got no memory: should the run fail, that is why. */
void binding_no_memory(struct binding_run *run);

/*
 * The absolute path of the directory lib/exthost. It holds a directory for each binding, by its
 * name, and hard links to the program (lib/exthost/bin/python3, tclsh) with which a script starts
 * the interpreter again. It is found from the program's own path, under any of these names, so an
 * installed and a built exthost each find their own.
 */
const char *binding_library(void);

/*
 * End the process with this exit status (its low 8 bits). Output must have been flushed. A request
 * process first reports its end to the host, so that the reply does not wait until the kernel has
 * taken the process apart. In a process that the script itself forked this is _exit(2) and no more.
 * In an app worker it ends the request that is being answered (status 0: well) and the app worker,
 * which is replaced.
 */
void binding_end(struct binding_run *run, int status) __attribute__((noreturn));

#endif
