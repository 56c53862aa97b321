/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include <assert.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "supervisor/config.h"

/* Pairs of variable and value, ends with NULL. */
static const char *lookup(const char *variable, void *data)
{
	for (const char *const *pair = data; *pair; pair += 2) {
		if (strcmp(pair[0], variable) == 0)
			return pair[1];
	}
	return NULL;
}

static int load(struct config *config, const char *path, char *error, void *pairs)
{
	struct config_from from = {.path = path, .lookup = lookup, .data = pairs};
	return config_load(config, &from, error);
}

#define LOAD(config, error, ...)             \
	load(&(config), empty_file(), error, \
		(const char *[]){"NIXFLEET_HOSTNAME", "h1", __VA_ARGS__, NULL})

/* The machine's own file must not be read. */
static const char *empty_file(void)
{
	return "/dev/null";
}

static const struct {
	const char *variable, *value;
	const char *must_name; /* in the error */
} bad[] = {
	{"NIXFLEET_URL", "ftp://x", "NIXFLEET_URL"},
	{"NIXFLEET_URL", "https://", "NIXFLEET_URL"},
	{"NIXFLEET_URL", "https://user:secret@x", "NIXFLEET_URL"},
	{"NIXFLEET_URL", "https://x/ y", "NIXFLEET_URL"},
	{"NIXFLEET_INTERVAL", "0", "0.1 to 3600"},
	{"NIXFLEET_INTERVAL", "3601", "0.1 to 3600"},
	{"NIXFLEET_INTERVAL", "5s", "0.1 to 3600"},
	{"NIXFLEET_INTERVAL", "nan", "0.1 to 3600"},
	{"NIXFLEET_INTERVAL", "9e999", "0.1 to 3600"},
	{"NIXFLEET_INTERVAL", "9999999999999999", "0.1 to 3600"},
	{"NIXFLEET_INTERVAL", "18446744073709551617", "0.1 to 3600"},
	{"NIXFLEET_RECONNECT_SPREAD", "9999999999999999", "0 to 3600"},
	{"NIXFLEET_REPO_DIR", "relative", "an absolute path"},
	{"NIXFLEET_BRANCH", "--upload-pack=x", "branch"},
	{"NIXFLEET_BRANCH", "a..b", "branch"},
	{"NIXFLEET_REPO_URL", "--x", "NIXFLEET_REPO_URL"},
	{"NIXFLEET_HOST_TYPE", "debian", "nixos or macos"},
	{"NIXFLEET_LOG_LEVEL", "loud", "debug, info, warn or error"},
	{"NIXFLEET_PINNED_PUBKEY", "md5//x", "sha256//"},
};

Test(config, each_bad_value_is_named_with_what_is_legal)
{
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct config config;
		char error[CONFIG_ERROR_BYTES] = "";
		cr_expect(eq(int, LOAD(config, error, bad[i].variable, bad[i].value), -1), "%s=%s",
			bad[i].variable, bad[i].value);
		cr_expect(strstr(error, bad[i].variable) && strstr(error, bad[i].must_name), "%s",
			error);
	}
}

Test(config, a_bad_host_name_is_named)
{
	struct config config;
	char error[CONFIG_ERROR_BYTES];
	static const char *const names[] = {"1a", "a.b", "a_b", "-a",
		"a123456789012345678901234567890123456789012345678901234567890123"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *pairs[] = {"NIXFLEET_HOSTNAME", names[i], NULL};
		cr_expect(eq(int, load(&config, empty_file(), error, pairs), -1));
		cr_expect(strstr(error, "NIXFLEET_HOSTNAME") != NULL);
	}
}

Test(config, nothing_set_is_a_standalone_host)
{
	struct config config;
	char error[CONFIG_ERROR_BYTES];
	cr_assert(eq(int, LOAD(config, error, "NIXFLEET_NIXCFG", ""), 0), "%s", error);
	cr_assert(eq(int, (int)config.protocol, PROTOCOL_NONE));
	cr_assert(eq(u64, config.interval_ms, 30000));
	cr_assert(eq(str, config.branch, "main"));
	config_finish(&config);
}

Test(config, plain_http_needs_permission)
{
	struct config config;
	char error[CONFIG_ERROR_BYTES];
	cr_assert(eq(
		int, LOAD(config, error, "NIXFLEET_URL", "http://x", "NIXFLEET_TOKEN", "t"), -1));
	cr_assert(strstr(error, "NIXFLEET_ALLOW_INSECURE_HTTP") != NULL);
	cr_assert(eq(int,
		LOAD(config, error, "NIXFLEET_URL", "ws://x/ws", "NIXFLEET_TOKEN", "t",
			"NIXFLEET_ALLOW_INSECURE_HTTP", "yes"),
		0));
	cr_assert(eq(int, (int)config.protocol, PROTOCOL_WEBSOCKET));
	cr_assert(eq(u64, config.interval_ms, 5000));
	config_finish(&config);
}

