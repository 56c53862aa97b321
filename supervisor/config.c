/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/config.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/check.h"
#include "proto/base/fd.h"
#include "supervisor/config_file.h"
#include "supervisor/lookup.h"
#include "supervisor/platform.h"

struct config_sources {
	const struct config_from *from;
	struct config_file file;
};

static bool is_plain(const char *value)
{
	if (*value == '-')
		return false;
	for (; *value; value++) {
		if ((unsigned char)*value < 0x20 || *value == 0x7f)
			return false;
	}
	return true;
}

static bool is_path(const char *value)
{
	return *value == '/' && is_plain(value);
}

static bool is_token(const char *value)
{
	for (; *value; value++) {
		if (*value <= 0x20 || *value >= 0x7f)
			return false;
	}
	return true;
}

static bool is_url(const char *value)
{
	static const char *const schemes[] = {"https://", "http://", "wss://", "ws://"};
	for (size_t i = 0; i < sizeof(schemes) / sizeof(schemes[0]); i++) {
		size_t size = strlen(schemes[i]);
		if (strncmp(value, schemes[i], size) == 0)
			return is_token(value) &&
			       isalnum((unsigned char)value[size] == '['
					       ? 'x'
					       : (unsigned char)value[size]) &&
			       !strpbrk(value + size, "@?#\\");
	}
	return false;
}

static bool is_branch(const char *value)
{
	return *value != '-' && *value != '/' && !strstr(value, "..") &&
	       value[strspn(value,
		       "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._/-")] ==
		       '\0';
}

static bool number_in(const char *value, double low, double high)
{
	char *end;
	if (!isdigit((unsigned char)*value) && *value != '.')
		return false;
	double number = strtod(value, &end);
	return *end == '\0' && number >= low && number <= high;
}

static bool is_interval(const char *value)
{
	return number_in(value, 0.1, 3600);
}

static bool is_spread(const char *value)
{
	return number_in(value, 0, 3600);
}

static bool is_host(const char *value)
{
	if (!isascii((unsigned char)*value) || !isalpha((unsigned char)*value))
		return false;
	for (; *value; value++) {
		unsigned char byte = (unsigned char)*value;
		if (!isascii(byte) || (!isalnum(byte) && byte != '-'))
			return false;
	}
	return true;
}

static bool is_host_type(const char *value)
{
	return strcmp(value, "nixos") == 0 || strcmp(value, "macos") == 0;
}

static bool is_manager(const char *value)
{
	return strcmp(value, "nixos") == 0 || strcmp(value, "home-manager") == 0 ||
	       strcmp(value, "nix-darwin") == 0;
}

static bool is_pin(const char *value)
{
	return strncmp(value, "sha256//", 8) == 0 && is_token(value);
}

static bool is_switch(const char *value)
{
	return strcmp(value, "1") == 0 || strcmp(value, "true") == 0 || strcmp(value, "yes") == 0 ||
	       strcmp(value, "0") == 0 || strcmp(value, "false") == 0 || strcmp(value, "no") == 0;
}

static bool is_log_level(const char *value)
{
	enum log_level level;
	return log_level_parse(value, &level);
}

struct setting {
	const char *variable;
	bool (*is_legal)(const char *value);
	size_t bytes_max;
	size_t offset;
	const char *fallback;
	const char *legal;
};

static const struct setting settings[] = {
#define SETTING(field, variable, check, bytes_max, fallback, legal) \
	{variable, check, bytes_max, offsetof(struct config, field), fallback, legal},
#include "supervisor/settings.def"
#undef SETTING
};
#define SETTING_COUNT (sizeof(settings) / sizeof(settings[0]))

static char **setting_place(struct config *config, const struct setting *setting)
{
	return (char **)(void *)((char *)config + setting->offset);
}

static const char *setting_value(const struct config *config, const struct setting *setting)
{
	const char *value;
	memcpy(&value, (const char *)config + setting->offset, sizeof(value));
	return value;
}

