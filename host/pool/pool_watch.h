/* The thread that watches all app workers that have no request of the front's. */
#ifndef EXTHOST_POOL_WATCH_H
#define EXTHOST_POOL_WATCH_H

struct app_pool;

/* Start the thread unless it runs. With the pool's lock held. 0, or -1 with errno. */
int pool_watch_start(struct app_pool *p);

#endif
