/*
 * The names that the relay is started by, and how it becomes exthost.
 *
 * A link to the relay may have the name of an interpreter, or be called env: a script whose shebang
 * line names that link is relayed when Fossil starts it. Started by any other program, the relay
 * becomes exthost under the same name, and so the interpreter. The small program decides first:
 * that costs an interpreter one more exec, and a request nothing.
 *
 * A program started by a run is no request: an extension that starts itself would otherwise be
 * requested again without end. A run has a PATH, which the host has filled in; a program started by
 * Fossil has none.
 */
#include "relay/relay_start.h"

#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void start_exthost(char **arguments, const char *why);

bool relay_start_by_own_name(int argc, char **argv)
{
	const char *slash = argc > 0 ? strrchr(argv[0], '/') : NULL;
	const char *name = argc > 0 ? argv[0] : "exthost-cgi";

	return strncmp(slash != NULL ? slash + 1 : name, "exthost-cgi", 11) == 0;
}

bool relay_start_is_relay(int argc, char **argv)
{
	const char *script = getenv("SCRIPT_FILENAME");

	if (relay_start_by_own_name(argc, argv))
		return true;
	return argc > 1 && getenv("GATEWAY_INTERFACE") != NULL && getenv("PATH") == NULL &&
	       script != NULL && strcmp(argv[argc - 1], script) == 0;
}

int relay_start_interpreter(char **argv)
{
	start_exthost(argv, "");
	return 127;
}

void relay_start_cold(void)
{
	char *arguments[] = {
	    (char *)"exthost", (char *)"request", (char *)"--cgi", getenv("SCRIPT_FILENAME"), NULL};

	signal(SIGPIPE, SIG_DFL);
	start_exthost(arguments, "no host listens, and ");
}

/* exthost is in the relay's directory. Returns only if that fails, after printing the reason. */
static void start_exthost(char **arguments, const char *why)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - sizeof("exthost"));

	if (n > 0) {
		path[n] = '\0';
		memcpy(strrchr(path, '/') + 1, "exthost", sizeof("exthost"));
		execv(path, arguments);
	}
	execv(EXTHOST_BINDIR "/exthost", arguments);
	dprintf(STDERR_FILENO, "exthost-cgi: %s%s: %s\n", why,
	    n > 0 ? path : EXTHOST_BINDIR "/exthost", strerror(errno));
}
