/*
 * A table from (device, inode) to the last known state of a file. A file counts as changed when its
 * size, mtime or ctime differ. A file that changed a moment ago could change again within the same
 * tick of the file system's clock, so nothing is kept for it yet.
 */
#include "request/script.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/language.h"
#include "binding.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define ENTRIES 1024       /* a power of two; a file falls on one place, the newer one wins */
#define FIRST_LINE_MAX 256 /* the kernel reads no more of it either */
#define SHOWN_MAX 100      /* of it, in a message */
#define HEAD_MAX 2048      /* in which the first lines are looked at */
#define HEAD_LINES 10
#define SETTLED_NS (50 * CLOCK_MILLISECOND) /* age from which a file's code may be kept */
#define BY_SUFFIX (-1) /* instead of a language's index: the suffix of the name tells it */
#define REFUSED (-2)   /* instead of a language's index: there is an error */

struct entry {
	dev_t device;
	ino_t inode;
	off_t size;
	struct timespec modified, changed;
	bool taken;
	struct script_found found;
};

struct scripts {
	pthread_mutex_t lock;
	const struct binding *const *bindings;
	struct entry entries[ENTRIES];
};

struct scripts *scripts_create(const struct binding *const *bindings)
{
	struct scripts *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	pthread_mutex_init(&s->lock, NULL);
	s->bindings = bindings;
	for (size_t i = 0; i < ENTRIES; i++)
		s->entries[i].found.code = -1;
	return s;
}

const struct binding *const *scripts_bindings(const struct scripts *s)
{
	return s->bindings;
}

static struct entry *place(struct scripts *s, const struct stat *status)
{
	uint64_t mixed =
	    ((uint64_t)status->st_ino + (uint64_t)status->st_dev * 31) * 0x9e3779b97f4a7c15ULL;

	return &s->entries[mixed >> 54 & (ENTRIES - 1)];
}

