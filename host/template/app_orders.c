/*
 * Each order comes with the descriptors of one request: the body as a file, and a pipe for the
 * reply. So no byte of one request can get into the reply of another, and a reply ends where its
 * pipe ends.
 *
 * Before each request the worker checks the files that the app is made of. If one has changed, the
 * request is not begun but sent back, and the front gives it to a worker that has loaded the new
 * files.
 */
#include "template/app_orders.h"

#include "base/fd.h"
#include "ipc/run_channel.h"
#include "worker/app_loaded.h"
#include "worker/app_reply.h"

#include <stdlib.h>

static bool follow_one(struct app_loaded *a);
static bool answer(struct app_loaded *a, struct run_order *order);

void app_orders_follow(struct app_loaded *a)
{
	while (follow_one(a))
		;
	app_leave(a);
}

/* Follow one order. false: no other will come. */
static bool follow_one(struct app_loaded *a)
{
	struct run_order order;
	char *memory = NULL;
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
		app_files_accept(&a->files, order.accept);
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
