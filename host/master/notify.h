/*
 * Telling the supervisor that started us how we are: the notification protocol of systemd, which
 * other supervisors speak too. Without a supervisor that listens every call here does nothing.
 */
#ifndef EXTHOST_NOTIFY_H
#define EXTHOST_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Made once, and copied freely: it owns nothing. */
struct notify {
	struct sockaddr_un address;
	socklen_t size; /* of the address; 0: nobody listens */
	uint64_t every; /* nanoseconds between two pings; 0: nobody waits for them */
};

/*
 * Read NOTIFY_SOCKET (an absolute path, or '@' and an abstract name; anything else is nobody),
 * WATCHDOG_USEC and WATCHDOG_PID, and take all three out of the environment, so that no child
 * believes them its own. sd_notify(3), sd_watchdog_enabled(3).
 */
void notify_init(struct notify *n);

/*
 * READY=1: started, or done with a reload. sd_notify(3). Like all that follow it returns nothing:
 * a supervisor that is gone or does not read in time is no reason to stop serving. It waits at most
 * a second for one that is busy.
 */
void notify_ready(const struct notify *n);

/*
 * RELOADING=1, and MONOTONIC_USEC= of now, which Type=notify-reload of systemd.service(5) wants.
 * Each must be followed by notify_ready, whether the reload succeeded or not. sd_notify(3).
 */
void notify_reloading(const struct notify *n);

/* STOPPING=1: it ends by its own will; nothing else need be said after it. sd_notify(3). */
void notify_stopping(const struct notify *n);

/*
 * STATUS=: one line for people, in UTF-8, which `systemctl status` shows until the next one. A
 * control character becomes a blank, and what is longer than some hundred bytes is cut.
 * sd_notify(3).
 */
void notify_status(const struct notify *n, const char *text);

/* WATCHDOG=1: alive. Never waits, since the next one is soon. sd_notify(3). */
void notify_watchdog(const struct notify *n);

/*
 * How often to call notify_watchdog: half of WATCHDOG_USEC, as sd_watchdog_enabled(3) recommends,
 * in nanoseconds. 0: not at all, because it is not set, is for another process than this
 * (WATCHDOG_PID), or nobody listens.
 */
uint64_t notify_watchdog_every(const struct notify *n);

#endif
