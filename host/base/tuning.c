/* Which parts of the speed machinery are used. Set once; processes inherit it by fork(2). */
#include "base/tuning.h"

#include "base/error.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[TUNING_PARTS] = {
    [TUNING_SPARES] = "spares",
    [TUNING_WARM] = "warm",
    [TUNING_NOTICED_MODULES] = "noticed-modules",
    [TUNING_KEPT_CODE] = "kept-code",
    [TUNING_HUGE_TEXT] = "huge-text",
    [TUNING_HUGE_HEAP] = "huge-heap",
    [TUNING_HEAP_FILL] = "heap-fill",
    [TUNING_PYTHON_ARENAS] = "python-arenas",
    [TUNING_PYTHON_OBJECTS] = "python-objects",
    [TUNING_PYTHON_FREEZE] = "python-freeze",
    [TUNING_TCL_MEMORY] = "tcl-memory",
    [TUNING_TCL_PACKAGES] = "tcl-packages",
    [TUNING_TCL_CLOCK] = "tcl-clock",
};

static bool without[TUNING_PARTS];

/* The part with this name, or TUNING_PARTS. */
static int find_part(const char *name, size_t length)
{
	int part = 0;

	while (part < TUNING_PARTS &&
	       (strlen(names[part]) != length || memcmp(names[part], name, length) != 0))
		part++;
	return part;
}

int tuning_read(struct error *e)
{
	const char *list = getenv("EXTHOST_WITHOUT");
	size_t length;

	for (; list != NULL && *list != '\0'; list += length + (list[length] == ',')) {
		length = strcspn(list, ",");
		int part = find_part(list, length);

		if (part == TUNING_PARTS)
			return error_set(
			    e, "EXTHOST_WITHOUT: there is no part \"%.*s\"", (int)length, list);
		without[part] = true;
	}
	return 0;
}

bool tuning_has(enum tuning part)
{
	return !without[part];
}
