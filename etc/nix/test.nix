# SPDX-License-Identifier: AGPL-3.0-or-later
# What must hold on a NixOS machine; for runNixOSTest.
self:
{ pkgs, ... }:
{
  name = "nixfleet-agent";

  nodes.machine =
    { ... }:
    {
      imports = [ self.nixosModules.default ];
      users.users.alice = {
        isNormalUser = true;
        extraGroups = [ "nixfleet" ];
      };
      users.users.mallory.isNormalUser = true;
      # The token is root's alone; systemd reads it for the agent.
      system.activationScripts.token = ''
        install -m 0400 /dev/stdin /run/nixfleet-token <<<NIXFLEET_TOKEN=secret
        install -d /etc/nixfleet-agent/ops.d
        install -m 0755 ${pkgs.writeScript "slow" ''
          #!/bin/sh
          touch /tmp/begun
          while [ ! -e /tmp/go ]; do sleep 0.1; done
          env | grep -c secret
          exit 7
        ''} /etc/nixfleet-agent/ops.d/slow
      '';
      services.nixfleet-agent = {
        enable = true;
        url = "https://127.0.0.1:9";
        tokenFile = "/run/nixfleet-token";
        user = "alice";
      };
    };

  testScript = ''
    machine.wait_for_unit("nixfleet-agent.service")

    with subtest("status is answered without a dashboard, and says what it waits for"):
        machine.wait_until_succeeds("nfctl status | grep -q 127.0.0.1")

    with subtest("the unit is as the module says"):
        shown = machine.succeed("systemctl show nixfleet-agent -p Delegate -p KillMode -p User -p Type")
        for line in ["Delegate=yes", "KillMode=process", "User=alice", "Type=notify"]:
            assert line in shown, shown

    with subtest("sudo allows what the operations run, and nothing else"):
        for program in ["nixos-rebuild", "reboot"]:
            machine.succeed(f"su - alice -c 'sudo -n -l /run/current-system/sw/bin/{program}'")
        machine.fail("su - alice -c 'sudo -n -l /run/current-system/sw/bin/id'")

    with subtest("a command outlives a restart of the service; its code arrives once"):
        machine.succeed("su - alice -c 'nfctl run slow'")
        machine.wait_for_file("/tmp/begun")
        machine.succeed("systemctl restart nixfleet-agent")
        machine.succeed("touch /tmp/go")
        machine.wait_until_succeeds("nfctl runs | grep -q 'exited 7'")
        # grep counted no line with the token in the command's environment.
        assert machine.succeed("nfctl logs").strip().endswith("0")

    with subtest("who is no operator may look and not touch"):
        machine.succeed("su - mallory -c 'nfctl status' || [ $? -le 2 ]")
        machine.fail("su - mallory -c 'nfctl run slow'")

    with subtest("a switch that changes the unit restarts it, and leaves one agent"):
        before = machine.succeed("systemctl show nixfleet-agent -p MainPID --value").strip()
        machine.succeed("systemctl restart nixfleet-agent")
        after = machine.succeed("systemctl show nixfleet-agent -p MainPID --value").strip()
        assert before != after
        assert machine.succeed("pgrep -c -x nixfleet-agent").strip() == "1"

    with subtest("a stop leaves nothing running"):
        machine.succeed("systemctl stop nixfleet-agent")
        machine.fail("pgrep -f nixfleet-")
        assert machine.execute("nfctl status")[0] == 3
  '';
}
