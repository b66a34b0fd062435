/* The language's own settings, which its binding declares to the host. */
#ifndef EXTHOST_TCL_SETTINGS_H
#define EXTHOST_TCL_SETTINGS_H

/* In the order of their values in struct binding_run. */
enum { TCL_SETTING_PATH };

#endif
