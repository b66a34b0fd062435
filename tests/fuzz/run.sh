#!/usr/bin/env bash
# Fuzz with libFuzzer: run.sh SECONDS [NAME]
#
# Builds all harnesses under build/fuzz and runs each, or the one named, for so many seconds on a
# copy of its corpus. What is found stays in build/fuzz/NAME: inputs that reach new code in corpus/,
# those that fail beside it, with the log. One line a harness; exits 1 when something failed.
set -eu
cd "$(dirname "$0")/../.."

seconds=$1
only=${2:-}

if ! echo 'int LLVMFuzzerTestOneInput(const char *b, long n) { return b && n < 0; }' |
	clang -fsanitize=fuzzer,address -x c - -o /dev/null 2>/dev/null; then
	echo "fuzzing needs clang with libFuzzer: apt-get install clang libclang-rt-14-dev" >&2
	exit 1
fi
if [ -n "$only" ] && [ ! -f "tests/fuzz/fuzz_$only.c" ]; then
	echo "there is no tests/fuzz/fuzz_$only.c" >&2
	exit 1
fi
test -f build/fuzz/build.ninja || cmake --preset fuzz >/dev/null
if ! cmake --build --preset fuzz >build/fuzz/build.log; then
	cat build/fuzz/build.log
	exit 1
fi

failed=0
for source in tests/fuzz/fuzz_*.c; do
	name=$(basename "$source" .c)
	name=${name#fuzz_}
	[ -z "$only" ] || [ "$name" = "$only" ] || continue
	place=build/fuzz/$name
	mkdir -p "$place/corpus"
	cp tests/fuzz/corpus/"$name"/* "$place/corpus/"
	arguments=(-max_total_time="$seconds" -max_len=8192 -timeout=10 -print_final_stats=1
		-artifact_prefix="$place/")
	[ ! -f "tests/fuzz/$name.dict" ] || arguments+=(-dict="tests/fuzz/$name.dict")
	status=0
	began=$SECONDS
	touch "$place/.began"
	build/fuzz/tests/fuzz/fuzz-"$name" "${arguments[@]}" "$place/corpus" \
		>"$place/log" 2>&1 </dev/null || status=$?
	runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$place/log")
	findings=$(find "$place" -maxdepth 1 -name '*-*' -newer "$place/.began" -type f | wc -l)
	[ "$status" -eq 0 ] || failed=1
	printf '%-14s %9s runs %5d s  %d findings%s\n' "$name" "${runs:-?}" $((SECONDS - began)) \
		"$findings" "$([ "$status" -eq 0 ] || echo ", see $place/log")"
done
exit $failed
