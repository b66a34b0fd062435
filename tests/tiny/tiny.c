/*
 * A third language, as small as one can be: a command a line, its argument behind a blank. It shows
 * that struct binding is enough, and lets the host run under the sanitizers, which an interpreter
 * would drown in reports of its own.
 *
 *	# a comment         print TEXT           env NAME, its value
 *	body, copied        error TEXT           repeat N TEXT
 *	exit N              crash                sleep MILLISECONDS
 *	flush               pid, as an error     module NAME
 *	spin, for ever      deaf to SIGTERM      close standard output
 *	memory N, MiB of it                      leave a process that lives in a session of its own
 *	keep, and kept: is this the kept code?
 *	count of the requests that this process has begun
 *	retire after this request
 *	load COMMAND, when the app is loaded, and only then
 *	depends FILE, beside the script
 *
 * A module is a name that the process knows. The one named "threads" starts a thread when it is
 * loaded ahead, which a template must not have. What is kept of a script is its text without
 * comments and empty lines.
 */
#include "tiny.h"

#include "host/binding.h"
#include "host/buffer.h"
#include "host/error.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MODULES_MAX 32
#define NAME_MAX_SIZE 64

/* One script in progress. */
struct program {
	struct binding_run *run; /* NULL in the plain interpreter */
	struct buffer text;
	bool is_kept; /* the text is what an earlier run has kept */
	int status;
	bool ended;
	bool loads; /* now; else lines of load are passed over */
	bool retires;
	unsigned long count;     /* of the requests to an app */
	struct binding_app *app; /* NULL: it is none */
};

struct command {
	const char *name;
	void (*does)(struct program *program, const char *argument);
};

/* The command that is being done; a signal handler is given no argument. */
static const char *volatile present;

/* The modules of this process; a forked one begins with those of the template. */
static char modules[MODULES_MAX][NAME_MAX_SIZE];
static size_t module_count;

static int read_text(struct buffer *text, int fd);
static void interpret_text(struct program *program);
static void interpret_line(struct program *program, char *line);
static void run(struct binding_run *asked) __attribute__((noreturn));

static const char *version(void)
{
	return "1.0";
}

static int interpret(int argc, char **argv)
{
	struct program program = {0};
	int fd = argc > 1 ? open(argv[1], O_RDONLY | O_CLOEXEC) : STDIN_FILENO;

	if (fd < 0 || read_text(&program.text, fd) < 0) {
		fprintf(stderr, "tiny: %s: %s\n", argc > 1 ? argv[1] : "-", strerror(errno));
		return 1;
	}
	interpret_text(&program);
	buffer_release(&program.text);
	fflush(stdout);
	return program.status;
}

static int start(struct error *e)
{
	return module_count > 0 ? error_set(e, "tiny is started already") : 0;
}

static bool has_module(const char *name)
{
	for (size_t i = 0; i < module_count; i++)
		if (strcmp(modules[i], name) == 0)
			return true;
	return false;
}

static int load_module(const char *name, struct error *e)
{
	for (const char *c = name; *c != '\0'; c++)
		if (!isalpha((unsigned char)*c))
			return error_set(e, "'%s' is no name of a module", name);
	if (module_count == MODULES_MAX || strlen(name) >= NAME_MAX_SIZE)
		return error_set(e, "no room for module '%s'", name);
	strcpy(modules[module_count++], name);
	return 0;
}

static void *sleep_for_ever(void *nothing)
{
	(void)nothing;
	for (;;)
		pause();
	return NULL;
}

static int preload(const char *module, struct error *e)
{
	pthread_t thread;

	if (strcmp(module, "threads") == 0)
		return pthread_create(&thread, NULL, sleep_for_ever, NULL) == 0
			   ? 0
			   : error_set(e, "no thread");
	return has_module(module) ? 0 : load_module(module, e);
}

/* The buffer of standard output, and a page or two of the heap. */
static void warm(void)
{
	struct buffer text = {0};

	buffer_printf(&text, "%0*d", 8192, 0);
	buffer_release(&text);
	fflush(stdout);
}

static void run(struct binding_run *asked)
{
	struct program program = {.run = asked, .is_kept = asked->code >= 0};

	if (read_text(&program.text, program.is_kept ? asked->code : asked->source) < 0) {
		fprintf(stderr, "tiny: %s: %s\n", asked->script, strerror(errno));
		program.status = 1;
	} else {
		interpret_text(&program);
	}
	fflush(stdout);
	binding_end(asked, program.status);
}

