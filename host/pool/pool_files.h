/*
 * The files of an app's last load, as far as its worker reported them before the load ended: have
 * they changed since it began? With the pool's lock held.
 */
#ifndef EXTHOST_POOL_FILES_H
#define EXTHOST_POOL_FILES_H

#include <stdbool.h>

struct app;
struct app_files;
struct app_pool;

/*
 * These are the app's files from now on; *files is empty afterwards. If the app is refused, the
 * kernel tells of their changes: POOL_FILES_EVENT in the pool's epoll.
 */
void pool_files_take(struct app_pool *p, struct app *a, struct app_files *files);

/* The number of the event in the pool's epoll; no worker's. */
#define POOL_FILES_EVENT UINT64_MAX

/* Take the event off the app's descriptor, if it has come for this app. */
void pool_files_take_event(struct app *a);

/*
 * If the app is loaded or refused, and a file has changed since that load began, begin the next
 * version: true.
 */
bool pool_files_look(struct app_pool *p, struct app *a);

#endif
