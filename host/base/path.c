#include "base/path.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

int path_join(char *path, size_t size, const char *directory, const char *name)
{
	const char *slash = strcmp(directory, "/") == 0 ? "" : "/";
	int length = snprintf(path, size, "%s%s%s", directory, slash, name);

	if (length >= 0 && (size_t)length < size)
		return 0;
	errno = ENAMETOOLONG;
	return -1;
}
