/** A model server as another package brings it, with an environment of its own that takes a second to make. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const RECORD = `
from kale_serve_ext import environments
from kale_serve_ext.engines.local.servers.record import Command, Program, Server, StandsFor
from kale_serve_ext.environments import Environment, Platform

PYTHONS = ((3, 13), (3, 12), (3, 11), (3, 10))
environments.register(
    Environment(
        name="abacus",
        title="Abacus",
        purpose="Counts beads.",
        platforms=(
            Platform("Linux", ("x86_64", "amd64", "aarch64", "arm64"), (2, 17), PYTHONS),
            Platform("Darwin", ("x86_64", "arm64"), (11,), PYTHONS),
        ),
        megabytes=12,
        smoke="print('1.0')",
        revision="1",
    )
)
SERVER = Server(
    name="abacus",
    title="Abacus",
    runtimes=(
        StandsFor(
            "acme-abacus",
            "Abacus",
            ("sklearn",),
            ("v2",),
            differs="It counts beads, where the cluster's image counts pebbles.",
            upkeep="Abacus is no longer maintained. Use a calculator.",
        ),
    ),
    environment="abacus",
    program=Program(command=lambda seat: Command((seat.python, "-c", "pass"))),
)
`;

/** Lay the package into a folder, which the server has on its path. */
export function layAbacus(site: string): void {
  const info = join(site, 'abacus-1.0.dist-info');
  mkdirSync(info, { recursive: true });
  writeFileSync(join(site, 'abacus_record.py'), RECORD);
  writeFileSync(
    join(info, 'METADATA'),
    'Metadata-Version: 2.1\nName: abacus\nVersion: 1.0\n'
  );
  writeFileSync(
    join(info, 'entry_points.txt'),
    '[kale_serve_ext.servers]\nabacus = abacus_record:SERVER\n'
  );
}
