/*
 * The present configuration, shared by threads. A thread that works with it holds it, and keeps the
 * same one until it releases it, however often the configuration is replaced in between.
 */
#ifndef EXTHOST_CONFIG_SHARE_H
#define EXTHOST_CONFIG_SHARE_H

struct config;
struct config_held;
struct config_share;

/* NULL: no memory. The first configuration stays the caller's. */
struct config_share *config_share_create(const struct config *first);

/* Hold the present configuration, *config, until config_let_go(). */
struct config_held *config_hold(struct config_share *s, const struct config **config);
void config_let_go(struct config_share *s, struct config_held *held);

/*
 * From now on it is this one, whose contents are taken over. 0, or -1: no memory, nothing is
 * changed and *next stays the caller's.
 */
int config_share_replace(struct config_share *s, struct config *next);

#endif
