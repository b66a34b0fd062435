/*
 * The header block of a script's reply (RFC 3875, 6), checked and put in order before a byte of it
 * leaves. Pure: bytes in, bytes out.
 */
#ifndef EXTHOST_CGI_HEADER_H
#define EXTHOST_CGI_HEADER_H

#include "base/buffer.h"

#include <stdbool.h>
#include <stdint.h>

struct error;

/* The reader of the block, which decides what it may hold. */
enum cgi_header_peer {
	REPLY_FOR_WEB_SERVER, /* it relies on status line, length and line ends */
	REPLY_FOR_FOSSIL      /* through the relay */
};

/* Bytes of a line, without its end. */
#define CGI_HEADER_LINE_MAX 8192
#define CGI_HEADER_LINE_MAX_FOSSIL 998 /* Fossil splits a line of 1000 bytes or more in two */

/*
 * Bytes of the whole block, as it comes and as it leaves. With the header of its FastCGI record it
 * fits into the 32 KiB that the manual gives nginx for it.
 */
#define CGI_HEADER_BLOCK_MAX 32760
#define CGI_HEADER_BLOCK_MAX_FOSSIL 65536

struct cgi_header {
	/*
	 * Status first, Location last, the empty line at the end. Lines end with CR LF for a web
	 * server, and with LF for Fossil, which counts a CR in its 1000 bytes.
	 */
	struct buffer text;
	int status;          /* 200 when the script named none; 302 for a Location alone */
	int64_t length;      /* Content-Length, or -1 */
	bool streams;        /* the script asks for the reply not to be held back */
	const char *dropped; /* name of a line that was left out, a static string; or NULL */
};

/* The most that a block may have. */
size_t cgi_header_most(enum cgi_header_peer peer);

/* Where the block ends, behind its empty line; 0 while that is not there. LF or CR LF. */
size_t cgi_header_end(const char *data, size_t size);

/*
 * Read a whole block of this size. Each line must be "Name: value" with a name of token characters
 * (RFC 9110, 5.6.2) and no control characters but tab in the value; there must be at least one, and
 * lines and block must not be too long. Besides:
 * - A web server is always sent a Status (Apache's mod_proxy_fcgi, Caddy and h2o pass on 200 for a
 *   Location alone), and a status without a reason gets its standard one. An interim status (1xx)
 *   is no reply (RFC 9110, 15.2), nor are two.
 * - Content-Length may come twice if it is the same (RFC 9110, 8.6), and is then sent once. 204 has
 *   none.
 * - Transfer-Encoding is refused, since the body may be framed by it. Other fields of the
 *   connection to the client, which a script must not send (RFC 3875, 6.3.4), are left out.
 * - Location goes last, since Fossil stops reading headers there.
 * 0, or -1 with what is wrong in *e.
 */
int cgi_header_read(struct cgi_header *h, enum cgi_header_peer peer, const char *data, size_t size,
    struct error *e);

void cgi_header_release(struct cgi_header *h);

/*
 * The words of a status: "Not Found" (RFC 9110, 15). An unknown status has the words of the first
 * status of its class, as clients treat it like that one. Never NULL.
 */
const char *cgi_header_reason(int status);

#endif
