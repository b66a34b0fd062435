/*
 * An app worker is a request process that was told to stay. Whether it is fed by the front, or serves
 * sockets of its own and is watched by a guardian, it loads its app, says so, and answers one
 * request after another.
 */
#include "template/app_worker.h"

#include "direct/direct_serve.h"
#include "direct/direct_setup.h"
#include "direct/guardian.h"
#include "ipc/run_channel.h"
#include "template/app_orders.h"
#include "worker/app_loaded.h"

void app_worker_main(
    const struct binding *binding, struct binding_run *run, const struct run_order *order)
{
	struct direct_setup setup;
	struct app_loaded app;

	if (order->app.serves && direct_setup_receive(&setup, run->channel->socket, order) < 0)
		binding_end(run, 1);
	if (order->app.serves)
		guardian_fork(binding, run, &setup);
	app_load(&app, binding, run, order);
	run_report_send(app.channel, RUN_LOADED, 0, "", -1);
	if (order->app.serves)
		direct_serve(&app, &setup);
	app_orders_follow(&app);
}
