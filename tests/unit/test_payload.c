/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "worker/payload.h"

static struct host host = {.protocol = PROTOCOL_HTTP, .interval_ms = 30000};
static struct facts facts;
static struct agent_action_heartbeat heartbeat;

static void make(void)
{
	static char empty[] = "";
	static char name[] = "toy";
	static char type[] = "nixos";
#define X(field) host.field = empty;
	HOST_TEXTS(X)
#undef X
	host.host = name;
	host.host_type = type;
	host.interval_ms = 30000;
	facts = (struct facts){0};
	heartbeat = (struct agent_action_heartbeat){.commit = TEXT_NONE, .system = TEXT_NONE};
}

TestSuite(payload, .init = make);

static json_t *beat(void)
{
	struct payload payload = {.warned = UINT32_MAX};
	struct bytes body;
	bytes_init(&body, 65536);
	cr_assert(eq(int, payload_heartbeat(&payload, &host, &facts, &heartbeat, &body), 0));
	json_t *root = json_loadb((char *)body.data, body.size, 0, NULL);
	cr_assert(ne(ptr, root, NULL));
	bytes_finish(&body);
	return root;
}

static char *text(json_t *root, const char *name)
{
	const char *value = json_string_value(json_object_get(root, name));
	return (char *)(uintptr_t)(value ? value : "(absent)");
}

Test(payload, what_is_unknown_is_absent)
{
	json_t *root = beat();
	cr_assert(eq(str, text(root, "hostname"), "toy"));
	cr_assert(eq(str, text(root, "host_type"), "nixos"));
	cr_assert(eq(str, text(root, "agent_version"), NIXFLEET_VERSION));
	cr_assert(eq(int, (int)json_integer_value(json_object_get(root, "poll_interval")), 30));
	cr_assert(eq(sz, json_object_size(root), 4));
}

Test(payload, fields_are_made_legal)
{
	static const struct {
		const char *name;
		char **field;
		const char *value;
		const char *legal;
	} rows[] = {
		{"hostname", &host.host, "Toy-1", "Toy-1"},
		{"hostname", &host.host, "my_host.example.org", "my-host"},
		{"hostname", &host.host, "7up", "h7up"},
		{"hostname", &host.host, "-x", "x"},
		{"host_type", &host.host_type, "macos", "macos"},
		{"host_type", &host.host_type, "debian", "nixos"},
		{"device_type", &host.device_type, "laptop", "laptop"},
		{"device_type", &host.device_type, "vm", "server"},
		{"device_type", &host.device_type, "", "(absent)"},
		{"theme_color", &host.theme_color, "#7aA2f7", "#7aA2f7"},
		{"theme_color", &host.theme_color, "#7aa2f", "#769ff0"},
		{"theme_color", &host.theme_color, "red", "#769ff0"},
		{"location", &host.location,
			"K\xc3\xbc"
			"che",
			"K\xc3\xbc"
			"che"},
		{"config_repo", &host.repo_url, "https://me:secret@example.org/x.git",
			"https://example.org/x.git"},
		{"config_repo", &host.repo_url, "git@example.org:x.git", "git@example.org:x.git"},
		{"config_repo", &host.repo_url, "https://example.org/a@b",
			"https://example.org/a@b"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		make();
		*rows[i].field = (char *)(uintptr_t)rows[i].value;
		json_t *root = beat();
		cr_assert(eq(str, text(root, rows[i].name), (char *)(uintptr_t)rows[i].legal));
		json_decref(root);
	}
}

Test(payload, long_texts_are_cut_at_their_limit)
{
	char longer[300];
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	host.location = longer;
	host.repo_dir = longer;
	host.host = longer;
	json_t *root = beat();
	cr_assert(eq(sz, strlen(text(root, "location")), 50));
	cr_assert(eq(sz, strlen(text(root, "config_repo")), 200));
	cr_assert(eq(sz, strlen(text(root, "hostname")), 63));
}

Test(payload, the_interval_is_rounded_up)
{
	static const struct {
		uint64_t ms;
		int seconds;
	} rows[] = {{100, 1}, {1000, 1}, {1001, 2}, {30000, 30}, {3600000, 3600}};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		host.interval_ms = rows[i].ms;
		json_t *root = beat();
		cr_assert(eq(int, (int)json_integer_value(json_object_get(root, "poll_interval")),
			rows[i].seconds));
	}
}

Test(payload, metrics_are_numbers_or_nothing)
{
	facts.metrics = (struct facts_metrics){.is_known = true, .cpu = 12.34, .ram = 50};
	json_t *metrics = json_object_get(beat(), "metrics");
	cr_assert(eq(int, json_is_number(json_object_get(metrics, "cpu")) != 0, 1));
	cr_assert(eq(int, json_is_number(json_object_get(metrics, "ram")) != 0, 1));
	cr_assert(eq(ptr, json_object_get(metrics, "swap"), NULL));
	cr_assert(eq(ptr, json_object_get(metrics, "load"), NULL));
}

