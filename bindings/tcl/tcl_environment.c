/*
 * The environment. Tcl reads environ(7) itself each time a script reads an element of ::env, but
 * elements that were there once stay in the array until the whole array is looked at; and some
 * packages look at the environment only while they load. So the template starts and loads with an
 * environment that has nothing in it, and a run makes the array, and the one thing that depends on
 * a variable, follow the request's environment.
 */
#include "tcl_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* All a template needs: no variable of the host's, and text in UTF-8. */
static char path[] = "PATH=/usr/bin:/bin";
static char locale[] = "LC_CTYPE=C.UTF-8";

char **tcl_environment_lend(void)
{
	char **old = environ;
	char **lent;
	size_t count = 0;

	while (old[count] != NULL)
		count++;
	lent = calloc(count + 3, sizeof(*lent));
	if (lent == NULL)
		return NULL;
	lent[0] = path;
	lent[1] = locale;
	count = 2;
	/* TCLLIBPATH, TCL_LIBRARY, TCL8_6_TM_PATH and so on. */
	for (char **entry = old; *entry != NULL; entry++)
		if (strncmp(*entry, "TCL", 3) == 0)
			lent[count++] = *entry;
	environ = lent;
	return old;
}

/* The array lent is not freed: Tcl may have replaced it by one of its own. */
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

void tcl_environment_follow(Tcl_Interp *interp)
{
	/* This is looking at the whole array. */
	tcl_words(interp, "array", "size", "::env", NULL);
	/* msgcat, which belongs to `clock` and so to the template, has taken "C" for its locale. */
	if (!is_plain(getenv("LC_ALL")) || !is_plain(getenv("LC_MESSAGES")) ||
	    !is_plain(getenv("LANG")))
		tcl_words(interp, "::msgcat::Init", NULL);
	tcl_error_forget(interp);
}
