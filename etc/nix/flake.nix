# SPDX-License-Identifier: AGPL-3.0-or-later
# The repository's flake: its reference ends in ?dir=etc/nix.
{
  description = "nixfleet-agent, the host agent of NixFleet dashboards";

  inputs.nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";

  outputs =
    { self, nixpkgs }:
    let
      systems = [
        "x86_64-linux"
        "aarch64-linux"
        "x86_64-darwin"
        "aarch64-darwin"
      ];
      forSystems = make: nixpkgs.lib.genAttrs systems (system: make nixpkgs.legacyPackages.${system});
      both = module: {
        nixfleet-agent = module;
        default = module;
      };
    in
    {
      packages = forSystems (
        pkgs: both (pkgs.callPackage ./package.nix { sourceCommit = self.rev or ""; })
      );
      nixosModules = both (import ./nixos.nix self);
      homeManagerModules = both (import ./home-manager.nix self);
      darwinModules = both (import ./darwin.nix self);
      checks = nixpkgs.lib.genAttrs [ "x86_64-linux" "aarch64-linux" ] (system: {
        machine = nixpkgs.legacyPackages.${system}.testers.runNixOSTest (import ./test.nix self);
      });
    };
}
