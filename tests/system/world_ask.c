/* SPDX-License-Identifier: AGPL-3.0-or-later */
/* Asking the dashboard and the agent. */
#include <criterion/criterion.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/system/world.h"

#define ANSWER_BYTES_MAX (8 * 1024 * 1024)
#define LOG_END_BYTES    4000

struct answer {
	char *data;
	size_t size;
};

static size_t on_data(char *data, size_t one, size_t size, void *user)
{
	struct answer *answer = user;
	if (answer->size + one * size > ANSWER_BYTES_MAX)
		return 0;
	char *grown = realloc(answer->data, answer->size + one * size + 1);
	cr_assert(grown != NULL);
	memcpy(grown + answer->size, data, one * size);
	answer->data = grown;
	answer->size += one * size;
	return one * size;
}

long world_request(
	struct world *world, const char *method, const char *path, const char *body, json_t **json)
{
	char url[WORLD_TEXT_BYTES];
	struct answer answer = {0};
	long status = 0;
	CURL *handle = curl_easy_init();
	snprintf(url, sizeof(url), "http://127.0.0.1:%d%s", world->port, path);
	curl_easy_setopt(handle, CURLOPT_URL, url);
	curl_easy_setopt(handle, CURLOPT_CUSTOMREQUEST, method);
	curl_easy_setopt(handle, CURLOPT_NOPROXY, "*");
	curl_easy_setopt(handle, CURLOPT_TIMEOUT_MS, 10000L);
	curl_easy_setopt(handle, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(handle, CURLOPT_WRITEDATA, &answer);
	if (body)
		curl_easy_setopt(handle, CURLOPT_POSTFIELDS, body);
	if (curl_easy_perform(handle) == CURLE_OK)
		curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
	curl_easy_cleanup(handle);
	if (json)
		*json = json_loadb(
			answer.data ? answer.data : "", answer.size, JSON_DECODE_ANY, NULL);
	free(answer.data);
	return status;
}

json_t *world_seen(struct world *world)
{
	json_t *all = NULL, *host, *found = NULL;
	size_t at;
	if (world_request(world, "GET", "/api/hosts", NULL, &all) != 200)
		return NULL;
	json_t *list = json_is_array(all) ? all : json_object_get(all, "hosts");
	json_array_foreach(list, at, host)
	{
		const char *id = json_string_value(json_object_get(host, "id"));
		if (id && strcasecmp(id, world->host) == 0)
			found = json_incref(host);
	}
	json_decref(all);
	return found;
}

static long post(struct world *world, const char *what, const char *body)
{
	char path[WORLD_TEXT_BYTES];
	snprintf(path, sizeof(path), "/api/hosts/%s/%s", world->host, what);
	return world_request(world, "POST", path, body, NULL);
}

void world_command(struct world *world, const char *command)
{
	char body[WORLD_TEXT_BYTES];
	snprintf(body, sizeof(body), "{\"command\":\"%s\"}", command);
	long status = post(world, "command", body);
	cr_assert(status >= 200 && status < 300, "the dashboard answers %ld to a command", status);
}

void world_fault(struct world *world, const char *json)
{
	long status = world_request(world, "POST", "/api/faults", json, NULL);
	cr_assert(status >= 200 && status < 300, "the dashboard answers %ld to a fault", status);
}

json_t *world_requests(struct world *world)
{
	char path[WORLD_TEXT_BYTES], line[262144];
	json_t *list = json_array();
	snprintf(path, sizeof(path), "%s/requests", world->folder);
	FILE *file = fopen(path, "r");
	while (file && fgets(line, sizeof(line), file)) {
		json_t *entry = json_loads(line, 0, NULL);
		if (entry)
			json_array_append_new(list, entry);
	}
	if (file)
		fclose(file);
	return list;
}

uint32_t world_count(struct world *world, const char *kind)
{
	uint32_t count = 0;
	size_t at, size = strlen(kind);
	json_t *entry, *list = world_requests(world);
	json_array_foreach(list, at, entry)
	{
		const char *path = json_string_value(json_object_get(entry, "path"));
		size_t length = path ? strlen(path) : 0;
		count += length >= size && strcmp(path + length - size, kind) == 0 &&
			 strstr(path, world->host) != NULL;
	}
	json_decref(list);
	return count;
}

bool world_is_registered(struct world *world, void *unused)
{
	(void)unused;
	json_t *seen = world_seen(world);
	bool is = seen && json_is_true(json_object_get(seen, "online"));
	json_decref(seen);
	return is;
}

/* The newest row first or last: the one received last counts. */
static json_t *closed_rows(struct world *world)
{
	json_t *seen = world_seen(world), *rows = json_array(), *row;
	size_t at;
	json_array_foreach(json_object_get(seen, "log"), at, row)
	{
		const char *state = json_string_value(json_object_get(row, "state"));
		if (state && strcmp(state, "closed") == 0)
			json_array_append(rows, row);
	}
	json_decref(seen);
	return rows;
}

bool world_has_outcomes(struct world *world, void *count)
{
	json_t *rows = closed_rows(world);
	bool has = json_array_size(rows) >= (size_t) * (const int *)count;
	json_decref(rows);
	return has;
}

const char *world_outcome(struct world *world, const char *field, char text[WORLD_TEXT_BYTES])
{
	json_t *rows = closed_rows(world);
	json_t *row = json_array_get(rows, json_array_size(rows) - 1);
	const char *value = json_string_value(json_object_get(row, field));
	snprintf(text, WORLD_TEXT_BYTES, "%s", value ? value : "");
	json_decref(rows);
	return text;
}

static void expect(struct world *world, bool is_there, const char *what)
{
	char *log = world_log(world);
	size_t size = strlen(log);
	cr_assert(is_there, "no %s; the agent's log ends:\n%s", what,
		size > LOG_END_BYTES ? log + size - LOG_END_BYTES : log);
	free(log);
}

void world_agent_start_registered(struct world *world)
{
	world_agent_start(world);
	expect(world, world_until(world, 15000, world_is_registered, NULL), "registration");
}

void world_expect_outcomes(struct world *world, int count, uint64_t ms)
{
	expect(world, world_until(world, ms, world_has_outcomes, &count), "outcome");
}

void world_expect(struct world *world, const char *field, const char *needle)
{
	char text[WORLD_TEXT_BYTES];
	world_outcome(world, field, text);
	cr_assert(strstr(text, needle) != NULL, "%s is '%s' and lacks '%s'", field, text, needle);
}

bool world_has_file(struct world *world, void *path)
{
	char whole[WORLD_TEXT_BYTES];
	snprintf(whole, sizeof(whole), "%s/%s", world->folder, (const char *)path);
	return access(whole, F_OK) == 0;
}

int world_nfctl(struct world *world, const char *words, char **output)
{
	char command[WORLD_TEXT_BYTES * 2];
	struct answer answer = {0};
	char piece[4096];
	size_t got;
	snprintf(command, sizeof(command),
		"%s '%s/supervisor/nfctl/nfctl' --socket %s/run/control.sock %s 2>&1", world->mark,
		getenv("NIXFLEET_BUILD"), world->folder, words);
	FILE *pipe = popen(command, "r");
	cr_assert(pipe != NULL);
	while ((got = fread(piece, 1, sizeof(piece), pipe)) > 0)
		on_data(piece, 1, got, &answer);
	int status = pclose(pipe);
	if (answer.data)
		answer.data[answer.size] = '\0';
	if (output)
		*output = answer.data ? answer.data : strdup("");
	else
		free(answer.data);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

json_t *world_status(struct world *world)
{
	char *text;
	world_nfctl(world, "status --json", &text);
	json_t *json = json_loads(text, 0, NULL);
	free(text);
	return json;
}

bool world_runs_say(struct world *world, void *needle)
{
	char *runs;
	world_nfctl(world, "runs", &runs);
	bool has = strstr(runs, needle) != NULL;
	free(runs);
	return has;
}

bool world_status_is(struct world *world, void *data)
{
	char wanted[128];
	snprintf(wanted, sizeof(wanted), "%s", (const char *)data);
	char *value = strchr(wanted, '=');
	cr_assert(value != NULL);
	*value++ = '\0';
	json_t *status = world_status(world);
	const json_t *field = json_object_get(status, wanted);
	char text[WORLD_TEXT_BYTES] = "";
	if (json_is_string(field))
		snprintf(text, sizeof(text), "%s", json_string_value(field));
	else if (json_is_integer(field))
		snprintf(text, sizeof(text), "%lld", (long long)json_integer_value(field));
	json_decref(status);
	return strcmp(text, value) == 0;
}

pid_t world_worker(struct world *world)
{
	json_t *status = world_status(world);
	pid_t pid = (pid_t)json_integer_value(json_object_get(status, "worker_pid"));
	json_decref(status);
	return pid;
}

void world_begin(struct world *world, const char *dashboard_options)
{
	world_open(world, dashboard_options);
	world_stub(world, "nixos-rebuild", "#!/bin/sh\nexit 0\n");
	world_agent_start(world);
	cr_assert(world_until(world, 20000, world_status_is, "health=0"), "%s", world_log(world));
}

void world_expect_nfctl(struct world *world, const char *words, int code, const char *said)
{
	char *output;
	int got = world_nfctl(world, words, &output);
	cr_assert(got == code, "%s: %s", words, output);
	cr_assert(strstr(output, said) != NULL, "%s: %s", words, output);
	free(output);
}

int world_script(struct world *world, const char *text, char **output)
{
	char path[WORLD_TEXT_BYTES], whole[WORLD_TEXT_BYTES * 4], answer[65536] = "";
	snprintf(whole, sizeof(whole), "#!/bin/bash\nFOLDER=%s NFCTL=%s/supervisor/nfctl/nfctl\n%s",
		world->folder, getenv("NIXFLEET_BUILD"), text);
	world_file(world, "script", whole, 0755);
	snprintf(path, sizeof(path), "%s/script 2>&1", world->folder);
	FILE *pipe = popen(path, "r");
	cr_assert(pipe != NULL);
	size_t size = fread(answer, 1, sizeof(answer) - 1, pipe);
	answer[size] = '\0';
	int status = pclose(pipe);
	if (output)
		*output = strdup(answer);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

char *world_content(struct world *world, const char *path)
{
	char full[WORLD_TEXT_BYTES * 2];
	static char text[65536];
	snprintf(full, sizeof(full), "%s/%s", world->folder, path);
	FILE *file = fopen(full, "r");
	size_t size = file ? fread(text, 1, sizeof(text) - 1, file) : 0;
	text[size] = '\0';
	if (file)
		fclose(file);
	return text;
}

bool world_has_another_worker(struct world *world, void *former)
{
	pid_t now = world_worker(world);
	return now > 1 && now != *(pid_t *)former;
}
