/** Statements of the program run again inside their own transaction, under another context, and undone. */
import { encodeParameter } from '../../src/database/codec.ts'
import type { OwnerDatabase, Sql, SqlText } from '../../src/database/database.ts'

/** What a statement did before it was undone. */
export interface Outcome {
  /** SQLSTATE of the refusal; null when there was none. */
  readonly state: string | null
  /** Rows as JSON, in their order. */
  readonly rows: readonly string[]
  /** Rows written, by table. */
  readonly changed: Readonly<Record<string, number>>
}

/** A statement without parameters, and the context that it is to run under. */
export interface Replay {
  readonly context: string
  readonly text: string
}

/**
 * Creates `public.replay`. It runs with its caller's rights; what its inner block does is undone by an
 * exception, which variables outlive. Counts of written rows are this transaction's statistics.
 */
export async function installReplay(owner: OwnerDatabase): Promise<void> {
  await owner.ownerTransaction((_, script) =>
    script(`
      create function public.replay_counts() returns jsonb language sql volatile as $$
        select coalesce(jsonb_object_agg(relname, n_tup_ins + n_tup_upd + n_tup_del), '{}')
        from pg_stat_xact_all_tables where schemaname = 'mindglue'
      $$;
      create function public.replay(context text, statement text) returns jsonb language plpgsql volatile
      as $$
      declare
        before constant jsonb := public.replay_counts();
        found record;
        rows jsonb := '[]';
        state text;
      begin
        begin
          perform set_config('mindglue.context', context, true);
          begin
            for found in execute statement loop
              rows := rows || jsonb_build_array(to_jsonb(found));
            end loop;
          exception when invalid_cursor_definition then
            -- It returns no rows; nothing of it has run.
            execute statement;
          end;
          raise exception 'undone' using errcode = 'ZZ999';
        exception when others then
          if sqlstate <> 'ZZ999' then
            state := sqlstate;
            rows := '[]';
          end if;
        end;
        return jsonb_build_object('state', state, 'rows', rows, 'changed', (
          select coalesce(jsonb_object_agg(a.key, a.value::int - coalesce((before ->> a.key)::int, 0)), '{}')
          from jsonb_each_text(public.replay_counts()) a
          where a.value::int <> coalesce((before ->> a.key)::int, 0)));
      end
      $$`),
  )
}

/** Runs each of them on the same state, one after the other, in the transaction of `sql`. */
export async function replayAll(sql: Sql, replays: readonly Replay[]): Promise<Outcome[]> {
  const rows = await sql<{ outcome: string }>`
    select public.replay(r.context, r.statement)::text as outcome
    from unnest(${replays.map((replay) => replay.context)}::text[],
      ${replays.map((replay) => replay.text)}::text[]) with ordinality as r (context, statement, place)
    order by r.place`
  return rows.map(({ outcome }) => toOutcome(JSON.parse(outcome)))
}

function toOutcome(value: unknown): Outcome {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- public.replay makes this shape
  const { state, rows, changed } = value as Omit<Outcome, 'rows'> & { rows: unknown[] }
  return { state, rows: rows.map((row) => JSON.stringify(row)), changed }
}

/** The statement with its parameters written into it, as the server is sent them: text of unknown type. */
export function inlined({ text, values }: SqlText): string {
  return text.replaceAll(/\$(\d+)/gu, (_whole, number: string) => {
    const encoded = encodeParameter(values[Number(number) - 1] ?? null)
    return encoded === null ? 'null' : `'${encoded.replaceAll("'", "''")}'`
  })
}

/** The context that opens every transaction; undefined for any other statement. */
export function contextOf({ text, values }: SqlText): SignedContext | undefined {
  if (!text.includes("set_config('mindglue.context'")) return undefined
  const signed = values.find((value) => typeof value === 'string') ?? ''
  const [namespace = '', agentHex = '', flags = ''] = signed.split('|')
  return {
    namespace: namespace === '' ? undefined : BigInt(namespace),
    agent: Buffer.from(agentHex, 'hex').toString('utf8'),
    flags,
    signed,
    isJobRole: text.includes("'mindglue_job'"),
  }
}

export interface SignedContext {
  /** Undefined in a transaction of directory functions. */
  readonly namespace: bigint | undefined
  readonly agent: string
  readonly flags: string
  /** As it was sent; empty without a namespace. */
  readonly signed: string
  readonly isJobRole: boolean
}
