/* A direct worker that may answer a last request has a handler for ORPHAN_SIGNAL. */
#include "direct/orphan_grace.h"

#include "base/clock.h"
#include "base/fd.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GRACE_NS (CLOCK_SECOND / 2)

static bool has_orphan_handler(pid_t pid)
{
	char path[64], text[4096];
	FD_OWNED int file = -1;
	const char *caught;
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	n = file >= 0 ? fd_read_all(file, text, sizeof(text) - 1) : 0;
	text[n > 0 ? n : 0] = '\0';
	caught = strstr(text, "SigCgt:");
	return caught != NULL &&
	       (strtoull(caught + strlen("SigCgt:"), NULL, 16) >> (ORPHAN_SIGNAL - 1) & 1) != 0;
}

void orphan_grace_begin(struct orphan_grace *g)
{
	g->granted = false;
}

bool orphan_grace_spares(struct orphan_grace *g, pid_t pid)
{
	if ((g->end != 0 && clock_now() >= g->end) || !has_orphan_handler(pid))
		return false;
	g->granted = true;
	return true;
}

void orphan_grace_finish(struct orphan_grace *g)
{
	if (!g->granted)
		g->end = 0;
	else if (g->end == 0)
		g->end = clock_now() + GRACE_NS;
}

int orphan_grace_left(const struct orphan_grace *g)
{
	return g->end != 0 ? clock_left(g->end) : -1;
}
