/*
 * An extension root holds what its extensions are made of, beside the pages they link to. A file
 * without an execute bit is static content: so would be source whose bit was forgotten, an app's
 * database, its keys. Such files are recognized by their names and first bytes, and never sent.
 * Fossil knows no such rule: `exthost check` names the files that Fossil would send.
 */
#include "request/static_content.h"

#include "binding.h"

#include <fnmatch.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define HEAD_MOST 128 /* bytes of a file that are looked at */
#define WORD_MOST 256 /* an element of a path has no more bytes */

static const char source[] = "source";
static const char database[] = "a database";
static const char secret[] = "a key or a file of settings";

static const char *kind_by_name(const struct binding *const *bindings, const char *name);
static const char *kind_by_word(const struct binding *const *bindings, const char *word);
static const char *kind_by_head(const char *head, size_t size);

const char *static_content_secret(const struct binding *const *bindings, const char *name, int file)
{
	const char *kind = kind_by_name(bindings, name);
	char head[HEAD_MOST];
	ssize_t n;

	if (kind != NULL)
		return kind;
	n = pread(file, head, sizeof(head), 0);
	return n < 0 ? "a file that cannot be read" : kind_by_head(head, (size_t)n);
}

static bool is_in_cache(const char *name)
{
	static const char cache[] = "__pycache__/";

	for (; name != NULL; name = strchr(name, '/')) {
		name += *name == '/';
		if (strncasecmp(name, cache, sizeof(cache) - 1) == 0)
			return true;
	}
	return false;
}

/*
 * Bytes of the text before SQLite's -wal and the like; all of them if it ends with none of these.
 */
static size_t size_before_end(const char *text)
{
	static const char *const ends[] = {"-wal", "-shm", "-journal"};
	size_t size = strlen(text);

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		size_t n = strlen(ends[i]);

		if (size > n && strcasecmp(text + size - n, ends[i]) == 0)
			return size - n;
	}
	return size;
}

/* Cut the word to its suffix: "db-wal" is "db", and at the end of a name "py-old" is "py". */
static void cut_word(char *word, bool is_last)
{
	word[size_before_end(word)] = '\0';
	if (is_last)
		word[strcspn(word, "-_")] = '\0';
}

/* NULL: the name tells nothing. */
static const char *kind_by_name(const struct binding *const *bindings, const char *name)
{
	const char *slash = strrchr(name, '/');
	const char *at = strchr(slash != NULL ? slash : name, '.');
	const char *kind = is_in_cache(name) ? source : NULL;

	/* They hold pages of a database, whatever its name is. */
	if (name[size_before_end(name)] != '\0')
		kind = database;
	while (kind == NULL && at != NULL) {
		const char *next = strchr(at + 1, '.');
		char word[WORD_MOST];

		snprintf(word, sizeof(word), "%.*s",
		    (int)(next != NULL ? next - at : (ptrdiff_t)strlen(at)), at);
		cut_word(word, next == NULL);
		kind = kind_by_word(bindings, word);
		at = next;
	}
	return kind;
}

/* This suffix, in either case, and perhaps a number. */
static bool is_suffix(const char *word, const char *suffix)
{
	size_t size = strlen(suffix);

	if (strncasecmp(word, suffix, size) != 0)
		return false;
	return word[size + strspn(word + size, "0123456789")] == '\0';
}

/* A word with its dot in front, ".py". */
static const char *kind_by_word(const struct binding *const *bindings, const char *word)
{
	static const struct {
		const char *suffix, *kind;
	} suffixes[] = {
	    {".pyc", source},
	    {".pyo", source},
	    {".pyw", source},
	    {".pyi", source},
	    {".tm", source},
	    {".db", database},
	    {".fossil", database},
	    {".env", secret},
	    {".key", secret},
	    {".pem", secret},
	    {".p12", secret},
	    {".pfx", secret},
	    {".ini", secret},
	    {".conf", secret},
	    {".cfg", secret},
	};

	for (size_t i = 0; i < sizeof(suffixes) / sizeof(suffixes[0]); i++)
		if (is_suffix(word, suffixes[i].suffix))
			return suffixes[i].kind;
	if (strncasecmp(word, ".sqlite", 7) == 0)
		return database;
	for (int i = 0; bindings[i] != NULL; i++)
		for (const char *const *suffix = bindings[i]->suffixes; *suffix != NULL; suffix++)
			if (is_suffix(word, *suffix))
				return source;
	return NULL;
}

static bool holds(const char *text, size_t size, const char *what)
{
	return memmem(text, size, what, strlen(what)) != NULL;
}

/* By its first bytes; NULL: they tell nothing. RFC 7468 has the line in front of a key. */
static const char *kind_by_head(const char *head, size_t size)
{
	static const char sqlite[16] =
	    "SQLite format 3"; /* https://sqlite.org/fileformat2.html, 1.3.1 */
	const char *newline = memchr(head, '\n', size);
	size_t line = newline != NULL ? (size_t)(newline - head) : size;

	if (size >= 2 && memcmp(head, "#!", 2) == 0)
		return "a file with a #! line";
	if (size >= sizeof(sqlite) && memcmp(head, sqlite, sizeof(sqlite)) == 0)
		return database;
	if (line > 11 && memcmp(head, "-----BEGIN ", 11) == 0 &&
	    holds(head, line, "PRIVATE KEY-----"))
		return secret;
	return NULL;
}

static bool is_one_of(const char *text, const char *const *words)
{
	for (; *words != NULL; words++)
		if (strcmp(text, *words) == 0)
			return true;
	return false;
}

bool static_content_is_offered(const char *option, const char *name)
{
	static const char *const yes[] = {"yes", "on", "true", "1", NULL};
	static const char *const no[] = {"no", "off", "false", "0", NULL};
	char pattern[1024];

	if (is_one_of(option, yes) || is_one_of(option, no))
		return is_one_of(option, yes);
	for (size_t size; *(option += strspn(option, " \t")) != '\0'; option += size) {
		size = strcspn(option, " \t");
		snprintf(pattern, sizeof(pattern), "%.*s", (int)size, option);
		if (size < sizeof(pattern) && fnmatch(pattern, name, FNM_PERIOD) == 0)
			return true;
	}
	return false;
}
