#include "ipc/process_handle.h"

#include "base/error.h"
#include "base/fd.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

int process_handle_open(struct process_handle *p, struct process_ends *ends, struct error *e)
{
	int channel[2] = {-1, -1}, output[2] = {-1, -1}, errors[2] = {-1, -1};
	int result = 0;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) < 0 ||
	    pipe2(output, O_CLOEXEC) < 0 || pipe2(errors, O_CLOEXEC) < 0)
		result = error_errno(e, "create the pipes of a request process");
	*p = (struct process_handle){.pid = -1,
	    .channel = channel[0],
	    .output = output[0],
	    .errors = errors[0],
	    .handle = -1};
	*ends = (struct process_ends){channel[1], output[1], errors[1]};
	if (result < 0) {
		process_handle_release(p);
		process_ends_close(ends);
	}
	return result;
}

void process_handle_release(struct process_handle *p)
{
	fd_close(&p->channel);
	fd_close(&p->output);
	fd_close(&p->errors);
	fd_close(&p->handle);
}

void process_ends_close(struct process_ends *ends)
{
	fd_close(&ends->channel);
	fd_close(&ends->output);
	fd_close(&ends->errors);
}
