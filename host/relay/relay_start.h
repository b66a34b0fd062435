/* The names that the relay is started by, and how it becomes exthost. */
#ifndef EXTHOST_RELAY_START_H
#define EXTHOST_RELAY_START_H

#include <stdbool.h>

/* True if the program is started as exthost-cgi, and not by a link of another name. */
bool relay_start_by_own_name(int argc, char **argv);

/*
 * True if there is a request to relay: always if started as exthost-cgi; by another name, if Fossil
 * runs a script.
 */
bool relay_start_is_relay(int argc, char **argv);

/* Become exthost, with the same name and arguments. Returns only if that fails: an exit status. */
int relay_start_interpreter(char **argv);

/*
 * Become exthost to run the request in the environment. The body must be unread, and every
 * descriptor as it was at the start. Returns only if that fails.
 */
void relay_start_cold(void);

#endif