Test(payload, commits_are_whole_or_absent)
{
	heartbeat.commit = text_of("71789be985f56d4cb26b34c576e2b5ff3fa36160");
	cr_assert(eq(str, text(beat(), "current_generation"),
		"71789be985f56d4cb26b34c576e2b5ff3fa36160"));
	heartbeat.commit = text_of("71789 be");
	cr_assert(eq(str, text(beat(), "current_generation"), "(absent)"));
}

Test(payload, the_host_is_lower_case_in_the_path)
{
	char id[HOST_BYTES_MAX + 1];
	payload_host_id("My-Host", id);
	cr_assert(eq(str, id, "my-host"));
}

static json_t *report(const struct agent_action_status *status, struct text output)
{
	struct bytes body;
	bytes_init(&body, 131072);
	cr_assert(eq(int, payload_status(status, output, &body), 0));
	json_t *root = json_loadb((char *)body.data, body.size, 0, NULL);
	cr_assert(ne(ptr, root, NULL));
	bytes_finish(&body);
	return root;
}

static struct agent_action_status ended(const char *command, uint64_t outcome, int64_t code)
{
	return (struct agent_action_status){.command = text_of(command),
		.outcome = outcome,
		.code = code,
		.run = TEXT_NONE,
		.reason = TEXT_NONE,
		.summary = TEXT_NONE,
		.commit = TEXT_NONE};
}

Test(payload, reports_always_say_something)
{
	static const struct {
		const char *command;
		uint64_t outcome;
		int64_t code;
		const char *reason;
		const char *summary;
		const char *status;
		const char *comment;
		const char *test_status;
	} rows[] = {
		{"switch", OUTCOME_EXITED, 0, "", "", "ok", "switch: done", "(absent)"},
		{"switch", OUTCOME_EXITED, 4, "", "", "error", "switch: exited 4", "(absent)"},
		{"pull", OUTCOME_TIMED_OUT, 0, "", "", "error", "pull: timed out", "(absent)"},
		{"pull", OUTCOME_EXITED, 1, "no space\nleft", "x", "error", "pull: no space left",
			"(absent)"},
		{"test", OUTCOME_EXITED, 0, "", "8/8 pass", "ok", "test: 8/8 pass", "8/8 pass"},
		{"test", OUTCOME_LOST, 0, "", "", "error", "test: lost", "lost"},
		{"bogus", OUTCOME_REFUSED, 0, "Unknown command: bogus", "", "error",
			"bogus: Unknown command: bogus", "(absent)"},
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct agent_action_status status = ended(
			rows[i].command, rows[i].outcome, rows[i].code);
		status.reason = text_of(rows[i].reason);
		status.summary = text_of(rows[i].summary);
		json_t *root = report(&status, TEXT_NONE);
		cr_assert(eq(str, text(root, "status"), (char *)(uintptr_t)rows[i].status));
		cr_assert(eq(str, text(root, "comment"), (char *)(uintptr_t)rows[i].comment));
		cr_assert(
			eq(str, text(root, "test_status"), (char *)(uintptr_t)rows[i].test_status));
		cr_assert(eq(str, text(root, "output"), ""));
		json_decref(root);
	}
}

Test(payload, reports_stay_within_the_limits)
{
	char longer[REASON_BYTES_MAX + 1];
	char *output = malloc(20000);
	memset(longer, 'r', REASON_BYTES_MAX);
	longer[REASON_BYTES_MAX] = '\0';
	memset(output, 'o', 20000);
	output[19999] = 'e';
	struct agent_action_status status = ended("test", OUTCOME_EXITED, 1);
	status.reason = text_of(longer);
	status.summary = (struct text){longer, SHORT_TEXT_BYTES_MAX};
	json_t *root = report(&status, (struct text){output, 20000});
	cr_assert(eq(sz, strlen(text(root, "comment")), COMMENT_CHARS_MAX));
	cr_assert(eq(sz, strlen(text(root, "test_status")), TEST_STATUS_CHARS_MAX));
	cr_assert(eq(sz, strlen(text(root, "output")), OUTPUT_CHARS_MAX));
	cr_assert(eq(chr, text(root, "output")[OUTPUT_CHARS_MAX - 1], 'e'));
	free(output);
}

Test(payload, minimal_reports_hold_nothing_to_object_to)
{
	struct agent_action_status status = ended("switch", OUTCOME_EXITED, 0);
	status.minimal = true;
	status.reason = text_of("\xe2\x80\x98x\xe2\x80\x99");
	json_t *root = report(&status, text_of("output"));
	cr_assert(eq(sz, json_object_size(root), 2));
	cr_assert(eq(str, text(root, "comment"), "switch: 'x'"));
}

Test(payload, progress_is_counted)
{
	struct bytes body;
	struct agent_action_progress progress = {.running = true, .summary = TEXT_NONE};
	struct payload_counts counts = {3, 8, 2, "T03-network.sh"};
	bytes_init(&body, 4096);
	cr_assert(eq(int, payload_progress(&progress, &counts, &body), 0));
	bytes_append(&body, "", 1);
	cr_assert(eq(str, (char *)body.data,
		"{\"current\":3,\"total\":8,\"passed\":2,\"running\":true,\"result\":\"\","
		"\"comment\":\"T03-network.sh\"}"));
}
