/*
 * A package in one plain script without an index says what it is in a line of its own: `package
 * provide NAME VERSION`. This searches the text for that line. It does not find a line that
 * computes the version, or a command in the middle of a line.
 */
#include "packages/tcl_provide.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "interpreter/tcl_words.h"

#define SCRIPT_MOST (4 << 20) /* bytes of a script that is searched */
#define VERSION_LETTERS "0123456789.ab"

struct word {
	const char *text;
	size_t length;
};

static char *read_script(const char *path);
static bool find_provided(const char *line, struct word *name, struct word *version);
static void declare(
    Tcl_Interp *interp, Tcl_Obj *path, const struct word *name, const struct word *version);

void tcl_provide_declare(Tcl_Interp *interp, Tcl_Obj *path)
{
	const char *native = Tcl_FSGetNativePath(path);
	char *text = native != NULL ? read_script(native) : NULL;
	struct word name;
	struct word version;

	for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
		line += *line == '\n';
		if (find_provided(line, &name, &version))
			declare(interp, path, &name, &version);
	}
	free(text);
}

/* The whole script, to be freed by the caller; NULL: it cannot be read or is too large. */
static char *read_script(const char *path)
{
	int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat status;
	char *text = NULL;
	ssize_t got = -1;

	if (file == -1)
		return NULL;
	if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size <= SCRIPT_MOST)
		text = malloc((size_t)status.st_size + 1);
	if (text != NULL)
		got = read(file, text, (size_t)status.st_size);
	close(file);
	if (got == -1) {
		free(text);
		return NULL;
	}
	text[got] = '\0';
	return text;
}

static struct word next_word(const char **at)
{
	struct word word;

	*at += strspn(*at, " \t");
	word = (struct word){.text = *at, .length = strcspn(*at, " \t\r\n;")};
	*at += word.length;
	return word;
}

static bool is(const struct word *word, const char *text)
{
	return word->length == strlen(text) && strncmp(word->text, text, word->length) == 0;
}

static bool find_provided(const char *line, struct word *name, struct word *version)
{
	struct word first = next_word(&line);
	struct word second = next_word(&line);

	*name = next_word(&line);
	*version = next_word(&line);
	return is(&first, "package") && is(&second, "provide") && version->length > 0 &&
	       strspn(version->text, VERSION_LETTERS) == version->length &&
	       memchr(name->text, '$', name->length) == NULL &&
	       memchr(name->text, '[', name->length) == NULL;
}

static void declare(
    Tcl_Interp *interp, Tcl_Obj *path, const struct word *name, const struct word *version)
{
	Tcl_Obj *loads[4] = {Tcl_NewStringObj("source", -1), Tcl_NewStringObj("-encoding", -1),
	    Tcl_NewStringObj("utf-8", -1), path};
	Tcl_Obj *script = Tcl_NewListObj(4, loads);
	char *package = strndup(name->text, name->length);
	char *number = strndup(version->text, version->length);

	Tcl_IncrRefCount(script);
	if (package != NULL && number != NULL)
		tcl_words(
		    interp, "package", "ifneeded", package, number, Tcl_GetString(script), NULL);
	Tcl_ResetResult(interp);
	free(package);
	free(number);
	Tcl_DecrRefCount(script);
}
