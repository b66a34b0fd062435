/*
 * An app worker is a request process whose order is to load an app. It loads the app, reports that,
 * and answers one request after another. A plain app worker gets its requests from the front; a
 * direct worker serves sockets of its own, watched by its guardian.
 */
#include "template/app_worker.h"

#include "base/error.h"
#include "binding.h"
#include "direct/direct_serve.h"
#include "direct/direct_setup.h"
#include "direct/guardian.h"
#include "ipc/load_order.h"
#include "ipc/run_channel.h"
#include "template/app_orders.h"
#include "worker/app_loaded.h"

#include <stdio.h>
#include <unistd.h>

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
	app_orders_follow(&app);
}
