/*
 * The functions that binding.h offers to a binding, in a request process and in an app worker. A
 * child that the script has forked can call them too: it must not speak for its parent.
 */
#include "base/fd.h"
#include "base/tuning.h"
#include "binding.h"
#include "ipc/run_channel.h"

#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <unistd.h>

void binding_keep_code(struct binding_run *run, const void *code, size_t size)
{
	FD_OWNED int file = -1;

	if (getpid() != run->channel->owner || !tuning_has(TUNING_KEPT_CODE))
		return;
	file = fd_memory_file("exthost-code");
	if (file < 0 || fd_write_all(file, code, size) < 0)
		return;
	run_report_send(run->channel->socket, RUN_CODE, 0, "", file);
}

void binding_notice(struct binding_run *run, const char *module)
{
	if (getpid() == run->channel->owner && strlen(module) < RUN_TEXT_MAX)
		run_report_send(run->channel->socket, RUN_NOTICED, 0, module, -1);
}

/* Async-signal-safe, as Python calls it in a signal handler. */
void binding_stack_done(struct binding_run *run, int file)
{
	run_report_send(run->channel->socket, RUN_STACK, run->asked, "", file);
	close(file);
}

void binding_no_memory(struct binding_run *run)
{
	if (getpid() == run->channel->owner)
		run_report_send(run->channel->socket, RUN_NO_MEMORY, 0, "", -1);
}

static void add_usage(struct rusage *sum, const struct rusage *more)
{
	timeradd(&sum->ru_utime, &more->ru_utime, &sum->ru_utime);
	timeradd(&sum->ru_stime, &more->ru_stime, &sum->ru_stime);
}

void binding_end(struct binding_run *run, int status)
{
	struct rusage usage, children;

	if (getpid() == run->channel->owner) {
		if (run->channel->at_end != NULL)
			run->channel->at_end(run->channel->context, status & 0xff);
		getrusage(RUSAGE_SELF, &usage);
		getrusage(RUSAGE_CHILDREN, &children);
		add_usage(&usage, &children);
		run_report_end(run->channel->socket, RUN_ENDED, status & 0xff, &usage);
	}
	_exit(status & 0xff);
}
