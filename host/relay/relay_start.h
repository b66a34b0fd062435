/* What the relay is called as, and how it becomes exthost. */
#ifndef EXTHOST_RELAY_START_H
#define EXTHOST_RELAY_START_H

#include <stdbool.h>

/* Whether the program is called exthost-cgi, and not by a link of another name. */
bool relay_start_by_own_name(int argc, char **argv);

/* Whether there is a request to relay: always by its own name; by another, when Fossil runs a script. */
bool relay_start_is_relay(int argc, char **argv);

/* Become exthost with the same name and arguments. Returns an exit status, when that fails. */
int relay_start_interpreter(char **argv);

/* Become exthost that runs the request of the environment. The body is unread, and every descriptor
 * as it was given. Returns when that fails. */
void relay_start_cold(void);

#endif