static const char *environment_get(const struct config_sources *sources, const char *variable)
{
	return sources->from->lookup(variable, sources->from->data);
}

static const char *source_get(const struct config_sources *sources, const char *variable)
{
	const char *value = environment_get(sources, variable);
	if (value && *value)
		return value;
	value = config_file_get(&sources->file, variable);
	return value && *value ? value : NULL;
}

static bool is_secret(const struct setting *setting)
{
	return strcmp(setting->variable, "NIXFLEET_TOKEN") == 0;
}

/* What an error may show: anybody on this host can read why a configuration is not used. */
static const char *shown_value(const struct setting *setting, const char *value)
{
	bool is_url_with_account = strstr(value, "://") && strchr(value, '@');
	return is_secret(setting) || is_url_with_account ? "…" : value;
}

static int read_settings(
	struct config *config, const struct config_sources *sources, char error[CONFIG_ERROR_BYTES])
{
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const struct setting *setting = &settings[i];
		const char *value = source_get(sources, setting->variable);
		if (value && (strlen(value) > setting->bytes_max || !setting->is_legal(value))) {
			snprintf(error, CONFIG_ERROR_BYTES, "%s is '%.100s': it must be %s",
				setting->variable, shown_value(setting, value), setting->legal);
			return -1;
		}
		char **place = setting_place(config, setting);
		*place = strdup(value ? value : setting->fallback);
		check(*place != NULL);
	}
	return 0;
}

static int read_file(struct config_sources *sources, const char *path, struct config *config,
	char error[CONFIG_ERROR_BYTES])
{
	const char *name = path ? path : CONFIG_DEFAULT_FILE;
	char *content = malloc(CONFIG_FILE_BYTES_MAX);
	check(content != NULL);
	own_fd fd = open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t size = fd < 0 ? -1 : fd_read_all(fd, content, CONFIG_FILE_BYTES_MAX);
	int failed = 0;
	if (size < 0 && (path || errno != ENOENT)) {
		snprintf(error, CONFIG_ERROR_BYTES, "%s cannot be read: %s", name, strerror(errno));
		failed = -1;
	} else if (size == CONFIG_FILE_BYTES_MAX) {
		snprintf(error, CONFIG_ERROR_BYTES, "%s is too large: at most %d bytes are read",
			name, CONFIG_FILE_BYTES_MAX - 1);
		failed = -1;
	} else if (size >= 0) {
		uint32_t line = config_file_parse(
			&sources->file, (struct text){content, (uint32_t)size});
		if (line > 0) {
			snprintf(error, CONFIG_ERROR_BYTES,
				"%s, line %u, is not of the form KEY=VALUE", name, line);
			failed = -1;
		}
	}
	config->file = strdup(size >= 0 ? name : "");
	check(config->file != NULL);
	free(content);
	return failed;
}

static void set_text(char **place, const char *value)
{
	char *copy = strdup(value);
	check(copy != NULL);
	free(*place);
	*place = copy;
}

/* A token file holds the bare token or NIXFLEET_TOKEN=<token>, with CR or LF around it. */
static int read_token(struct config *config, const char *path, char error[CONFIG_ERROR_BYTES])
{
	char content[TOKEN_BYTES_MAX + 64];
	own_fd fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
	ssize_t size = fd < 0 ? -1 : fd_read_all(fd, content, sizeof(content) - 1);
	if (size < 0) {
		snprintf(error, CONFIG_ERROR_BYTES,
			"NIXFLEET_TOKEN_FILE is '%.150s': it cannot be read: %s", path,
			strerror(errno));
		return -1;
	}
	content[size] = '\0';
	char *token = content + strspn(content, " \t\r\n");
	if (strncmp(token, "NIXFLEET_TOKEN=", 15) == 0)
		token += 15;
	token[strcspn(token, "\r\n")] = '\0';
	for (size_t end = strlen(token); end > 0 && strchr(" \t", token[end - 1]); end--)
		token[end - 1] = '\0';
	size_t length = strlen(token);
	if (length >= 2 && (*token == '"' || *token == '\'') && token[length - 1] == *token) {
		token[length - 1] = '\0';
		token++;
	}
	if (!*token || strlen(token) > TOKEN_BYTES_MAX || !is_token(token)) {
		snprintf(error, CONFIG_ERROR_BYTES,
			"NIXFLEET_TOKEN_FILE is '%.150s': it must hold a token of printable ASCII, "
			"at most %d bytes",
			path, TOKEN_BYTES_MAX);
		return -1;
	}
	set_text(&config->token, token);
	return 0;
}

