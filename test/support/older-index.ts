/** A namespace as an earlier program left it, whose analyzer knew half of the words and no name or label. */
import type { TestDatabase } from './database.ts'

/** Of every version: only the first half of its terms is left, no mention, and keys of labels that nothing asks for. */
export async function withOlderIndex({ owner }: Pick<TestDatabase, 'owner'>, namespace: bigint) {
  await owner.ownerTransaction(async (sql) => {
    await sql`
      update mindglue.memories m set terms = substr(m.terms, 1, length(m.terms) / 16 * 8), entities = '',
        length = 1, session_key = case when m.session_key is null then null else '\\x01'::bytea end,
        speaker_key = case when m.speaker_key is null then null else '\\x01'::bytea end
      where m.namespace = ${namespace}`
    await sql`
      delete from mindglue.postings p where p.namespace = ${namespace} and not exists (
        select from mindglue.memories m
        where m.namespace = p.namespace and m.document = p.document
          and (position(int8send(p.term) in m.terms) % 8 = 1
            or position(int8send(p.term) in m.tag_terms) % 8 = 1))`
    await sql`delete from mindglue.mentions x where x.namespace = ${namespace}`
    await sql`delete from mindglue.entities e where e.namespace = ${namespace}`
    await sql`
      update mindglue.namespaces n set analyzer_version = 1, revision = n.revision + 1
      where n.namespace = ${namespace}`
  })
}
