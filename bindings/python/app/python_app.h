/* An app in its app worker: struct binding's load, answer, wait and unload. */
#ifndef EXTHOST_PYTHON_APP_H
#define EXTHOST_PYTHON_APP_H

#include <stdbool.h>

struct binding_app;
struct binding_call;

int python_app_load(struct binding_app *app);
int python_app_answer(struct binding_app *app, struct binding_call *call);
bool python_app_wait(struct binding_app *app, int descriptor);
void python_app_unload(struct binding_app *app);

#endif