Test(config, a_url_needs_a_token_and_never_shows_it)
{
	struct config config;
	char error[CONFIG_ERROR_BYTES];
	cr_assert(eq(int, LOAD(config, error, "NIXFLEET_URL", "https://x"), -1));
	cr_assert(strstr(error, "NIXFLEET_TOKEN") != NULL);
	cr_assert(eq(int,
		LOAD(config, error, "NIXFLEET_URL", "https://x", "NIXFLEET_TOKEN", "geheim geheim"),
		-1));
	cr_assert(strstr(error, "geheim") == NULL);
}

/* Everybody on the host may read why a configuration is not used. */
Test(config, an_account_in_a_url_is_not_shown)
{
	struct config config;
	char error[CONFIG_ERROR_BYTES];
	cr_assert(eq(int, LOAD(config, error, "NIXFLEET_URL", "https://me:geheim@x"), -1));
	cr_assert(strstr(error, "NIXFLEET_URL is '…'") != NULL, "%s", error);
	cr_assert(eq(int, LOAD(config, error, "NIXFLEET_REPO_URL", "-https://me:geheim@x/r"), -1));
	cr_assert(strstr(error, "geheim") == NULL, "%s", error);
}

Test(config, a_token_file_holds_it_bare_or_as_a_variable)
{
	static const char *const contents[] = {
		"abc", "abc\r\n", "\nNIXFLEET_TOKEN=abc\n", "NIXFLEET_TOKEN=\"abc\"\n"};
	for (size_t i = 0; i < sizeof(contents) / sizeof(contents[0]); i++) {
		struct config config;
		char error[CONFIG_ERROR_BYTES] = "";
		char path[] = "/tmp/nixfleet-token-XXXXXX";
		int fd = mkstemp(path);
		cr_assert(eq(i64, write(fd, contents[i], strlen(contents[i])),
			(ssize_t)strlen(contents[i])));
		close(fd);
		int done = LOAD(
			config, error, "NIXFLEET_URL", "https://x", "NIXFLEET_TOKEN_FILE", path);
		unlink(path);
		cr_assert(eq(int, done, 0), "%s", error);
		cr_assert(eq(str, config.token, "abc"));
		config_finish(&config);
	}
}

/* A folder with a file that may not be read: by root neither, which is nobody for the while. */
static void make_unreadable(char *folder, mode_t folder_mode, const char *name)
{
	char file[64];
	cr_assert(mkdtemp(folder) != NULL);
	snprintf(file, sizeof(file), "%s/%s", folder, name);
	int fd = open(file, O_WRONLY | O_CREAT | O_EXCL, 0);
	cr_assert(ge(int, fd, 0));
	close(fd);
	chmod(folder, folder_mode);
	if (geteuid() == 0)
		cr_assert(eq(int, seteuid(65534), 0));
}

static void remove_unreadable(const char *folder, const char *name)
{
	char file[64];
	snprintf(file, sizeof(file), "%s/%s", folder, name);
	cr_assert(eq(int, seteuid(getuid()), 0));
	chmod(folder, 0700);
	unlink(file);
	rmdir(folder);
}

Test(config, a_file_that_may_not_be_read_is_not_absent)
{
	struct config config;
	char error[CONFIG_ERROR_BYTES] = "", file[64];
	char folder[] = "/tmp/nixfleet-conf-XXXXXX";
	const char *pairs[] = {"NIXFLEET_HOSTNAME", "h1", NULL};
	make_unreadable(folder, 0755, "agent.conf");
	snprintf(file, sizeof(file), "%s/agent.conf", folder);
	int done = load(&config, file, error, pairs);
	remove_unreadable(folder, "agent.conf");
	cr_assert(eq(int, done, -1));
	cr_assert(
		strstr(error, "agent.conf cannot be read: Permission denied") != NULL, "%s", error);
}

Test(config, a_credential_that_may_not_be_looked_for_is_not_absent)
{
	struct config config;
	char error[CONFIG_ERROR_BYTES] = "";
	char folder[] = "/tmp/nixfleet-conf-XXXXXX";
	make_unreadable(folder, 0, "nixfleet-token");
	int done = LOAD(config, error, "NIXFLEET_URL", "https://x", "CREDENTIALS_DIRECTORY", folder,
		"NIXFLEET_TOKEN", "another");
	remove_unreadable(folder, "nixfleet-token");
	cr_assert(eq(int, done, -1));
	cr_assert(
		strstr(error, "nixfleet-token") && strstr(error, "Permission denied"), "%s", error);
}

