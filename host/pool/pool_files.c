/*
 * A worker finds changes of its own files at each request. This is for what no worker looks at: a
 * version that did not load, and one whose next worker is about to be started.
 *
 * Notifications only make the pool look sooner: stat(2) shows what has changed, once a second in
 * any case, since file systems over a network send no notifications, and their number is limited.
 */
#include "pool/pool_files.h"

#include "base/fd.h"
#include "base/path.h"
#include "pool/pool_app.h"
#include "pool/pool_setup.h"
#include "pool/pool_sockets.h"

#include <limits.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <unistd.h>

/* No event while a file is being written: half of it would not load. */
#define CHANGES (IN_CLOSE_WRITE | IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF)

static void watch(struct app_pool *p, struct app *a)
{
	struct epoll_event event = {.events = EPOLLIN, .data.u64 = POOL_FILES_EVENT};
	char path[PATH_MAX];

	a->notify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	for (size_t i = 0; a->notify >= 0 && i < a->files.count; i++)
		if (path_join(
			path, sizeof(path), p->setup->root_path, app_files_path(&a->files, i)) == 0)
			inotify_add_watch(a->notify, path, CHANGES);
	if (a->notify >= 0)
		epoll_ctl(p->epoll, EPOLL_CTL_ADD, a->notify, &event);
}

void pool_files_take(struct app_pool *p, struct app *a, struct app_files *files)
{
	app_files_release(&a->files);
	a->files = *files;
	*files = (struct app_files){.folder = -1};
	fd_close(&a->notify);
	if (app_version_is_refused(&a->version))
		watch(p, a);
}

void pool_files_take_event(struct app *a)
{
	char events[4096];

	while (a->notify >= 0 && read(a->notify, events, sizeof(events)) > 0)
		;
}

bool pool_files_look(struct app_pool *p, struct app *a)
{
	if ((a->version.state != APP_VERSION_LOADED && a->version.state != APP_VERSION_REFUSED) ||
	    !app_files_changed(&a->files))
		return false;
	app_step(a, (struct app_version_event){.kind = APP_VERSION_CHANGED,
			.number = a->version.number,
			.settle = app_files_settle(&a->files)});
	fd_close(&a->notify);
	sockets_tell_stand_in(p, a);
	return true;
}
