#include "base/process.h"

#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int process_memory(pid_t pid, struct process_memory *memory)
{
	FD_OWNED int file = -1;
	char path[64] = "/proc/self/statm", text[128];
	unsigned long long resident, data;
	ssize_t n;

	if (pid != 0)
		snprintf(path, sizeof(path), "/proc/%d/statm", (int)pid);
	file = open(path, O_RDONLY | O_CLOEXEC);
	n = file >= 0 ? read(file, text, sizeof(text) - 1) : -1;
	if (n < 0)
		return -1;
	text[n] = '\0';
	/* proc(5): size, resident, shared, text, lib, data; in pages. */
	if (sscanf(text, "%*u %llu %*u %*u %*u %llu", &resident, &data) != 2) {
		errno = EPROTO;
		return -1;
	}
	memory->resident = resident * (uint64_t)sysconf(_SC_PAGESIZE);
	memory->data = data * (uint64_t)sysconf(_SC_PAGESIZE);
	return 0;
}

void process_describe_end(char *text, size_t size, int wait_status)
{
	if (WIFSIGNALED(wait_status))
		snprintf(text, size, "signal %d (%s)", WTERMSIG(wait_status),
		    strsignal(WTERMSIG(wait_status)));
	else
		snprintf(text, size, "exit status %d", WEXITSTATUS(wait_status));
}

void process_describe_death(char *text, size_t size, int wait_status)
{
	char end[PROCESS_END_SIZE];

	process_describe_end(end, sizeof(end), wait_status);
	snprintf(text, size, WIFSIGNALED(wait_status) ? "ended by %s" : "%s", end);
}
