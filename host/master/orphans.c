/*
 * Services may leave processes behind, too, and those live on. A process that a run has left behind
 * is this very program, forked, or has the environment of a CGI program.
 */
#include "master/orphans.h"

#include "base/fd.h"
#include "direct/orphan_grace.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool is_this_program(pid_t pid)
{
	char path[64], own[4096], other[4096];
	ssize_t n = readlink("/proc/self/exe", own, sizeof(own));
	ssize_t m;

	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	m = readlink(path, other, sizeof(other));
	return n > 0 && n == m && memcmp(own, other, (size_t)n) == 0;
}

static bool has_cgi_environment(pid_t pid)
{
	static const char name[] = "GATEWAY_INTERFACE=";
	char path[64], environment[65536];
	FD_OWNED int file = -1;
	ssize_t size;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	size = file >= 0 ? fd_read_all(file, environment, sizeof(environment)) : 0;
	if (size <= 0)
		return false;
	environment[size - 1] = '\0';
	for (ssize_t at = 0; at < size; at += (ssize_t)strlen(environment + at) + 1)
		if (strncmp(environment + at, name, sizeof(name) - 1) == 0)
			return true;
	return false;
}

void orphans_kill(
    bool (*is_known)(const void *who, pid_t group), const void *who, struct orphan_grace *grace)
{
	FD_OWNED int file = open("/proc/thread-self/children", O_RDONLY | O_CLOEXEC);
	char text[16384];
	ssize_t n = file >= 0 ? fd_read_all(file, text, sizeof(text) - 1) : 0;
	char *at = text, *end;

	orphan_grace_begin(grace);
	text[n > 0 ? n : 0] = '\0';
	for (long pid = strtol(at, &end, 10); end != at; pid = strtol(at, &end, 10)) {
		pid_t group = pid > 1 ? getpgid((pid_t)pid) : -1;

		at = end;
		if (group <= 0 || group == getpgrp() || is_known(who, group))
			continue;
		if ((is_this_program((pid_t)pid) || has_cgi_environment((pid_t)pid)) &&
		    !orphan_grace_spares(grace, (pid_t)pid))
			kill((pid_t)pid, SIGKILL);
	}
	orphan_grace_finish(grace);
}
