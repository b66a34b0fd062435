/* The program, and the one place that knows all languages. */
#include "command/command.h"

#include "bindings/python/python.h"
#include "bindings/tcl/tcl_binding.h"

#include <stddef.h>

static const struct binding *const bindings[] = {&python_binding, &tcl_binding, NULL};

int main(int argc, char **argv)
{
	return command_run(bindings, argc, argv);
}