/* From the beginning: kept code is one open file for all runs. */
static int read_text(struct buffer *text, int fd)
{
	char piece[4096];
	ssize_t n;

	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, piece, sizeof(piece))) > 0)
		if (buffer_append(text, piece, (size_t)n) < 0)
			return -1;
	return n < 0 || buffer_string(text) == NULL ? -1 : 0;
}

static void interpret_text(struct program *program)
{
	size_t at = 0;

	while (at < program->text.size && !program->ended) {
		size_t size = strcspn(program->text.data + at, "\n");
		char *line = strndup(program->text.data + at, size);

		if (line == NULL)
			abort();
		interpret_line(program, line);
		free(line);
		at += size + 1;
	}
}

static void do_print(struct program *program, const char *argument)
{
	(void)program;
	printf("%s\n", argument);
}

static void do_env(struct program *program, const char *argument)
{
	const char *value = getenv(argument);

	do_print(program, value != NULL ? value : "(not set)");
}

static void do_body(struct program *program, const char *argument)
{
	char piece[16384];
	ssize_t n;

	(void)program;
	(void)argument;
	while ((n = read(STDIN_FILENO, piece, sizeof(piece))) > 0)
		fwrite(piece, 1, (size_t)n, stdout);
}

static void do_error(struct program *program, const char *argument)
{
	(void)program;
	fprintf(stderr, "%s\n", argument);
}

static void do_repeat(struct program *program, const char *argument)
{
	char *text;
	long count = strtol(argument, &text, 10);

	for (text += *text == ' '; count > 0; count--)
		do_print(program, text);
}

static void do_exit(struct program *program, const char *argument)
{
	program->status = atoi(argument);
	program->ended = true;
}

static void do_crash(struct program *program, const char *argument)
{
	(void)program;
	(void)argument;
	fflush(stdout);
	abort();
}

static void do_sleep(struct program *program, const char *argument)
{
	long milliseconds = strtol(argument, NULL, 10);
	struct timespec left = {milliseconds / 1000, milliseconds % 1000 * 1000000};

	(void)program;
	while (nanosleep(&left, &left) < 0 && errno == EINTR)
		;
}

static void do_flush(struct program *program, const char *argument)
{
	(void)program;
	(void)argument;
	fflush(stdout);
}

static void do_pid(struct program *program, const char *argument)
{
	(void)program;
	(void)argument;
	fprintf(stderr, "process %d\n", (int)getpid());
}

static void do_module(struct program *program, const char *argument)
{
	bool had = has_module(argument);
	struct error e;

	if (!had && load_module(argument, &e) < 0) {
		fprintf(stderr, "tiny: %s\n", e.message);
		program->status = 1;
		program->ended = true;
		return;
	}
	if (!had && program->run != NULL)
		binding_notice(program->run, argument);
	printf("%s: %s\n", argument, had ? "was loaded" : "loaded");
}

static void do_spin(struct program *program, const char *argument)
{
	(void)program;
	(void)argument;
	for (volatile int forever = 1; forever != 0;)
		;
}

static void do_deaf(struct program *program, const char *argument)
{
	(void)program;
	(void)argument;
	signal(SIGTERM, SIG_IGN);
}

static void do_close(struct program *program, const char *argument)
{
	(void)program;
	(void)argument;
	fflush(stdout);
	close(STDOUT_FILENO);
}

static void do_memory(struct program *program, const char *argument)
{
	size_t size = strtoul(argument, NULL, 10) << 20;
	void *memory = malloc(size);

	if (memory == NULL) {
		fprintf(stderr, "tiny: no memory\n");
		if (program->run != NULL)
			binding_no_memory(program->run);
		program->status = 1;
		program->ended = true;
	}
	free(memory);
}

static void do_leave(struct program *program, const char *argument)
{
	pid_t child = fork();

	(void)argument;
	if (child < 0) {
		fprintf(stderr, "tiny: fork: %s\n", strerror(errno));
		program->status = 1;
		program->ended = true;
	} else if (child == 0) {
		setsid();
		for (;;)
			pause();
	} else {
		printf("left %d\n", (int)child);
	}
}

static void do_keep(struct program *program, const char *argument)
{
	struct buffer code = {0};
	size_t at = 0;

	(void)argument;
	if (program->run == NULL || program->is_kept)
		return;
	while (at < program->text.size) {
		const char *line = program->text.data + at;
		size_t size = strcspn(line, "\n");

		if (size > 0 && line[0] != '#')
			buffer_printf(&code, "%.*s\n", (int)size, line);
		at += size + 1;
	}
	binding_keep_code(program->run, code.data, code.size);
	buffer_release(&code);
}

