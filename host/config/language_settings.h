/* Checks of the languages' own settings, which their bindings declare. */
#ifndef EXTHOST_LANGUAGE_SETTINGS_H
#define EXTHOST_LANGUAGE_SETTINGS_H

struct binding;
struct error;
struct extension_settings;

/*
 * Check the value of the setting of this name: each directory in it exists and can be read, and the
 * language's own check of it, if there is one, has no objection. "" is good, and so is a name that
 * is no setting. 0, or -1 with *e.
 */
int language_setting_check(
    const struct binding *const *bindings, const char *name, const char *value, struct error *e);

/* The same for all values of an extension, whose languages are extension->bindings. */
int language_settings_check(const struct extension_settings *extension, struct error *e);

#endif
