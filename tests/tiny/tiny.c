/*
 * A third language, as small as one can be: a command a line, its argument behind a blank. It shows
 * that struct binding is enough, and lets the host run under the sanitizers, which an interpreter
 * would drown in reports of its own. Its commands stand in tiny_words.c.
 *
 * A module is a name that the process knows. The one named "threads" starts a thread when it is
 * loaded ahead, which a template must not have. What is kept of a script is its text without
 * comments and empty lines.
 */
#include "tiny.h"

#include "tiny_words.h"

#include "host/base/buffer.h"
#include "host/base/error.h"
#include "host/binding.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdio_ext.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define MODULES_MAX 32
#define NAME_MAX_SIZE 64

/* The modules of this process; a forked one begins with those of the template. */
static char modules[MODULES_MAX][NAME_MAX_SIZE];
static size_t module_count;

static int read_text(struct buffer *text, int fd);
static void interpret_text(struct program *program);
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

bool tiny_has_module(const char *name)
{
	for (size_t i = 0; i < module_count; i++)
		if (strcmp(modules[i], name) == 0)
			return true;
	return false;
}

int tiny_load_module(const char *name, struct error *e)
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
	return tiny_has_module(module) ? 0 : tiny_load_module(module, e);
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
		tiny_do(program, line);
		free(line);
		at += size + 1;
	}
}

static int load(struct binding_app *app)
{
	struct program *program = calloc(1, sizeof(*program));

	if (program == NULL || read_text(&program->text, app->run->source) < 0)
		return -1;
	program->run = app->run;
	program->app = app;
	app->data = program;
	program->only = "load ";
	interpret_text(program);
	program->only = NULL;
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
	/* Of a page that fails only that is sent which has been flushed. */
	if (program->status != 0)
		__fpurge(stdout);
	if (fflush(stdout) != 0)
		__fpurge(stdout);
	dup2(log, STDOUT_FILENO);
	dup2(nothing, STDIN_FILENO);
	close(log);
	close(nothing);
	return (program->status != 0 ? BINDING_FAILED : 0) |
	       (program->retires ? BINDING_RETIRE : 0);
}

/* Nothing goes on in it, but that something may be left to say. */
static bool wait_for(struct binding_app *app, int descriptor)
{
	struct program *program = app->data;
	struct pollfd event = {.fd = descriptor, .events = POLLIN};

	while (program->later != NULL && poll(&event, 1, 2) == 0) {
		if (!tiny_is_there(program, "go"))
			continue;
		fprintf(stderr, "%s\n", program->later);
		free(program->later);
		program->later = NULL;
	}
	return false;
}

static void unload(struct binding_app *app)
{
	struct program *program = app->data;

	program->ended = false;
	program->only = "unload ";
	interpret_text(program);
	fflush(stdout);
}

static bool stack(struct binding_run *asked, int file)
{
	(void)asked;
	const char *word = tiny_present();

	(void)!write(file, word, strlen(word));
	return true;
}

static pid_t fork_tiny(pid_t (*make)(void))
{
	return make();
}

static const char *const suffixes[] = {".tiny", NULL};
static const char *const programs[] = {"tiny", NULL};

/* Nothing else in the program knows these names. */
static const struct binding_setting settings[] = {
    {"tiny-home", BINDING_DIRECTORY, "what the command setting 0 prints", NULL},
    {"tiny-path", BINDING_DIRECTORIES, "what the command setting 1 prints", NULL},
};

const struct binding tiny_binding = {
    .name = "tiny",
    .command = "tiny",
    .suffixes = suffixes,
    .programs = programs,
    .settings = settings,
    .setting_count = sizeof(settings) / sizeof(settings[0]),
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
    .wait = wait_for,
    .unload = unload,
};
