/* How a worker and its guardian share the connections that wait for a request. */
#include "ipc/scoreboard.h"

#include <sched.h>

int scoreboard_claim(struct scoreboard_slot *slot, uint32_t index)
{
	int seen = atomic_load(&slot->idle[index]);

	/*
	 * The guardian is sending the descriptor: if it were closed now, another might be sent in
	 * its place.
	 */
	while (seen == SCOREBOARD_GIVING ||
	       !atomic_compare_exchange_weak(&slot->idle[index], &seen, SCOREBOARD_NONE)) {
		if (seen == SCOREBOARD_GIVING)
			sched_yield();
		seen = atomic_load(&slot->idle[index]);
	}
	return seen;
}
