/*
 * Descriptors 0, 1 and 2 while the interpreter starts.
 *
 * Python's file objects ask their descriptor early, and only once, whether it can seek and how
 * large its blocks are. A script sees the very objects that were made in the template (a module may
 * keep sys.stdout.buffer), with other descriptors beneath. So the descriptors are pipes while the
 * objects are made, as in a CGI program. An object that believes that it cannot seek is right about
 * a pipe, and does no harm to a body in a file; one made for /dev/null would believe that a pipe
 * can seek.
 *
 * What Python prints at its start (a broken sitecustomize, say) is copied to the real standard
 * error afterwards. The pipe is nonblocking, so a flood of output ends in an error and not in a
 * deadlock.
 */
#include "interpreter/python_stdio.h"
#include "interpreter/python_include.h"

#include <fcntl.h>
#include <unistd.h>

#include "host/base/error.h"

int python_stdio_lend(struct python_stdio *stdio, struct error *e)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1)
		return error_errno(e, "start Python: pipe");
	for (int fd = 0; fd < 3; fd++)
		stdio->saved[fd] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	stdio->messages = fcntl(ends[0], F_DUPFD_CLOEXEC, 3);
	dup2(ends[0], 0);
	dup2(ends[1], 1);
	dup2(ends[1], 2);
	for (int i = 0; i < 2; i++)
		if (ends[i] > 2)
			close(ends[i]);
	return 0;
}

void python_stdio_return(struct python_stdio *stdio)
{
	char text[4096];
	ssize_t size;

	for (int fd = 0; fd < 3; fd++) {
		if (stdio->saved[fd] != -1) {
			dup2(stdio->saved[fd], fd);
			close(stdio->saved[fd]);
		} else {
			close(fd);
		}
	}
	while ((size = read(stdio->messages, text, sizeof(text))) > 0)
		if (write(2, text, (size_t)size) != size)
			break;
	close(stdio->messages);
}
