/* A failure, as the client sees it. */
#ifndef EXTHOST_ERROR_PAGE_H
#define EXTHOST_ERROR_PAGE_H

#include <stddef.h>

struct request;

/*
 * Answer with a page of the host's own, with the request's id: to Fossil the short piece of HTML
 * that it puts into its skin, to a web server the same in an HTML document. `detail`, size bytes of
 * text (a traceback), is shown in full; NULL: none.
 */
void error_page_send(struct request *request, int status, const char *detail, size_t size);

#endif
