/*
 * The socket between the front and one request process: the run goes down as packets, and what the
 * front must know comes back up. The template holds a copy of the lower end and says there how the
 * process died, so the front hears of every end whether the process could tell it or not.
 */
#ifndef EXTHOST_RUN_CHANNEL_H
#define EXTHOST_RUN_CHANNEL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Its lower end, in a request process. */
struct run_channel {
	int socket;
	pid_t owner; /* who may speak for the run: not what the script has forked */
	void (*at_end)(void *context, int status); /* before the process is ended; may be NULL */
	void *context;
};

/* The front's question to a request process: where is it? The answer is RUN_STACK. */
#define RUN_STACK_SIGNAL SIGRTMAX

/* What the process sets for itself before it runs the script. UINT64_MAX: no limit. */
struct run_limits {
	uint64_t memory;    /* bytes beyond what it has */
	uint64_t cpu;       /* seconds */
	uint64_t processes; /* that it may start */
};

enum run_order_kind {
	RUN_ORDER_SCRIPT, /* run it as a CGI program, and end */
	RUN_ORDER_LOAD,   /* become an app worker: load it; RUN_LOADED tells that it is */
	RUN_ORDER_ANSWER, /* an app worker: answer a request; RUN_ANSWERED tells that it is, */
			  /* or RUN_STALE that it was not begun */
	RUN_ORDER_RESUME, /* one that serves and has found itself stale: go on as it is */
	RUN_ORDER_LOG     /* one that serves: write log lines to `output` from now on */
};

#define RUN_SOCKETS_MAX 4

enum run_serve_file {
	RUN_SERVE_SLOT,     /* shared memory: struct scoreboard_slot */
	RUN_SERVE_LOG,      /* where log lines go */
	RUN_SERVE_GIVE,     /* connections for other workers of the app are put in here */
	RUN_SERVE_TAKE,     /* and taken from here */
	RUN_SERVE_LISTENERS /* and behind, RUN_SOCKETS_MAX at most */
};

/* A packet with descriptors, which follows the order to load of a direct worker. */
struct run_serve_files {
	uint32_t listeners; /* how many */
	uint32_t is_tcp;    /* bit n: the nth is a TCP socket, */
	uint32_t trusted;   /* or who connects there is Fossil's relay */
};

/* What a request process is asked to do. On the way down the descriptors are passed. */
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
	int64_t accept; /* with RUN_ORDER_ANSWER and RESUME: even if files have changed until then,
	                   and let it be so; CLOCK_REALTIME, nanoseconds; 0: no */
	bool force;     /* with RUN_ORDER_RESUME: go on answering; else answer 500 */
	uint64_t body_size;
	struct run_limits limits;
};

enum run_report_type {
	RUN_ENDED = 1, /* value: exit status; the process will not write any more */
	RUN_DIED,      /* value: wait status as of waitpid(2); the process is gone */
	RUN_CODE,      /* a descriptor: compiled code to keep */
	RUN_NOTICED,   /* text: the name of a module the script loaded */
	RUN_STACK, /* a descriptor: where the script is; value: SIGXCPU if that is why, else 0 */
	RUN_NO_MEMORY, /* the language got no memory: the run fails, if it fails, for that */
	RUN_PROCESSES, /* a descriptor, on which it is told when the script starts a process */
	RUN_LOADED,    /* the app worker is ready */
	RUN_ANSWERED,  /* value: BINDING_FAILED, BINDING_RETIRE, or-ed */
	RUN_STALE      /* a file that the app is made of has changed; value: app_files_settle() */
};

#define RUN_TEXT_MAX 256

struct run_report {
	uint32_t type;
	int32_t value;
	/* With ENDED, DIED and ANSWERED: */
	uint64_t cpu;            /* microseconds that the process and its children have used */
	uint64_t peak;           /* the most memory it had, in KiB */
	char text[RUN_TEXT_MAX]; /* NUL-terminated; only sent as far as it is used */
};

/* Front: send an order. 0, or -1 with errno (EPIPE: the process is gone; take another). */
int run_order_send(int channel, const struct run_order *order);

/* Wait for the next order. false: a signal came first. */
bool run_order_wait(int channel);

/*
 * Request process: wait for the order. 1 when it is there; 0 when the front closed the channel;
 * -1 with errno. The order's strings live in *memory, which the caller frees at its end.
 */
int run_order_receive(int channel, struct run_order *order, char **memory);

/* Request process and template: send a report, with a descriptor unless it is -1. 0 or -1. */
int run_report_send(
    int channel, enum run_report_type type, int32_t value, const char *text, int descriptor);

struct rusage;

/* The same for RUN_ENDED, RUN_DIED and RUN_ANSWERED, with what the run has used. */
int run_report_end(
    int channel, enum run_report_type type, int32_t value, const struct rusage *usage);

/*
 * Front: take one report. 1, 0 when the channel is at its end, -1 with errno (EAGAIN: none yet).
 * *descriptor is what came with it, or -1, and the caller's to close.
 */
int run_report_receive(int channel, struct run_report *report, int *descriptor);

#endif
