/* Names that are not known are left out of the answer, as the specification says. */
#include "net/wire_values.h"

#include "net/wire.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

size_t wire_values_answer(const struct wire_values *values, const unsigned char *content,
    size_t size, unsigned char answer[WIRE_VALUES_MAX])
{
	const struct {
		const char *name;
		unsigned value;
	} known[] = {{"FCGI_MAX_CONNS", values->max_conns}, {"FCGI_MAX_REQS", values->max_reqs},
	    {"FCGI_MPXS_CONNS", values->mpxs_conns}};
	bool told[sizeof(known) / sizeof(known[0])] = {false};
	struct wire_param param;
	size_t at = WIRE_HEADER;
	char digits[16];
	int result;

	while ((result = wire_param_next(&content, &size, &param)) == 1) {
		for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
			if (told[i] || param.name_size != strlen(known[i].name) ||
			    memcmp(param.name, known[i].name, param.name_size) != 0)
				continue;
			told[i] = true;
			param.value = (const unsigned char *)digits;
			param.value_size =
			    (size_t)snprintf(digits, sizeof(digits), "%u", known[i].value);
			at += wire_param_write(answer + at, WIRE_VALUES_MAX - at, &param);
		}
	}
	if (result != 0)
		return 0;
	wire_record_write(answer, WIRE_GET_VALUES_RESULT, 0, at - WIRE_HEADER);
	memset(answer + at, 0, wire_padding(at));
	return at + wire_padding(at);
}