static int find_token(
	struct config *config, const struct config_sources *sources, char error[CONFIG_ERROR_BYTES])
{
	if (!*config->url)
		return 0;
	if (*config->token_file)
		return read_token(config, config->token_file, error);
	const char *folder = environment_get(sources, "CREDENTIALS_DIRECTORY");
	if (folder && *folder) {
		char path[PATH_BYTES_MAX];
		struct stat info;
		snprintf(path, sizeof(path), "%s/nixfleet-token", folder);
		if (stat(path, &info) == 0 || errno != ENOENT)
			return read_token(config, path, error);
	}
	if (*config->token)
		return 0;
	snprintf(error, CONFIG_ERROR_BYTES,
		"NIXFLEET_TOKEN is unset: with a URL it must be set, or NIXFLEET_TOKEN_FILE, or "
		"the "
		"credential nixfleet-token");
	return -1;
}

static bool is_on(const char *value)
{
	return *value == '1' || *value == 't' || *value == 'y';
}

/* What the settings say in a form of its own. */
static void derive_values(struct config *config)
{
	const char *url = config->url;
	config->protocol = !*url ? PROTOCOL_NONE : *url == 'w' ? PROTOCOL_WEBSOCKET : PROTOCOL_HTTP;
	double seconds = *config->interval                        ? strtod(config->interval, NULL)
			 : config->protocol == PROTOCOL_WEBSOCKET ? 5
								  : 30;
	config->interval_ms = (uint64_t)(seconds * 1000 + 0.5);
	config->spread_ms = (uint64_t)(strtod(config->spread, NULL) * 1000 + 0.5);
	config->is_isolated = *config->repo_url != '\0';
	log_level_parse(config->log_level, &config->level);
}

static int check_protocol(const struct config *config, char error[CONFIG_ERROR_BYTES])
{
	const char *url = config->url;
	bool secure = strncmp(url, "https:", 6) == 0 || strncmp(url, "wss:", 4) == 0;
	if (*url && !secure && !is_on(config->allow_insecure)) {
		snprintf(error, CONFIG_ERROR_BYTES,
			"NIXFLEET_URL is '%.150s': it must be https:// or wss://; plain text needs "
			"NIXFLEET_ALLOW_INSECURE_HTTP=1",
			url);
		return -1;
	}
	return 0;
}

static int derive_host(struct config *config, char error[CONFIG_ERROR_BYTES])
{
	char name[256] = "";
	if (*config->host)
		return 0;
	if (gethostname(name, sizeof(name) - 1) < 0)
		*name = '\0';
	name[strcspn(name, ".")] = '\0';
	if (!is_host(name) || strlen(name) > HOST_BYTES_MAX) {
		snprintf(error, CONFIG_ERROR_BYTES,
			"NIXFLEET_HOSTNAME is unset and this machine's name '%.64s' is no legal "
			"one: it "
			"must be a letter, then letters, digits and -, at most 63",
			name);
		return -1;
	}
	set_text(&config->host, name);
	return 0;
}

bool config_is_in_path(const char *program)
{
	const char *path = getenv("PATH");
	while (path && *path) {
		size_t size = strcspn(path, ":");
		char candidate[PATH_BYTES_MAX];
		snprintf(candidate, sizeof(candidate), "%.*s/%s", (int)size, path, program);
		if (size > 0 && access(candidate, X_OK) == 0)
			return true;
		path += size + (path[size] == ':');
	}
	return false;
}