static bool same_time(struct timespec a, struct timespec b)
{
	return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

static bool is_current(const struct entry *entry, const struct stat *status)
{
	return entry->taken && entry->inode == status->st_ino && entry->device == status->st_dev &&
	       entry->size == status->st_size && same_time(entry->modified, status->st_mtim) &&
	       same_time(entry->changed, status->st_ctim);
}

static bool is_settled(const struct stat *status)
{
	return clock_real() - clock_nanoseconds(&status->st_ctim) > SETTLED_NS;
}

static const char *last_element(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* A shebang line, taken apart word by word. */
struct line_words {
	const struct scripts *scripts;
	const char *script;
	char *rest;
	struct error *e;
};

static char *next_word(struct line_words *w)
{
	return strtok_r(NULL, " \t", &w->rest);
}

/* REFUSED with *e: what the line has, and what it may have there: `known`, then the languages. */
static int refuse_word(const struct line_words *w, const char *word, const char *where,
    const char *known, bool programs)
{
	struct buffer names = {0};

	for (const struct binding *const *b = w->scripts->bindings; *b != NULL; b++) {
		if (!programs)
			buffer_printf(&names, ", %s", (*b)->name);
		for (size_t i = 0; programs && (*b)->programs[i] != NULL; i++)
			buffer_printf(&names, ", %s", (*b)->programs[i]);
	}
	error_set(w->e, "%s: its shebang line has '%.*s' %s; known are %s%s", w->script, SHOWN_MAX,
	    word, where, known, names.data != NULL ? buffer_string(&names) : "");
	buffer_release(&names);
	return REFUSED;
}

/* After exthost-cgi: options, and perhaps the name of a language. */
static int language_after_relay(struct line_words *w)
{
	static const char where[] = "after exthost-cgi", known[] = "--socket PATH";
	int language = BY_SUFFIX;

	for (const char *word = next_word(w); word != NULL; word = next_word(w)) {
		if (strcmp(word, "--socket") == 0) {
			if (next_word(w) == NULL)
				return refuse_word(w, "--socket", "without a PATH", known, false);
		} else if (language >= 0 ||
			   (language = language_by_name(w->scripts->bindings, word)) < 0) {
			return refuse_word(w, word, where, known, false);
		}
	}
	return language;
}

/* After env: the first word that is neither an option nor a variable. NULL: there is none. */
static const char *program_after_env(struct line_words *w)
{
	const char *word;

	do
		word = next_word(w);
	while (word != NULL && (word[0] == '-' || strchr(word, '=') != NULL));
	return word;
}

/*
 * The interpreter itself would run another file than the script if a word followed its name. Its
 * options are ignored: it has started already.
 */
static int language_by_interpreter(struct line_words *w, const char *program)
{
	int language = language_by_program(w->scripts->bindings, program);
	const char *word;

	if (language < 0)
		return refuse_word(w, program, "as its program", "exthost-cgi, env", true);
	word = next_word(w);
	if (word != NULL && word[0] != '-')
		return error_set(w->e,
			   "%s: its shebang line has '%.*s' after %s; known are options of %s "
			   "alone",
			   w->script, SHOWN_MAX, word, program, program),
		       REFUSED;
	return language;
}

/* A language by its index, BY_SUFFIX if the line names none, or REFUSED with *e. */
static int language_by_line(struct line_words *w, char *line)
{
	const char *program = strtok_r(line + 2, " \t", &w->rest);

	if (program == NULL)
		return refuse_word(w, "", "as its program", "exthost-cgi, env", true);
	program = last_element(program);
	if (strncmp(program, "exthost-cgi", 11) == 0)
		return language_after_relay(w);
	if (strcmp(program, "env") != 0)
		return language_by_interpreter(w, program);
	program = program_after_env(w);
	if (program == NULL)
		return refuse_word(w, "env", "without a program", "env PROGRAM", true);
	return language_by_interpreter(w, last_element(program));
}

static int language_of(const struct scripts *s, const char *name, const char *head, struct error *e)
{
	struct line_words words = {.scripts = s, .script = name, .e = e};
	char line[FIRST_LINE_MAX + 1];
	int size = (int)strcspn(head, "\r\n");
	int language = BY_SUFFIX;

	snprintf(line, sizeof(line), "%.*s", size, head);
	if (strncmp(line, "#!", 2) == 0)
		language = language_by_line(&words, line);
	if (language != BY_SUFFIX)
		return language == REFUSED ? -1 : language;
	language = language_by_suffix(s->bindings, name);
	if (language < 0)
		return error_set(e,
		    "%s: executable, and neither a shebang line nor the name tells a language that "
		    "exthost carries; its first line is '%.*s'",
		    name, size < SHOWN_MAX ? size : SHOWN_MAX, head);
	return language;
}

/* "# exthost: word", with any blanks. */
static bool line_says(const char *line, const char *word)
{
	size_t size = strlen(word);

	line += strspn(line, " \t");
	if (*line++ != '#')
		return false;
	line += strspn(line, "# \t");
	if (strncmp(line, "exthost:", 8) != 0)
		return false;
	line += 8;
	line += strspn(line, " \t");
	return strncmp(line, word, size) == 0 && strchr(" \t\r\n", line[size]) != NULL;
}

static enum script_kind kind_of(const char *name, const char *head)
{
	size_t size = strlen(name);

	for (int i = 0; i < HEAD_LINES && *head != '\0'; i++) {
		if (line_says(head, "app"))
			return SCRIPT_APP;
		if (line_says(head, "rerun"))
			return SCRIPT_RERUN;
		head += strcspn(head, "\n");
		head += *head == '\n';
	}
	return size > 5 && strcmp(name + size - 5, ".wsgi") == 0 ? SCRIPT_APP : SCRIPT_CGI;
}

static int look(const struct scripts *s, const char *name, int file, struct script_found *found,
    struct error *e)
{
	char head[HEAD_MAX + 1];
	ssize_t n = pread(file, head, HEAD_MAX, 0);

	if (n < 0)
		return error_errno(e, "read %s", name);
	head[n] = '\0';
	found->language = language_of(s, name, head, e);
	found->kind = kind_of(name, head);
	return found->language < 0 ? -1 : 0;
}

int scripts_find(struct scripts *s, const char *name, int file, const struct stat *status,
    struct script_found *found, struct error *e)
{
	struct entry *entry = place(s, status);

	*found = (struct script_found){.language = -1, .code = -1};
	pthread_mutex_lock(&s->lock);
	if (is_current(entry, status)) {
		*found = entry->found;
		if (found->code >= 0)
			found->code = fcntl(found->code, F_DUPFD_CLOEXEC, 0);
	}
	pthread_mutex_unlock(&s->lock);
	if (found->language >= 0)
		return 0;
	if (look(s, name, file, found, e) < 0)
		return -1;
	if (!is_settled(status))
		return 0;
	pthread_mutex_lock(&s->lock);
	fd_close(&entry->found.code);
	*entry = (struct entry){.device = status->st_dev,
	    .inode = status->st_ino,
	    .size = status->st_size,
	    .modified = status->st_mtim,
	    .changed = status->st_ctim,
	    .taken = true,
	    .found = *found};
	pthread_mutex_unlock(&s->lock);
	return 0;
}

void scripts_keep(struct scripts *s, const struct stat *status, int code)
{
	struct entry *entry = place(s, status);

	pthread_mutex_lock(&s->lock);
	if (is_current(entry, status)) {
		fd_close(&entry->found.code);
		entry->found.code = fcntl(code, F_DUPFD_CLOEXEC, 0);
	}
	pthread_mutex_unlock(&s->lock);
}

void scripts_destroy(struct scripts *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < ENTRIES; i++)
		fd_close(&s->entries[i].found.code);
	pthread_mutex_destroy(&s->lock);
	free(s);
}
