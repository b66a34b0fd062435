/*
 * Everything that a script must find as under CGI is set up here, just before the binding runs it:
 * descriptors 0, 1 and 2, the environment, the working directory, a process group of its own, no
 * signal blocked. The only other descriptor of the host's, the channel, has a high number and is
 * closed on exec, so a script that opens a file gets 3 as under any CGI server.
 */
#include "template/request_process.h"

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "binding.h"
#include "ipc/process_limit.h"
#include "ipc/run_channel.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

/* A signal handler gets no argument: take_stack finds its run here. */
static struct {
	const struct binding *binding;
	struct binding_run *run;
} stack_of;

static void request_process_main(const struct request_process_setup *setup,
    const struct process_ends *ends, pid_t template) __attribute__((noreturn));

static void answer_questions(const struct binding *binding, struct binding_run *run);
static int take_limits(const struct run_limits *limits, int channel);
static int take_lasting_limits(const struct run_limits *limits, int channel);

pid_t request_process_fork(
    const struct request_process_setup *setup, const struct process_ends *ends, struct error *e)
{
	pid_t template = getpid();
	pid_t pid = setup->binding->fork(fork);

	if (pid == 0)
		request_process_main(setup, ends, template);
	if (pid < 0)
		error_errno(e, "fork");
	return pid;
}

/*
 * The template has signals blocked. RUN_STACK_SIGNAL stays blocked until answer_questions has
 * installed its handler, since it would kill the process before.
 */
static void unblock_signals(void)
{
	sigset_t question;

	sigemptyset(&question);
	sigaddset(&question, RUN_STACK_SIGNAL);
	sigprocmask(SIG_SETMASK, &question, NULL);
}

static void take_descriptors(const struct process_ends *ends, struct run_channel *channel)
{
	dup2(ends->output, STDOUT_FILENO);
	dup2(ends->errors, STDERR_FILENO);
	channel->socket = fd_dup_high(ends->channel);
	if (channel->socket < 0)
		_exit(127);
	fd_close_from(3, channel->socket);
}

/* A script's working directory is the directory it is in (RFC 3875, 7.2). */
static int enter_folder(const char *script)
{
	char *folder = strdup(script);
	int result;

	if (folder == NULL)
		return -1;
	*strrchr(folder, '/') = '\0';
	result = chdir(folder[0] != '\0' ? folder : "/");
	free(folder);
	return result;
}

/* Report the stack: when the front asks for it, and when the processor time is used up. */
static void take_stack(int number)
{
	int saved = errno;
	int file;

	if (getpid() == stack_of.run->channel->owner) {
		file = fd_memory_file("exthost-stack");
		stack_of.run->asked = number == SIGXCPU ? SIGXCPU : 0;
		if (file >= 0 && stack_of.binding->stack(stack_of.run, file))
			binding_stack_done(stack_of.run, file);
	}
	errno = saved;
}

static void answer_questions(const struct binding *binding, struct binding_run *run)
{
	struct sigaction action = {.sa_handler = take_stack, .sa_flags = SA_RESTART | SA_ONSTACK};
	sigset_t none;

	if (binding->stack != NULL) {
		stack_of.binding = binding;
		stack_of.run = run;
		sigaction(RUN_STACK_SIGNAL, &action, NULL);
		sigaction(SIGXCPU, &action, NULL);
	} else {
		signal(RUN_STACK_SIGNAL, SIG_IGN);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

static int limit_memory(uint64_t more)
{
	struct process_memory memory;
	rlim_t most;

	if (process_memory(0, &memory) < 0)
		return -1;
	most = (rlim_t)memory.data + more;
	return setrlimit(RLIMIT_DATA, &(struct rlimit){most, most});
}

static int limit_processes(int channel)
{
	FD_OWNED int notices = process_limit_install();

	return notices < 0 ? -1 : run_report_send(channel, RUN_PROCESSES, 0, "", notices);
}

/* 0, or -1 with errno. */
static int take_limits(const struct run_limits *limits, int channel)
{
	/* SIGXCPU comes at the soft limit; a second later the kernel kills the process. */
	const struct rlimit cpu = {limits->cpu, limits->cpu + 1};

	if (limits->cpu != UINT64_MAX && setrlimit(RLIMIT_CPU, &cpu) < 0)
		return -1;
	return take_lasting_limits(limits, channel);
}

/* The limits that hold for an app worker as well. */
static int take_lasting_limits(const struct run_limits *limits, int channel)
{
	if (limits->memory != UINT64_MAX && limit_memory(limits->memory) < 0)
		return -1;
	return limits->processes != UINT64_MAX ? limit_processes(channel) : 0;
}

static void request_process_main(
    const struct request_process_setup *setup, const struct process_ends *ends, pid_t template)
{
	const struct binding *binding = setup->binding;
	struct run_channel channel = {.owner = getpid()};
	struct binding_run run = {.channel = &channel};
	struct run_order order;
	void *memory;

	/* Without its template there is no process that would end this one. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* Descendants of the script stay below this process, and in reach, until it ends. */
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	if (getppid() != template)
		_exit(0);
	setpgid(0, 0);
	unblock_signals();
	take_descriptors(ends, &channel);
	if (setup->warm)
		binding->warm();
	if (run_order_receive(channel.socket, &order, &memory) != 1)
		_exit(0);
	if (order.body >= 0) {
		dup2(order.body, STDIN_FILENO);
		fd_close(&order.body);
	}
	environ = order.environment;
	if (enter_folder(order.script) < 0) {
		dprintf(STDERR_FILENO, "exthost: enter the directory of %s: %s\n", order.script,
		    strerror(errno));
		binding_end(&run, 1);
	}
	run.script = order.script;
	run.settings = order.settings;
	run.environment = order.environment;
	run.source = fd_move_high(order.source);
	run.code = fd_move_high(order.code);
	answer_questions(binding, &run);
	if ((order.kind == RUN_ORDER_LOAD ? take_lasting_limits : take_limits)(
		&order.limits, channel.socket) < 0) {
		dprintf(STDERR_FILENO, "exthost: set the limits of %s: %s\n", order.script,
		    strerror(errno));
		binding_end(&run, 1);
	}
	if (order.kind == RUN_ORDER_LOAD)
		setup->load(binding, &run, &order);
	binding->run(&run);
}
