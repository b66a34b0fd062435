/*
 *	# a comment         print TEXT           env NAME, its value
 *	body, copied        error TEXT           repeat N TEXT
 *	exit N              crash                sleep MILLISECONDS
 *	flush               pid, as an error     module NAME
 *	spin, for ever      deaf to SIGTERM      close standard output
 *	memory N, MiB of it                      leave a process that lives in a session of its own
 *	keep, and kept: is this the kept code?
 *	when QUERY COMMAND, if that is the query string
 *	process, its number                      burn MILLISECONDS of processor time
 *	hold N, MiB of memory, for good          await FILE beside the script
 *	setting N, the value of the Nth of the language's own settings
 *
 * and for apps:
 *
 *	load COMMAND, when the app is loaded, and only then
 *	unload COMMAND, when it ends
 *	count of the requests that this process has begun
 *	retire after this request                quit N: end the process
 *	later TEXT, an error, after the request and when the file "go" is there
 *	depends FILE, beside the script          needs FILE, without saying so
 *	take FILE, its first line, and depend on it; taken: print that
 */
#include "tiny_words.h"

#include "tiny.h"

#include "host/base/error.h"
#include "host/binding.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct command {
	const char *name;
	void (*does)(struct program *program, const char *argument);
};

/* The command that is being done; a signal handler is given no argument. */
static const char *volatile present = "";

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
	bool had = tiny_has_module(argument);
	struct error e;

	if (!had && tiny_load_module(argument, &e) < 0) {
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

/* The path of a file beside the script, or elsewhere; its data is the caller's to release. */
static struct buffer beside(const struct program *program, const char *name)
{
	struct buffer path = {0};
	const char *script = program->run->script;

	if (name[0] != '/')
		buffer_append(&path, script, (size_t)(strrchr(script, '/') + 1 - script));
	buffer_append_string(&path, name);
	buffer_string(&path);
	return path;
}

bool tiny_is_there(const struct program *program, const char *name)
{
	struct buffer path = beside(program, name);
	bool is_there = access(path.data, F_OK) == 0;

	buffer_release(&path);
	return is_there;
}

static void do_depends(struct program *program, const char *argument)
{
	struct buffer path = beside(program, argument);

	if (program->app != NULL)
		binding_depends(program->app, path.data);
	buffer_release(&path);
}

static void fail(struct program *program, const char *what, const char *of)
{
	fprintf(stderr, "tiny: %s %s\n", what, of);
	program->status = 1;
	program->ended = true;
}

static void do_needs(struct program *program, const char *argument)
{
	if (!tiny_is_there(program, argument))
		fail(program, "there is no", argument);
}

static void do_take(struct program *program, const char *argument)
{
	struct buffer path = beside(program, argument);
	FILE *file = fopen(path.data, "re");

	do_depends(program, argument);
	if (file == NULL || fgets(program->taken, sizeof(program->taken), file) == NULL)
		fail(program, "cannot read", argument);
	if (file != NULL)
		fclose(file);
	buffer_release(&path);
}

static void do_taken(struct program *program, const char *argument)
{
	(void)argument;
	printf("%s", program->taken);
}

static void do_process(struct program *program, const char *argument)
{
	(void)program;
	(void)argument;
	printf("%d\n", (int)getpid());
}

static void do_quit(struct program *program, const char *argument)
{
	fflush(stdout);
	binding_end(program->run, atoi(argument));
}

static void do_later(struct program *program, const char *argument)
{
	free(program->later);
	program->later = strdup(argument);
}

static void do_hold(struct program *program, const char *argument)
{
	size_t size = strtoul(argument, NULL, 10) << 20;

	program->held = malloc(size);
	if (program->held == NULL)
		fail(program, "cannot hold", argument);
	else
		memset(program->held, 1, size);
}

static void do_burn(struct program *program, const char *argument)
{
	clock_t end = clock() + (clock_t)strtol(argument, NULL, 10) * (CLOCKS_PER_SEC / 1000);

	(void)program;
	while (clock() < end)
		;
}

static void do_await(struct program *program, const char *argument)
{
	while (!tiny_is_there(program, argument))
		do_sleep(program, "2");
}

static void do_when(struct program *program, const char *argument)
{
	const char *query = getenv("QUERY_STRING");
	size_t size = strcspn(argument, " ");
	char *rest;

	if (query == NULL || argument[size] == '\0' || strlen(query) != size ||
	    strncmp(query, argument, size) != 0)
		return;
	rest = strdup(argument + size + 1);
	if (rest == NULL)
		abort();
	tiny_do(program, rest);
	free(rest);
}

static void do_setting(struct program *program, const char *argument)
{
	size_t n = strtoul(argument, NULL, 10);
	const char *value = NULL;

	if (program->run != NULL && n < tiny_binding.setting_count)
		value = program->run->settings[n];
	do_print(program, value != NULL ? value : "(not set)");
}

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
    {"when", do_when},
    {"process", do_process},
    {"burn", do_burn},
    {"await", do_await},
    {"hold", do_hold},
    {"count", do_count},
    {"retire", do_retire},
    {"quit", do_quit},
    {"later", do_later},
    {"depends", do_depends},
    {"take", do_take},
    {"taken", do_taken},
    {"needs", do_needs},
    {"setting", do_setting},
};

/* Is this line for another time, when the app is loaded or ends? Else what to do of it. */
static char *choose(const struct program *program, char *line)
{
	static const char *const times[] = {"load ", "unload "};

	if (program->only != NULL)
		return strncmp(line, program->only, strlen(program->only)) == 0
			   ? line + strlen(program->only)
			   : NULL;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
		if (strncmp(line, times[i], strlen(times[i])) == 0)
			return NULL;
	return line;
}

void tiny_do(struct program *program, char *line)
{
	size_t size;
	const char *argument;

	if (line[0] == '\0' || line[0] == '#' || (line = choose(program, line)) == NULL)
		return;
	size = strcspn(line, " ");
	argument = line[size] != '\0' ? line + size + 1 : "";
	line[size] = '\0';
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		if (strcmp(line, commands[i].name) == 0) {
			present = commands[i].name;
			commands[i].does(program, argument);
			present = "";
			return;
		}
	}
	fail(program, "unknown command", line);
}

const char *tiny_present(void)
{
	return present;
}