static void do_kept(struct program *program, const char *argument)
{
	(void)argument;
	do_print(program, program->is_kept ? "yes" : "no");
}

static void do_count(struct program *program, const char *argument)
{
	(void)argument;
	printf("%lu\n", program->count);
}

static void do_retire(struct program *program, const char *argument)
{
	(void)argument;
	program->retires = true;
}

static void do_depends(struct program *program, const char *argument)
{
	struct buffer path = {0};
	const char *script = program->run->script;

	buffer_append(&path, script, (size_t)(strrchr(script, '/') + 1 - script));
	buffer_append_string(&path, argument);
	if (program->app != NULL)
		binding_depends(program->app, buffer_string(&path));
	buffer_release(&path);
}

static void do_load(struct program *program, const char *argument)
{
	(void)program;
	(void)argument; /* done when it was loaded */
}

static void interpret_line(struct program *program, char *line)
{
	static const struct command commands[] = {
	    {"print", do_print},
	    {"env", do_env},
	    {"body", do_body},
	    {"error", do_error},
	    {"repeat", do_repeat},
	    {"exit", do_exit},
	    {"crash", do_crash},
	    {"sleep", do_sleep},
	    {"flush", do_flush},
	    {"pid", do_pid},
	    {"module", do_module},
	    {"spin", do_spin},
	    {"deaf", do_deaf},
	    {"close", do_close},
	    {"memory", do_memory},
	    {"leave", do_leave},
	    {"keep", do_keep},
	    {"kept", do_kept},
	    {"count", do_count},
	    {"retire", do_retire},
	    {"depends", do_depends},
	    {"load", do_load},
	};
	size_t size = strcspn(line, " ");
	const char *argument = line[size] != '\0' ? line + size + 1 : "";

	if (line[0] == '\0' || line[0] == '#')
		return;
	if (program->loads && strncmp(line, "load ", 5) == 0)
		memmove(line, line + 5, strlen(line + 5) + 1);
	else if (program->loads)
		return;
	size = strcspn(line, " ");
	argument = line[size] != '\0' ? line + size + 1 : "";
	line[size] = '\0';
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(line, commands[i].name) == 0) {
			present = commands[i].name;
			commands[i].does(program, argument);
			present = NULL;
			return;
		}
	}
	fprintf(stderr, "tiny: unknown command '%s'\n", line);
	program->status = 1;
	program->ended = true;
}

static int load(struct binding_app *app)
{
	struct program *program = calloc(1, sizeof(*program));

	if (program == NULL || read_text(&program->text, app->run->source) < 0)
		return -1;
	program->run = app->run;
	program->app = app;
	app->data = program;
	program->loads = true;
	interpret_text(program);
	program->loads = false;
	fflush(stdout);
	return program->status == 0 ? 0 : -1;
}

/* Descriptor 1 is the log's between requests, and 0 is empty. */
static int answer(struct binding_app *app, struct binding_call *call)
{
	struct program *program = app->data;
	int log = dup(STDOUT_FILENO), nothing = dup(STDIN_FILENO);

	environ = (char **)call->environment;
	dup2(binding_reply_descriptor(call), STDOUT_FILENO);
	if (call->body >= 0)
		dup2(call->body, STDIN_FILENO);
	program->ended = program->retires = false;
	program->status = 0;
	program->count++;
	interpret_text(program);
	fflush(stdout);
	dup2(log, STDOUT_FILENO);
	dup2(nothing, STDIN_FILENO);
	close(log);
	close(nothing);
	return (program->status != 0 ? BINDING_FAILED : 0) |
	       (program->retires ? BINDING_RETIRE : 0);
}

static bool stack(struct binding_run *asked, int file)
{
	(void)asked;
	if (present != NULL && write(file, present, strlen(present)) < 0)
		return true;
	return true;
}

static pid_t fork_tiny(pid_t (*make)(void))
{
	return make();
}

static const char *const suffixes[] = {".tiny", NULL};
static const char *const programs[] = {"tiny", NULL};

const struct binding tiny_binding = {
    .name = "tiny",
    .command = "tiny",
    .suffixes = suffixes,
    .programs = programs,
    .version = version,
    .interpret = interpret,
    .start = start,
    .preload = preload,
    .fork = fork_tiny,
    .warm = warm,
    .run = run,
    .stack = stack,
    .load = load,
    .answer = answer,
};
