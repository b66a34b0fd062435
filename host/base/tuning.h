/*
 * Switches for the benchmark: each part of the speed machinery can be left out, so that its gain is
 * measured (`make bench-tuning`). host/template/README.md says what the parts do.
 */
#ifndef EXTHOST_TUNING_H
#define EXTHOST_TUNING_H

#include <stdbool.h>

struct error;

enum tuning {
	TUNING_SPARES,
	TUNING_WARM,
	TUNING_NOTICED_MODULES,
	TUNING_KEPT_CODE,
	TUNING_HUGE_TEXT,
	TUNING_HUGE_HEAP,
	TUNING_HEAP_FILL,
	TUNING_PYTHON_ARENAS,
	TUNING_PYTHON_OBJECTS,
	TUNING_PYTHON_FREEZE,
	TUNING_TCL_MEMORY,
	TUNING_TCL_PACKAGES,
	TUNING_TCL_CLOCK,
	TUNING_PARTS
};

/*
 * Read the environment variable EXTHOST_WITHOUT: names of parts, separated by commas; unset or
 * empty: all parts are used. To be called before the first fork. 0, or -1 with *e: an unknown name.
 */
int tuning_read(struct error *e);

/* False if EXTHOST_WITHOUT names this part. */
bool tuning_has(enum tuning part);

#endif
