/* What of it is more than a field: how the worker and its guardian share the connections that wait. */
#include "ipc/scoreboard.h"

#include <sched.h>

int scoreboard_claim(struct scoreboard_slot *slot, uint32_t index)
{
	int seen = atomic_load(&slot->idle[index]);

	/* The guardian has it in its hands, for a system call: closed now, another would be given. */
	while (seen == SCOREBOARD_GIVING ||
	       !atomic_compare_exchange_weak(&slot->idle[index], &seen, SCOREBOARD_NONE)) {
		if (seen == SCOREBOARD_GIVING)
			sched_yield();
		seen = atomic_load(&slot->idle[index]);
	}
	return seen;
}
