/* The host with no interpreter in it: all its processes and threads, and one tiny language. */
#include "host/command/command.h"
#include "tiny.h"

#include <stddef.h>

int main(int argc, char **argv)
{
	static const struct binding *const bindings[] = {&tiny_binding, NULL};

	return command_run(bindings, argc, argv);
}
