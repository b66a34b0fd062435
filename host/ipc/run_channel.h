/*
 * The socket between the front and one request process: the front sends the run as packets, and the
 * process sends back what the front must know. The template holds a copy of the lower end and
 * reports on it how the process died, so the front learns of every end, whether the process could
 * report it or not.
 */
#ifndef EXTHOST_RUN_CHANNEL_H
#define EXTHOST_RUN_CHANNEL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* The lower end of the channel, in a request process. */
struct run_channel {
	int socket;
	/* The process that may speak for the run, and no child that the script forks. */
	pid_t owner;
	/* Called before the process ends; may be NULL. */
	void (*at_end)(void *context, int status);
	void *context;
};

/* The signal by which the front asks a request process for its stack. The answer is RUN_STACK. */
#define RUN_STACK_SIGNAL SIGRTMAX

/* The limits that a process sets for itself before it runs the script. UINT64_MAX: no limit. */
struct run_limits {
	uint64_t memory;    /* bytes beyond those of the fresh process */
	uint64_t cpu;       /* seconds */
	uint64_t processes; /* processes that it may start */
};

enum run_order_kind {
	RUN_ORDER_SCRIPT, /* run the script as a CGI program, and end */
	RUN_ORDER_LOAD,   /* become an app worker: load the app; the answer is RUN_LOADED */
	/* App worker: answer a request; the answer is RUN_ANSWERED, or RUN_STALE if not begun. */
	RUN_ORDER_ANSWER,
	/* A direct worker that has reported RUN_STALE: go on with the files it has loaded. */
	RUN_ORDER_RESUME,
	RUN_ORDER_LOG /* a direct worker: write log lines to `output` from now on */
};

#define RUN_SOCKETS_MAX 4

enum run_serve_file {
	RUN_SERVE_SLOT,     /* shared memory: struct scoreboard_slot */
	RUN_SERVE_LOG,      /* the log */
	RUN_SERVE_GIVE,     /* connections for other workers of the app go in here */
	RUN_SERVE_TAKE,     /* connections from other workers of the app come out here */
	RUN_SERVE_LISTENERS /* the first of up to RUN_SOCKETS_MAX listeners */
};

/* A packet with descriptors, which follows the order to load of a direct worker. */
struct run_serve_files {
	uint32_t listeners; /* number of listeners */
	uint32_t is_tcp;    /* bit n: the nth listener is a TCP socket */
	uint32_t trusted;   /* bit n: clients of the nth listener are Fossil's relay */
};

/* An order to a request process or app worker. The descriptors are passed with it. */
struct run_order {
	enum run_order_kind kind;
	const char *script; /* absolute path; "" with RUN_ORDER_ANSWER */
	/*
	 * With RUN_ORDER_SCRIPT and LOAD: the values of the language's own settings, in its order.
	 * NULL, and "" when it is sent: there is none.
	 */
	char *const *settings;
	size_t setting_count;
	char **environment; /* NULL-terminated; with RUN_ORDER_LOAD a load order: load_order.h */
	int source;         /* the script, open for reading, or -1 */
	int code;           /* kept code, or -1 */
	int body;           /* the request body at its beginning, or -1: empty */
	int output;         /* with RUN_ORDER_ANSWER: takes the reply */
	/*
	 * With RUN_ORDER_ANSWER and RUN_ORDER_RESUME: accept the changes of files up to this time
	 * (app_files_accept); CLOCK_REALTIME, nanoseconds; 0: none.
	 */
	int64_t accept;
	bool force; /* with RUN_ORDER_RESUME: go on answering; else answer 500 */
	uint64_t body_size;
	struct run_limits limits;
};

enum run_report_type {
	RUN_ENDED = 1, /* value: exit status; the process will write no more */
	RUN_DIED,      /* value: wait status as of waitpid(2); the process is gone */
	RUN_CODE,      /* a descriptor: compiled code to keep */
	RUN_NOTICED,   /* text: the name of a module the script loaded */
	/* A descriptor: the stack; value: SIGXCPU if the processor time is used up, else 0. */
	RUN_STACK,
	RUN_NO_MEMORY, /* out of memory: if the run fails, this is why */
	RUN_PROCESSES, /* a descriptor: the notifications of process_limit.h */
	/* While an app loads; text: a file that it is made of, beneath the extension root. */
	RUN_FILE,
	RUN_LOADED,   /* the app worker is ready */
	RUN_ANSWERED, /* value: BINDING_FAILED, BINDING_RETIRE, or-ed */
	/* The request is not begun: a file of the app has changed; value: app_files_settle(). */
	RUN_STALE
};

#define RUN_TEXT_MAX 256

struct run_report {
	uint32_t type;
	int32_t value;
	/* With RUN_ENDED, RUN_DIED and RUN_ANSWERED: */
	uint64_t cpu;            /* processor time of the process and its children, microseconds */
	uint64_t peak;           /* peak memory, KiB */
	char text[RUN_TEXT_MAX]; /* NUL-terminated; sent only as far as it is used */
};

/* Front: send an order. 0, or -1 with errno (EPIPE: the process is gone; take another). */
int run_order_send(int channel, const struct run_order *order);

/* Wait for the next order. false: a signal came first. */
bool run_order_wait(int channel);

/*
 * Request process: wait for the order. 1: it is there; 0: the front has closed the channel; -1 with
 * errno. The order's strings live in *memory, which the caller frees.
 */
int run_order_receive(int channel, struct run_order *order, void **memory);

/* Request process and template: send a report, with a descriptor unless it is -1. 0 or -1. */
int run_report_send(
    int channel, enum run_report_type type, int32_t value, const char *text, int descriptor);

struct rusage;

/* As run_report_send for RUN_ENDED, RUN_DIED and RUN_ANSWERED, with what the run has used. */
int run_report_end(
    int channel, enum run_report_type type, int32_t value, const struct rusage *usage);

/*
 * Front: receive one report. 1; 0 at the end of the channel; -1 with errno (EAGAIN: none yet).
 * *descriptor came with the report, or is -1; the caller closes it.
 */
int run_report_receive(int channel, struct run_report *report, int *descriptor);

#endif
