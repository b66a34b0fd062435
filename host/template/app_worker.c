/*
 * An app worker is a request process whose order is to load an app. It loads the app, reports that,
 * and answers one request after another. A plain app worker gets its requests from the front; a
 * direct worker serves sockets of its own, watched by its guardian.
 *
 * To a plain app worker each order brings the descriptors of one request: the body as a file, and a
 * pipe for the reply. So no byte of one request can get into the reply of another, and a reply ends
 * where its pipe ends. Before each request the worker checks the files that the app is made of. If
 * one has changed, the request is not begun but sent back, and the front gives it to a worker that
 * has loaded the new files.
 */
#include "template/app_worker.h"

#include "base/error.h"
#include "base/fd.h"
#include "binding.h"
#include "direct/direct_serve.h"
#include "direct/direct_setup.h"
#include "direct/guardian.h"
#include "ipc/load_order.h"
#include "ipc/run_channel.h"
#include "worker/app_loaded.h"
#include "worker/app_reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void follow_orders(struct app_loaded *a);
static bool follow_one(struct app_loaded *a);
static bool answer(struct app_loaded *a, struct run_order *order);

void app_worker_main(
    const struct binding *binding, struct binding_run *run, const struct run_order *order)
{
	struct direct_setup setup;
	struct load_order load;
	struct app_loaded app;
	struct error e;

	if (load_order_unpack(&load, order->environment, &e) < 0) {
		dprintf(STDERR_FILENO, "exthost: %s\n", e.message);
		binding_end(run, 1);
	}
	if (load.serves &&
	    direct_setup_receive(&setup, run->channel->socket, run->script, &load) < 0)
		binding_end(run, 1);
	if (load.serves)
		guardian_fork(binding, run, &setup);
	app_load(&app, binding, run, &load);
	run_report_send(app.channel, RUN_LOADED, 0, "", -1);
	if (load.serves)
		direct_serve(&app, &setup);
	follow_orders(&app);
	app_leave(&app);
}

/* Answer one request after another until the channel is closed or the worker retires. */
static void follow_orders(struct app_loaded *a)
{
	while (follow_one(a))
		;
}

/* Follow one order. false: no other will come. */
static bool follow_one(struct app_loaded *a)
{
	struct run_order order;
	void *memory = NULL;
	bool goes_on = true;

	/* After a signal the binding checks whether the app has a handler for it. */
	while (!app_wait(a, a->channel) && !run_order_wait(a->channel))
		;
	if (run_order_receive(a->channel, &order, &memory) != 1)
		return false;
	if (a->app.rerun) {
		order.body = fd_move_high(order.body);
		order.output = fd_move_high(order.output);
	}
	if (order.accept != 0)
		app_accept(a, order.accept);
	if (app_files_changed(&a->files))
		run_report_send(a->channel, RUN_STALE, app_files_settle(&a->files), "", -1);
	else
		goes_on = answer(a, &order);
	fd_close(&order.body);
	fd_close(&order.output);
	free(memory);
	return goes_on;
}

static bool answer(struct app_loaded *a, struct run_order *order)
{
	struct binding_reply reply = {.pipe = order->output, .memory = -1};
	struct binding_call call = {.environment = order->environment,
	    .body = order->body,
	    .body_size = order->body_size,
	    .reply = &reply};
	struct rusage usage;
	int outcome = app_answer(a, &call);

	/* Closed before the report, so that the front finds the end of the reply in the pipe. */
	fd_close(&order->output);
	app_take_usage(a, &usage);
	run_report_end(a->channel, RUN_ANSWERED, outcome, &usage);
	return (outcome & BINDING_RETIRE) == 0;
}