/* What `switch` is here. A Linux host without nixos-rebuild but with home-manager is one of those.
 */
static void derive_manager(struct config *config)
{
	if (*config->manager)
		return;
	if (strcmp(config->host_type, "macos") == 0)
		set_text(&config->manager,
			*config->macos_manager ? config->macos_manager : "home-manager");
	else if (!config_is_in_path("nixos-rebuild") && config_is_in_path("home-manager"))
		set_text(&config->manager, "home-manager");
	else
		set_text(&config->manager, "nixos");
}

struct account {
	char user[SHORT_TEXT_BYTES_MAX + 1];
	char home[PATH_BYTES_MAX + 1];
};

static void look_up_account(void *answer, const char *unused)
{
	struct account *account = answer;
	const struct passwd *found = getpwuid(geteuid());
	(void)unused;
	if (!found)
		return;
	snprintf(account->user, sizeof(account->user), "%s", found->pw_name);
	snprintf(account->home, sizeof(account->home), "%s", found->pw_dir);
}

/* Root is root though nobody says so. */
static void derive_account(struct config *config, const struct config *before)
{
	struct account account = {.user = ""};
	bool is_root = geteuid() == 0;
	if (before) {
		set_text(&config->user, before->user);
		set_text(&config->home, before->home);
		return;
	}
	lookup_ask(look_up_account, "", &account, sizeof(account));
	if (!*account.user && is_root)
		snprintf(account.user, sizeof(account.user), "root");
	if (!*account.user)
		snprintf(account.user, sizeof(account.user), "%u", (unsigned)geteuid());
	if (*account.home != '/')
		snprintf(account.home, sizeof(account.home), "%s",
			is_root ? platform_root_home() : "");
	set_text(&config->user, account.user);
	set_text(&config->home, account.home);
}

static void join(char **place, const char *folder, const char *name)
{
	char path[PATH_BYTES_MAX + 1];
	snprintf(path, sizeof(path), "%s/%s", folder, name);
	set_text(place, path);
}

/* systemd gives a list where several folders were asked for; the first is ours. */
static bool take_folder(char **place, const char *value)
{
	if (!value || *value != '/')
		return false;
	char first[PATH_BYTES_MAX + 1];
	snprintf(first, sizeof(first), "%.*s", (int)strcspn(value, ":"), value);
	set_text(place, first);
	return true;
}

static void derive_folders(struct config *config, const struct config_sources *sources)
{
	bool root = geteuid() == 0;
	const char *xdg_state = environment_get(sources, "XDG_STATE_HOME");
	const char *xdg_runtime = environment_get(sources, "XDG_RUNTIME_DIR");
	if (!*config->state_dir &&
		!take_folder(&config->state_dir, environment_get(sources, "STATE_DIRECTORY"))) {
		if (root)
			set_text(&config->state_dir, "/var/lib/nixfleet-agent");
		else if (xdg_state && *xdg_state == '/')
			join(&config->state_dir, xdg_state, "nixfleet-agent");
		else
			join(&config->state_dir, config->home, ".local/state/nixfleet-agent");
	}
	if (!*config->runtime_dir &&
		!take_folder(&config->runtime_dir, environment_get(sources, "RUNTIME_DIRECTORY"))) {
		if (root)
			set_text(&config->runtime_dir, platform_run_folder());
		else if (xdg_runtime && *xdg_runtime == '/')
			join(&config->runtime_dir, xdg_runtime, "nixfleet-agent");
		else
			join(&config->runtime_dir, config->state_dir, "run");
	}
	if (!*config->repo_dir) {
		if (*config->config_repo)
			set_text(&config->repo_dir, config->config_repo);
		else if (config->is_isolated)
			join(&config->repo_dir, config->state_dir, "repo");
	}
	if (!*config->token_cache)
		join(&config->token_cache, config->state_dir, "token");
}

