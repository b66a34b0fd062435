/*
 * Where the languages' own files are installed, and how a language is found. Bindings and the host
 * both use this, and it needs no run.
 */
#include "base/language.h"

#include "binding.h"

#include <ctype.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LIBRARY "/lib/exthost"

static bool ends_with(const char *text, const char *end)
{
	size_t size = strlen(text), n = strlen(end);

	return size >= n && strcmp(text + size - n, end) == 0;
}

const char *binding_library(void)
{
	static char library[PATH_MAX]; /* computed once per process */
	char program[PATH_MAX - 32];
	ssize_t n;
	char *slash;

	if (library[0] != '\0')
		return library;
	n = readlink("/proc/self/exe", program, sizeof(program) - 1);
	if (n > 0) {
		program[n] = '\0';
		slash = strrchr(program, '/');
		*slash = '\0';
		slash = strrchr(program, '/');
		if (slash != NULL)
			*slash = '\0';
		/* The program is PREFIX/bin/exthost, or PREFIX/lib/exthost/bin/python3. */
		if (slash != NULL)
			snprintf(library, sizeof(library), "%s%s", program,
			    ends_with(program, LIBRARY) ? "" : LIBRARY);
	}
	if (library[0] == '\0' || access(library, F_OK) < 0)
		snprintf(library, sizeof(library), "%s", EXTHOST_LIBRARY);
	return library;
}

static bool is_version(const char *text)
{
	while (isdigit((unsigned char)*text) || *text == '.')
		text++;
	return *text == '\0';
}

int language_by_program(const struct binding *const *bindings, const char *program)
{
	for (int i = 0; bindings[i] != NULL; i++) {
		for (const char *const *name = bindings[i]->programs; *name != NULL; name++) {
			size_t size = strlen(*name);

			if (strncmp(program, *name, size) == 0 && is_version(program + size))
				return i;
		}
	}
	return -1;
}

int language_by_name(const struct binding *const *bindings, const char *name)
{
	for (int i = 0; bindings[i] != NULL; i++)
		if (strcmp(bindings[i]->name, name) == 0)
			return i;
	return -1;
}

int language_by_suffix(const struct binding *const *bindings, const char *path)
{
	size_t size = strlen(path);

	for (int i = 0; bindings[i] != NULL; i++) {
		for (const char *const *suffix = bindings[i]->suffixes; *suffix != NULL; suffix++) {
			size_t n = strlen(*suffix);

			if (size > n && strcmp(path + size - n, *suffix) == 0)
				return i;
		}
	}
	return -1;
}
