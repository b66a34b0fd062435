/*
 * A program on libfcgi as its manual shows it ("TinyFastCGI"). Its socket is descriptor 0; each
 * process that is started on the same one takes its share.
 */
#include <fcgi_stdio.h>

int main(void)
{
	while (FCGI_Accept() >= 0)
		printf("Content-type: text/plain\r\n\r\nhello\n");
	return 0;
}
