/** Guards that ask for a moment of their own: another isolation, a change in the midst of a call (Postgres). */
import { rowOf } from './function-cases.ts'
import { guardsOfBuild, guardsOfPartition } from './removal-probes.ts'
import type { Probe } from './probes.ts'
import type { World } from './world.ts'

export interface SpecialProbe {
  /** The first statements of its transaction. */
  readonly before: string
  readonly probe: Probe
}

export function specialProbes(world: World): readonly SpecialProbe[] {
  const { hostile, leavingId } = world
  return [
    {
      before: 'set transaction isolation level repeatable read',
      probe: {
        about: ['mirror_embeddings'],
        name: 'administrator: write vectors in a repeatable read',
        role: 'administrator',
        context: '',
        statement: 'update mindglue.embeddings set embedding = embedding',
        expected: { state: 'P0001' },
      },
    },
    {
      // A server that gives rights on whatever is made.
      before: `alter default privileges for role mindglue_owner in schema mindglue
        grant all on tables to public, mindglue_app, mindglue_job`,
      probe: {
        about: ['vector_partition_build'],
        name: 'a job: build a partition where new tables are everybody’s',
        role: 'mindglue_job',
        context: hostile.agent(BigInt(leavingId), 'job', 'aqj'),
        statement: guardsOfBuild,
        expected: rowOf(guardsOfPartition),
      },
    },
    {
      // While the partition is being built, somebody changes the embedder.
      before: `
        create function public.change_embedder() returns event_trigger language plpgsql security definer as $$
        begin
          update mindglue.namespaces set embedder_dimension = 99 where namespace = ${leavingId};
        end
        $$;
        create event trigger change_embedder on ddl_command_end when tag in ('CREATE INDEX')
          execute function public.change_embedder()`,
      probe: {
        about: ['vector_partition_build'],
        name: 'a job: build a partition for vectors that are about to be others',
        role: 'mindglue_job',
        context: hostile.agent(BigInt(leavingId), 'job', 'aqj'),
        statement: 'select vector_partition_build() as r',
        expected: { state: '40001' },
      },
    },
  ]
}
