/* The language's own settings, which its binding declares to the host. */
#ifndef EXTHOST_PYTHON_SETTINGS_H
#define EXTHOST_PYTHON_SETTINGS_H

/* In the order of their values in struct binding_run. */
enum { PYTHON_SETTING_VENV, PYTHON_SETTING_PATH };

#endif
