/*
 * Messages to the supervisor that started the host: the notification protocol of systemd, which
 * other supervisors speak too. Without a supervisor that listens, every call here does nothing.
 */
#ifndef EXTHOST_NOTIFY_H
#define EXTHOST_NOTIFY_H

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

/* Owns nothing, so it may be copied. */
struct notify {
	struct sockaddr_un address;
	socklen_t size; /* size of the address; 0: no supervisor listens */
	uint64_t every; /* nanoseconds between two pings; 0: no pings */
};

/*
 * Read NOTIFY_SOCKET (an absolute path, or '@' and an abstract name; anything else counts as
 * unset), WATCHDOG_USEC and WATCHDOG_PID, and remove all three from the environment, so that no
 * child takes them for its own. sd_notify(3), sd_watchdog_enabled(3).
 */
void notify_init(struct notify *n);

/*
 * READY=1: the start, or a reload, is complete. sd_notify(3). Like the functions below it returns
 * nothing: a supervisor that is gone, or does not read in time, is no reason to stop serving. It
 * waits at most a second for a busy supervisor.
 */
void notify_ready(const struct notify *n);

/*
 * RELOADING=1 with MONOTONIC_USEC=, the present time, which Type=notify-reload of
 * systemd.service(5) wants. Each call must be followed by notify_ready(), whether the reload
 * succeeds or not. sd_notify(3).
 */
void notify_reloading(const struct notify *n);

/* STOPPING=1: the host is about to end. No other message has to follow. sd_notify(3). */
void notify_stopping(const struct notify *n);

/*
 * STATUS=: one line of UTF-8 for people, which `systemctl status` shows until the next one. Control
 * characters become blanks, and the line is cut after some 500 bytes. sd_notify(3).
 */
void notify_status(const struct notify *n, const char *text);

/* WATCHDOG=1: a ping. Never waits, since the next ping follows soon. sd_notify(3). */
void notify_watchdog(const struct notify *n);

/*
 * Nanoseconds between two calls of notify_watchdog(): half of WATCHDOG_USEC, as
 * sd_watchdog_enabled(3) recommends. 0: no pings are wanted, since WATCHDOG_USEC is not set or is
 * for another process (WATCHDOG_PID), or since no supervisor listens.
 */
uint64_t notify_watchdog_every(const struct notify *n);

#endif
