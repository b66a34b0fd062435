/* The measure of all: a static CGI program that does what the samples do, and nothing else. */
#include <stdio.h>

int main(void)
{
	fputs("Content-Type: text/plain\n\nhello\n", stdout);
	return 0;
}
