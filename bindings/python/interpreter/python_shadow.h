/* A script's own modules that have the name of a module of the template. */
#ifndef EXTHOST_PYTHON_SHADOW_H
#define EXTHOST_PYTHON_SHADOW_H

/*
 * Let the files in this directory win over modules of the same name that the template has loaded,
 * as under python3. A directory that cannot be read is no error. Returns 0 or -1.
 */
int python_shadow_take(const char *directory);

#endif
