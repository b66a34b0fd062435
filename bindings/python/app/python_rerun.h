/* A CGI script that is run again and again in one process. -1 and NULL leave an exception pending. */
#ifndef EXTHOST_PYTHON_RERUN_H
#define EXTHOST_PYTHON_RERUN_H

#include "interpreter/python_internal.h"

struct binding_app;
struct binding_call;

/* python_rerun.c */

/* struct binding: load, once environment and sys.path are set; the script is compiled. 0 or -1. */
int python_rerun_load(struct binding_app *app);

/* struct binding: answer. */
int python_rerun_answer(struct binding_app *app, struct binding_call *call);

/* python_rerun_process.c: what the kernel and the C library know of the process. */

/* Remember how it is now. 0 or -1. */
int rerun_process_keep(void);

/* Whether descriptors are open that were not when rerun_process_lend was called. */
bool rerun_process_has_files(void);

/* Put the process back. false: it is not what it was, and cannot be made so. */
bool rerun_process_restore(void);

/* Let 0 be the body (-1: empty) and 1 the reply. 0, or -1 with errno. */
int rerun_process_lend(int body, int reply);

/* Let 1 be nothing. 0, or -1 with errno. */
int rerun_process_silence(void);

/* Put 0, 1 and 2 back. 0, or -1 with errno. */
int rerun_process_return(void);

/* python_rerun_writers.c: what is buffered. */

/* Remember what there is, and hear of new files from here on. 0 or -1. */
int rerun_writers_keep(void);

/* Since then a run has changed what nobody can put back: a limit of the process, a hook for audit events. */
bool rerun_writers_heard_of_change(void);

/* After a run, before anything is put aside: find the files for writing that it has left. */
void rerun_writers_look(void);

/* Write out what is buffered anywhere. false: not all of it could be, and is buffered still. */
bool rerun_writers_flush(void);

/* python_rerun_system.c: what the interpreter knows, besides the modules that are loaded. */

/* Remember how it is now. 0 or -1. */
int rerun_system_keep(void);

/* Before a run: sys.path and the standard files as python3 has them at its start. 0 or -1. */
int rerun_system_begin(void);

/* After a run: sys, builtins and settings are what they were. Leaves no exception pending. */
void rerun_system_restore(bool had_body);

#endif