static int derive(
	struct config *config, const struct config_sources *sources, char error[CONFIG_ERROR_BYTES])
{
	derive_values(config);
	if (check_protocol(config, error) < 0 || derive_host(config, error) < 0 ||
		find_token(config, sources, error) < 0)
		return -1;
	if (!*config->host_type)
		set_text(&config->host_type, platform_host_type());
	derive_manager(config);
	derive_account(config, sources->from->before);
	derive_folders(config, sources);
	return 0;
}

int config_load(
	struct config *config, const struct config_from *from, char error[CONFIG_ERROR_BYTES])
{
	struct config_sources sources = {.from = from};
	*config = (struct config){0};
	config_file_init(&sources.file, CONFIG_FILE_BYTES_MAX);
	int failed = read_file(&sources, from->path, config, error);
	if (failed == 0)
		failed = read_settings(config, &sources, error);
	if (failed == 0)
		failed = derive(config, &sources, error);
	config->lines = sources.file;
	if (failed < 0)
		config_finish(config);
	return failed;
}

void config_finish(struct config *config)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
		free(*setting_place(config, &settings[i]));
	free(config->user);
	free(config->home);
	free(config->file);
	config_file_finish(&config->lines);
	*config = (struct config){0};
}

static void pack_text(struct bytes *to, const char *value)
{
	check(bytes_append(to, value, (uint32_t)strlen(value) + 1) == 0);
}

void config_pack(const struct config *config, struct bytes *to)
{
	for (size_t i = 0; i < SETTING_COUNT; i++)
		pack_text(to, setting_value(config, &settings[i]));
	pack_text(to, config->user);
	pack_text(to, config->home);
	pack_text(to, config->file);
	check(bytes_append(to, config->lines.text.data, config->lines.text.size) == 0);
}

static char *unpack_text(struct text *packed)
{
	uint32_t size = (uint32_t)strnlen(packed->data, packed->size) + 1;
	check(size <= packed->size);
	char *value = strdup(packed->data);
	check(value != NULL);
	packed->data += size;
	packed->size -= size;
	return value;
}

void config_unpack(struct config *config, struct text packed)
{
	*config = (struct config){0};
	for (size_t i = 0; i < SETTING_COUNT; i++)
		*setting_place(config, &settings[i]) = unpack_text(&packed);
	config->user = unpack_text(&packed);
	config->home = unpack_text(&packed);
	config->file = unpack_text(&packed);
	config_file_init(&config->lines, CONFIG_FILE_BYTES_MAX);
	config_file_restore(&config->lines, packed);
	derive_values(config);
}

void config_list(const struct config *config, struct bytes *to)
{
	bytes_printf(to, "# file: %s\n", *config->file ? config->file : "none");
	for (size_t i = 0; i < SETTING_COUNT; i++) {
		const char *value = setting_value(config, &settings[i]);
		if (*value)
			bytes_printf(to, "%s=%s\n", settings[i].variable,
				is_secret(&settings[i]) ? "(set)" : value);
	}
}

uint64_t config_timeout_ms(const struct config *config, const char *operation, uint64_t fallback_ms)
{
	char variable[32 + COMMAND_BYTES_MAX] = "NIXFLEET_TIMEOUT_";
	size_t at = strlen(variable);
	for (; *operation && at < sizeof(variable) - 1; operation++)
		variable[at++] = *operation == '-' ? '_' : (char)toupper((unsigned char)*operation);
	variable[at] = '\0';
	const char *value = getenv(variable);
	if (!value || !*value)
		value = config_file_get(&config->lines, variable);
	if (!value || !*value)
		return fallback_ms;
	if (!number_in(value, 0.1, 86400)) {
		log_warn("%s is '%.40s': it must be seconds from 0.1 to 86400; the default is used",
			variable, value);
		return fallback_ms;
	}
	return (uint64_t)(strtod(value, NULL) * 1000 + 0.5);
}

const char *config_environment(const char *variable, void *data)
{
	(void)data;
	return getenv(variable);
}
