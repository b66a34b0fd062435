/*
 * ::env, and what Tcl derives from the environment only once.
 *
 * Tcl reads environ(7) itself whenever a script reads an element of ::env, but an element whose
 * variable has gone stays in the array until the whole array is read. And some packages read the
 * environment only while they load. So the template starts and loads with an environment without
 * any variable of the host's, and a run updates the array, and the locale of messages, from the
 * request's environment.
 *
 * In an app worker one request's environment replaces another's, and most of it is the same.
 * Reading the whole array takes 30 microseconds then. An element whose variable exists needs
 * nothing, since Tcl reads environ(7). Only an element whose variable has gone must be removed, as
 * a script can look for it by name (info exists). As Tcl keeps array and environ(7) in step when a
 * script writes to either, such elements can only be variables of the last environ(7).
 */
#include "interpreter/tcl_environment.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "interpreter/tcl_error.h"
#include "interpreter/tcl_words.h"

struct copy {
	char **room;
	size_t size; /* bytes of room */
};

static void drop_added(Tcl_Interp *interp);
static void remove_gone(Tcl_Interp *interp, char *const *old, char *const *new);
static void unset_element(Tcl_Interp *interp, const char *name, size_t length);

/* Copies of the environment of the present request and of the last one, used in turn. */
static struct {
	struct copy copy[2];
	const struct copy *present; /* the copy that is environ(7); NULL: neither */
	int next;
} copies;

/* All that a template needs: no variable of the host's, and text in UTF-8. */
static char path[] = "PATH=/usr/bin:/bin";
static char locale[] = "LC_CTYPE=C.UTF-8";

char **tcl_environment_lend(void)
{
	char **old = environ;
	char **lent = calloc(3, sizeof(*lent));

	if (lent == NULL)
		return NULL;
	lent[0] = path;
	lent[1] = locale;
	environ = lent;
	return old;
}

/* The lent array is not freed: Tcl may have replaced it by its own. */
void tcl_environment_return(char **old)
{
	if (old != NULL)
		environ = old;
}

static int is_plain(const char *value)
{
	return value == NULL || *value == '\0' || strcmp(value, "POSIX") == 0 ||
	       (value[0] == 'C' && (value[1] == '\0' || value[1] == '.'));
}

bool tcl_environment_has_locale(void)
{
	return !is_plain(getenv("LC_ALL")) || !is_plain(getenv("LC_MESSAGES")) ||
	       !is_plain(getenv("LANG"));
}

/* Read the whole of ::env. */
static void look_at_array(Tcl_Interp *interp)
{
	static Tcl_Obj *kept[3];
	Tcl_Obj *words[] = {
	    tcl_word(&kept[0], "array"), tcl_word(&kept[1], "size"), tcl_word(&kept[2], "::env")};

	Tcl_EvalObjv(interp, 3, words, TCL_EVAL_GLOBAL);
}

void tcl_environment_follow(Tcl_Interp *interp)
{
	look_at_array(interp);
	/* The template has loaded msgcat for `clock`, with the locale "C". */
	if (tcl_environment_has_locale())
		tcl_words(interp, "::msgcat::Init", NULL);
	tcl_error_forget(interp);
}

static size_t size_of(char *const *environment, size_t *count)
{
	size_t size = 0;

	for (*count = 0; environment[*count] != NULL; (*count)++)
		size += strlen(environment[*count]) + 1;
	return size;
}

/* Make room for count pointers, NULL, and size bytes behind them. NULL: no memory. */
static char **make_room(struct copy *copy, size_t count, size_t size)
{
	size_t needed = (count + 1) * sizeof(char *) + size;
	void *room;

	if (copy->size >= needed)
		return copy->room;
	room = malloc(needed);
	if (room == NULL)
		return NULL;
	free(copy->room);
	copy->room = room;
	copy->size = needed;
	return room;
}

int tcl_environment_replace(Tcl_Interp *interp, char *const *environment)
{
	char **old;
	size_t count;
	size_t size = size_of(environment, &count);
	char **new = make_room(&copies.copy[copies.next], count, size);
	char *text;

	if (new == NULL)
		return -1;
	drop_added(interp);
	old = environ;
	text = (char *)(new + count + 1);
	for (size_t i = 0; i < count; i++) {
		new[i] = text;
		text = stpcpy(text, environment[i]) + 1;
	}
	new[count] = NULL;
	copies.present = &copies.copy[copies.next];
	copies.next = !copies.next;
	environ = new;
	remove_gone(interp, old, new);
	return 0;
}

void tcl_environment_leave(Tcl_Interp *interp, char **environment)
{
	drop_added(interp);
	copies.present = NULL;
	environ = environment;
}

/*
 * Remove the variables that the script added or changed. Their text is Tcl's, and only Tcl can free
 * it, through the array.
 */
static void drop_added(Tcl_Interp *interp)
{
	const char *begin = copies.present != NULL ? (char *)copies.present->room : NULL;
	size_t i = 0;

	while (begin != NULL && environ[i] != NULL) {
		const char *entry = environ[i];

		if (entry < begin || entry >= begin + copies.present->size)
			unset_element(interp, entry, strcspn(entry, "="));
		i += environ[i] == entry;
	}
}

static bool has_name(const char *entry, const char *name, size_t length)
{
	return strncmp(entry, name, length) == 0 && entry[length] == '=';
}

/*
 * Remove the elements of variables that are in old and not in new. Most variables stand at the same
 * place in both, or near it.
 */
static void remove_gone(Tcl_Interp *interp, char *const *old, char *const *new)
{
	size_t at = 0;

	for (; *old != NULL; old++) {
		size_t length = strcspn(*old, "=");
		size_t start = at;

		while (new[at] != NULL && !has_name(new[at], *old, length))
			at++;
		if (new[at] == NULL)
			for (at = 0; at < start && !has_name(new[at], *old, length);)
				at++;
		if (new[at] != NULL && has_name(new[at], *old, length))
			at++;
		else
			unset_element(interp, *old, length);
	}
}

static void unset_element(Tcl_Interp *interp, const char *name, size_t length)
{
	Tcl_DString text;

	Tcl_ExternalToUtfDString(NULL, name, (Tcl_Size)length, &text);
	Tcl_UnsetVar2(interp, "env", Tcl_DStringValue(&text), TCL_GLOBAL_ONLY);
	Tcl_DStringFree(&text);
}