static void load_file(struct config *config, const char *text)
{
	char error[CONFIG_ERROR_BYTES] = "";
	char path[] = "/tmp/nixfleet-conf-XXXXXX";
	const char *pairs[] = {"NIXFLEET_HOSTNAME", "h1", NULL};
	int fd = mkstemp(path);
	cr_assert(eq(i64, write(fd, text, strlen(text)), (ssize_t)strlen(text)));
	close(fd);
	int done = load(config, path, error, pairs);
	unlink(path);
	cr_assert(eq(int, done, 0), "%s", error);
}

Test(config, a_deadline_is_the_environments_then_the_files_then_the_tables)
{
	struct config config;
	load_file(&config, "NIXFLEET_TIMEOUT_PULL_SWITCH=90\nNIXFLEET_TIMEOUT_TEST=60\n"
			   "NIXFLEET_TIMEOUT_PULL=soon\n");
	setenv("NIXFLEET_TIMEOUT_TEST", "30", 1);
	cr_assert(eq(u64, config_timeout_ms(&config, "pull-switch", 7), 90000));
	cr_assert(eq(u64, config_timeout_ms(&config, "test", 7), 30000));
	cr_assert(eq(u64, config_timeout_ms(&config, "pull", 7), 7));
	cr_assert(eq(u64, config_timeout_ms(&config, "switch", 7), 7));
	config_finish(&config);
}

Test(config, a_file_ranks_below_the_environment)
{
	struct config config;
	char error[CONFIG_ERROR_BYTES] = "";
	char path[] = "/tmp/nixfleet-conf-XXXXXX";
	int fd = mkstemp(path);
	const char *text = "NIXFLEET_LOCATION=work\nNIXFLEET_BRANCH=stable\n";
	cr_assert(eq(i64, write(fd, text, strlen(text)), (ssize_t)strlen(text)));
	close(fd);
	const char *pairs[] = {"NIXFLEET_HOSTNAME", "h1", "NIXFLEET_BRANCH", "next",
		"NIXFLEET_LOCATION", "", NULL};
	int done = load(&config, path, error, pairs);
	unlink(path);
	cr_assert(eq(int, done, 0), "%s", error);
	cr_assert(eq(str, config.branch, "next"));
	cr_assert(eq(str, config.location, "work"));
	config_finish(&config);
}

/* What config_pack must carry: one that is new here is compared below. */
struct whole_config {
#define SETTING(field, variable, check, bytes_max, fallback, legal) char *field;
#include "supervisor/settings.def"
#undef SETTING
	enum protocol protocol;
	enum log_level level;
	uint64_t interval_ms, spread_ms;
	bool is_isolated;
	char *user, *home, *file;
	struct config_file lines;
};
static_assert(sizeof(struct whole_config) == sizeof(struct config), "a member is new");

Test(config, all_of_it_is_packed)
{
	struct config config, again;
	struct bytes packed;
	load_file(&config, "NIXFLEET_URL=wss://x/ws\nNIXFLEET_TOKEN=t\nNIXFLEET_INTERVAL=2.5\n"
			   "NIXFLEET_RECONNECT_SPREAD=7\nNIXFLEET_REPO_URL=https://x/r\n"
			   "NIXFLEET_LOG_LEVEL=error\nNIXFLEET_TIMEOUT_PULL=90\n");
	bytes_init(&packed, CONFIG_PACKED_BYTES_MAX);
	config_pack(&config, &packed);
	config_unpack(&again, (struct text){(const char *)packed.data, packed.size});
#define SETTING(field, variable, check, bytes_max, fallback, legal) \
	cr_expect(eq(str, again.field, config.field), variable);
#include "supervisor/settings.def"
#undef SETTING
	cr_expect(eq(int, (int)again.protocol, PROTOCOL_WEBSOCKET));
	cr_expect(eq(int, (int)again.level, LOG_LEVEL_ERROR));
	cr_expect(eq(u64, again.interval_ms, 2500));
	cr_expect(eq(u64, again.spread_ms, 7000));
	cr_expect(again.is_isolated);
	cr_expect(eq(str, again.user, config.user));
	cr_expect(eq(str, again.home, config.home));
	cr_expect(eq(str, again.file, config.file));
	cr_expect(eq(u64, config_timeout_ms(&again, "pull", 7), 90000));
	config_finish(&config);
	config_finish(&again);
	bytes_finish(&packed);
}
