/* Rerun: a CGI script that runs again and again in one process. */
#ifndef EXTHOST_PYTHON_RERUN_H
#define EXTHOST_PYTHON_RERUN_H

struct binding_app;
struct binding_call;

/* struct binding: load, after the environment and sys.path are set. Returns 0 or -1. */
int python_rerun_load(struct binding_app *app);

/* struct binding: answer. Leaves no exception pending. */
int python_rerun_answer(struct binding_app *app, struct binding_call *call);

#endif
