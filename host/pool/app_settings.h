/* How an app is to be run. What a worker gets with its order to load holds for its life. */
#ifndef EXTHOST_APP_SETTINGS_H
#define EXTHOST_APP_SETTINGS_H

#include "config/config.h"

#include <stdbool.h>

struct exchange;

struct app_settings {
	int language; /* of an app with sockets of its own it is found when a worker starts */
	bool rerun, debug, validate, strict;
	struct limits limits;
	/* The languages' own settings alone; mode and reload are in rerun and strict. */
	struct extension_settings extension;
	struct config_list environment; /* variables of `env` */
};

/*
 * Take the settings that this request's configuration has for the app. *changed: workers that
 * loaded with the old ones must be replaced. 0, or -1: no memory.
 */
int app_settings_take(struct app_settings *to, const struct exchange *x, bool *changed);

/*
 * Take the settings of an app with sockets of its own, from [app SECTION]. 0, or -1: no memory.
 */
int app_settings_read(
    struct app_settings *to, const struct config *config, const char *script, const char *section);

/*
 * Take over the languages' own settings. 1: they differ from those before; 0: they do not; -1: no
 * memory.
 */
int app_settings_copy_extension(
    struct app_settings *to, const struct extension_settings *extension);

#endif
