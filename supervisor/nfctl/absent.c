/* SPDX-License-Identifier: AGPL-3.0-or-later */
#include "supervisor/nfctl/absent.h"

#include "proto/base/log.h"
#include "supervisor/config.h"
#include "supervisor/lock.h"

void absent_explain(const struct options *options)
{
	char error[CONFIG_ERROR_BYTES];
	struct config config;
	struct config_from from = {.path = options->config, .lookup = config_environment};
	struct lock_holder holder;
	if (config_load(&config, &from, error) < 0) {
		log_error("%s", error);
		return;
	}
	lock_find_holder(config.host, config.home, &holder);
	if (holder.pid > 0 && holder.is_alive)
		log_error("%s is held by pid %d since %s, which does not answer", holder.path,
			(int)holder.pid, holder.since);
	else if (holder.pid > 0)
		log_error("%s was left by pid %d, which is gone: the next agent takes it",
			holder.path, (int)holder.pid);
	config_finish(&config);
}
